package access

import "errors"

// Returned by [Tokens.Authenticate], and by [Tokens.Revoke] and [Tokens.Rotate] where
// they say so. A client must not learn which of them it met: every one is the same
// answer outside of this process.
var (
	// ErrMalformed: the text is not of the form of an access token.
	ErrMalformed = errors.New("access: not an access token")
	// ErrNoToken: there is no token with this id. Also returned by Revoke and Rotate.
	ErrNoToken = errors.New("access: no such token")
	// ErrSecret: the token exists, and its secret is another one.
	ErrSecret = errors.New("access: wrong secret")
	// ErrExpired: the token has expired.
	ErrExpired = errors.New("access: token has expired")
	// ErrRevoked: the token was revoked. Also returned by Rotate.
	ErrRevoked = errors.New("access: token was revoked")
)
