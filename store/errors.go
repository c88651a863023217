package store

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotFound means that there is no such operation, or that it was pruned. Look-ups
// return it, and Apply for a change.
var ErrNotFound = errors.New("store: no such operation")

// These are inside a *ConflictError of Enqueue.
var (
	// ErrActive means that an operation with another token is active for the session.
	ErrActive = errors.New("another token's operation is active for this session")
	// ErrTokenReused means that the client token belongs to another session's operation.
	ErrTokenReused = errors.New("client token belongs to another session")
)

// ErrExpired is inside an *ExpiryError of Enqueue.
var ErrExpired = errors.New("expiry is not in the future")

// ErrFenced means that an operation was changed since it was read. Apply returns it for a
// change. Read the operation again and decide again.
var ErrFenced = errors.New("store: changed since it was read")

// ErrOwned is returned by Own while another ownership of the store lasts.
var ErrOwned = errors.New("store: another run owns its lanes")

// Any call may return these.
var (
	// ErrUnknown means that the outcome of the commit is unknown. Repeat the call with
	// the same token, or read.
	ErrUnknown = errors.New("store: outcome of the commit is unknown")
	// ErrFull means that there is no space. Nothing was stored.
	ErrFull = errors.New("store: full")
	// ErrFailed means that an error left unknown what is stored. The store is closed for
	// good. Open it again.
	ErrFailed = errors.New("store: failed")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("store: closed")
	// ErrCorrupt means that what was read is not what was written.
	ErrCorrupt = errors.New("store: corrupt")
)

// ConflictError names the operation that prevents a new one. It wraps Err, which is
// ErrActive or ErrTokenReused.
type ConflictError struct {
	Err    error
	Holder Operation
}

// Error names the operation that prevents the new one.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("store: %v: operation %s of session %s (%s)", e.Err, e.Holder.ID, e.Holder.Ref, e.Holder.Phase)
}

// Unwrap returns Err.
func (e *ConflictError) Unwrap() error { return e.Err }

// ExpiryError says that an operation would have expired before it could be sent. It wraps
// ErrExpired.
type ExpiryError struct{ Operation Operation }

// Error names the session and the times that do not fit.
func (e *ExpiryError) Error() string {
	o := e.Operation
	if !o.ExpiresAt.After(o.CreatedAt) {
		return fmt.Sprintf("store: session %s: %v: %s (now %s)", o.Ref, ErrExpired, stamp(o.ExpiresAt), stamp(o.CreatedAt))
	}
	return fmt.Sprintf("store: session %s: expiry %s is not after its not-before %s", o.Ref, stamp(o.ExpiresAt), stamp(o.NotBefore))
}

// Unwrap returns ErrExpired.
func (e *ExpiryError) Unwrap() error { return ErrExpired }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// CursorError says that the feed cannot continue from a cursor without skipping events.
// If neither Pruned nor Forked is set, After is not a cursor.
type CursorError struct {
	After       Cursor
	First, Head uint64 // the numbers of the first and the last event of this feed
	Pruned      bool   // events between the cursor and First were pruned
	// Forked means that the cursor belongs to another feed, or to a part of this feed
	// that a restored copy lacks.
	Forked bool
}

// Error names the cursor and the range of this feed.
func (e *CursorError) Error() string {
	switch {
	case e.Pruned:
		return fmt.Sprintf("store: events after cursor %.40q were pruned: the feed holds %d to %d", e.After, e.First, e.Head)
	case e.Forked:
		return fmt.Sprintf("store: cursor %.40q is of another feed than this one (%d to %d)", e.After, e.First, e.Head)
	}
	return fmt.Sprintf("store: %.40q is not a cursor", e.After)
}
