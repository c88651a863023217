// Package access says who may do what.
//
// An [Identity] has a name, a [Role] and a [Scope]. The role says which actions it
// may do: a viewer reads, an operator also starts, cancels and retries, and an admin
// also manages the engine. The scope says with which sessions. [NewContext] attaches
// an identity to the context of a request, and the code that serves the request asks
// [Identity.May] and [Identity.Covers].
package access
