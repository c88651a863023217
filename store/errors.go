package store

import (
	"errors"
	"fmt"
	"time"
)

// Returned by look-ups.
var (
	// ErrNotFound: there is no such operation, or it was pruned.
	ErrNotFound = errors.New("store: no such operation")
)

// Inside a *ConflictError of Enqueue.
var (
	// ErrActive: an operation with another token is active for the session.
	ErrActive = errors.New("another token's operation is active for this session")
	// ErrTokenReused: the client token belongs to another session's operation.
	ErrTokenReused = errors.New("client token belongs to another session")
)

// ErrExpired is inside a *ExpiryError of Enqueue.
var ErrExpired = errors.New("expiry is not in the future")

// ErrFenced is returned for a change of Apply: the operation was changed since
// it was read. Read it again and decide again.
var ErrFenced = errors.New("store: changed since it was read")

// ErrOwned is returned by Own while another ownership of the store lasts.
var ErrOwned = errors.New("store: another run owns its lanes")

// Returned by any call.
var (
	// ErrUnknown: the outcome of the commit is not known. Ask again with the
	// same token.
	ErrUnknown = errors.New("store: outcome of the commit is unknown")
	// ErrFull: there is no space; nothing was stored.
	ErrFull = errors.New("store: full")
	// ErrFailed: the store met an error that it cannot judge, and is shut.
	ErrFailed = errors.New("store: failed")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store: closed")
	// ErrCorrupt: what was read is not what was written.
	ErrCorrupt = errors.New("store: damaged")
)

// ConflictError says which operation is in the way of a new one. Err is ErrActive or
// ErrTokenReused, and errors.Is sees it.
type ConflictError struct {
	Err    error
	Holder Operation
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("store: %v: operation %s of session %s (%s)", e.Err, e.Holder.ID, e.Holder.Ref, e.Holder.Phase)
}

// Unwrap gives the sentinel.
func (e *ConflictError) Unwrap() error { return e.Err }

// ExpiryError says that an operation would have expired before it could be
// sent. errors.Is(err, ErrExpired) is true of it.
type ExpiryError struct{ Operation Operation }

func (e *ExpiryError) Error() string {
	o := e.Operation
	if !o.ExpiresAt.After(o.CreatedAt) {
		return fmt.Sprintf("store: session %s: %v: %s (now %s)", o.Ref, ErrExpired, stamp(o.ExpiresAt), stamp(o.CreatedAt))
	}
	return fmt.Sprintf("store: session %s: expiry %s is not after its not-before %s", o.Ref, stamp(o.ExpiresAt), stamp(o.NotBefore))
}

// Unwrap gives ErrExpired.
func (e *ExpiryError) Unwrap() error { return ErrExpired }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// CursorError says that the feed cannot go on from a cursor without skipping.
type CursorError struct {
	After       Cursor
	First, Head uint64 // the sequences that this feed holds
	// Pruned: events between the cursor and First are gone. Forked: the cursor
	// is of another feed, or of a part of this one that a restored copy lacks.
	// Neither: it is no cursor at all.
	Pruned, Forked bool
}

func (e *CursorError) Error() string {
	switch {
	case e.Pruned:
		return fmt.Sprintf("store: events after cursor %.40q were pruned: the feed holds %d to %d", e.After, e.First, e.Head)
	case e.Forked:
		return fmt.Sprintf("store: cursor %.40q is of another feed than this one (%d to %d)", e.After, e.First, e.Head)
	}
	return fmt.Sprintf("store: %.40q is not a cursor", e.After)
}
