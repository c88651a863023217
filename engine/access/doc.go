// Package access says who may do what.
//
// An [Identity] has a name, a [Role] and a [Scope]. The role says which actions it
// may do: a viewer reads, an operator also starts, cancels and retries, and an admin
// also manages the engine. The scope says with which sessions. [NewContext] attaches
// an identity to the context of a request, and the code that serves the request asks
// [Identity.May] and [Identity.Covers].
//
// # Access tokens
//
// [Tokens] keeps access tokens in a store. [Tokens.Create] returns a secret once, and
// [Tokens.Authenticate] turns it into an identity. The store, a log and an error never
// have a secret: the store keeps its SHA-256, and a [Secret] prints as "[secret]".
// A token ends by its expiry, which the wall clock decides, or by [Tokens.Revoke].
// A backup that is restored brings back tokens that were revoked after it was made.
//
// # Listeners
//
// [Guard] stands before the handlers of a TCP listener. It refuses what web pages of
// other sites send, turns the bearer token of a request into an identity, and limits
// failed authentications. [OIDC] turns ID tokens of an issuer into identities.
// [TLSFiles] serves a certificate that is renewed on disk.
package access
