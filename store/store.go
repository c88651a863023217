package store

import (
	"context"
	"iter"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// Store keeps operations, the feed, and the state of lanes. It is safe for concurrent
// use. When the context of a call ends, the call returns its error, and a commit that is
// under way continues. The interface may grow until v1.0.
//
// Besides the errors that a method names, each call may return those of the section
// Errors of the package.
type Store interface {
	// Enqueue stores each of ops, or joins it to an operation that is already stored. It
	// applies the rules of driver.Decide in the order given, and each operation counts
	// for the ones after it. It returns a receipt for each of ops when all of it is
	// durable. The caller fills in everything but Version, and may change ops when
	// Enqueue has returned.
	//
	// An error concerns the whole call. After ErrUnknown some of ops may be stored.
	Enqueue(ctx context.Context, ops []Operation) ([]Receipt, error)

	// Apply stores the changes, each together with its events, and returns when all of
	// it is durable. It returns one error for each change: nil, ErrFenced or
	// ErrNotFound. The second error concerns the whole call.
	Apply(ctx context.Context, changes []Change) ([]error, error)

	// Own begins the ownership of the store's lanes, which lasts until ctx ends. Only the
	// owner claims operations. A store has at most one owner. While there is one, Own
	// returns ErrOwned. Operations that a former owner claimed and did not release are
	// free again.
	Own(ctx context.Context) (Claims, error)

	// Operation returns the operation with this id, or ErrNotFound. The id of a later
	// request leads to the operation that keeps it, until the request has become an
	// operation of its own.
	Operation(ctx context.Context, id ID) (Operation, error)
	// BySession returns the active operation of a session. Without one it returns the
	// one that ended last, or ErrNotFound.
	BySession(ctx context.Context, ref transport.Ref) (Operation, error)
	// ByToken returns the operation with this client token, or ErrNotFound. The id of a
	// later request is a token too.
	ByToken(ctx context.Context, token string) (Operation, error)
	// List yields the operations that f matches, in the order of their ids, which is by
	// age. It reads them in pages. A change during the listing may be yielded or not. It
	// stops after an error. ErrNotFound says that f.After is no id.
	List(ctx context.Context, f Filter) iter.Seq2[Operation, error]

	// Events returns up to limit events after a cursor, and none if the cursor is the
	// head. A *CursorError says that events between the cursor and the first one are
	// missing.
	Events(ctx context.Context, after Cursor, limit int) ([]Event, error)
	// Head returns the cursor of the latest event.
	Head(ctx context.Context) (Cursor, error)
	// Await waits until there is an event after the cursor.
	Await(ctx context.Context, after Cursor) error

	// Lanes returns every lane with a stored state, sorted by name.
	Lanes(ctx context.Context) ([]Lane, error)
	// Lane returns the stored state of one lane. If there is none, only Name is set.
	Lane(ctx context.Context, name string) (Lane, error)
	// SetPaused stores whether the sends of a lane are paused, and who decided that.
	SetPaused(ctx context.Context, lane string, paused bool, by string, at time.Time) error
	// SetRetryAfter stores that no call of a lane may be made before until. The time
	// heard is when the provider said so.
	SetRetryAfter(ctx context.Context, lane string, until, heard time.Time) error
	// SetBlock stores why a lane is blocked. The zero Block says that it is not.
	SetBlock(ctx context.Context, lane string, b Block) error
	// SetPace stores the rate that a lane reached, in calls a second, and when the
	// provider last throttled it.
	SetPace(ctx context.Context, lane string, pace int, throttledAt time.Time) error

	// Records returns the small records of a kind, sorted by name.
	Records(ctx context.Context, kind string) ([]Record, error)
	// PutRecord stores r in place of the record of its kind and name. A nil Value removes
	// that record.
	PutRecord(ctx context.Context, r Record) error

	// Prune removes what k does not keep, in commits of up to 1,000 records. It returns
	// how many operations and events it removed.
	Prune(ctx context.Context, k Retention) (int, error)
	// Stats counts what is stored.
	Stats(ctx context.Context) (Stats, error)

	// Close waits for the commit that is under way and closes the store. Calls that
	// wait return ErrClosed, and so do later calls. A second Close does nothing.
	Close() error
}

// Backuper is a Store that can write a copy of itself to a new file.
type Backuper interface {
	// Backup writes a consistent copy to a new file at path, while other calls continue.
	// If the file exists, Backup does not change it and returns an error that wraps
	// fs.ErrExist.
	Backup(ctx context.Context, path string) error
}

// Adopter is a Store whose state belongs to one machine; see [Foreign].
type Adopter interface {
	// Adopt makes a foreign store this machine's own and appends the event that says so.
	// The event names no operation and has ReasonAdopted. On a store that is not foreign,
	// Adopt does nothing.
	Adopt(ctx context.Context, by string, at time.Time) error
}

// Receipt is the outcome of one operation given to Enqueue. If Err is nil, the request
// did one of three things:
//
//	Created  Old    the request
//	true     false  created Operation
//	false    false  joined Operation, which was active
//	false    true   found Operation, which its token created and which has ended;
//	                nothing starts
type Receipt struct {
	ID        ID        // the operation to wait for; "" if Err is not nil
	Operation Operation // the operation that was created, joined or found
	Created   bool
	Old       bool
	Err       error // a *ConflictError or *ExpiryError; nothing is stored for this request
}

// Change is an operation with its new values. Its Version is the one that it was read
// with. If the stored version differs, the change is ErrFenced and nothing of it is
// stored.
type Change struct {
	Operation Operation
	// Events are appended to the feed in the same commit, in order. The store sets
	// their Seq and Cursor.
	Events []Event
	// Release says that the claim ends with the change.
	Release bool
	// Next is the operation that the later request of Operation becomes in the same
	// commit; nil means none. Only a change that ends the operation may have it. The
	// store appends the event for the creation of Next after Events, dated FinishedAt.
	Next *Operation
}

// Filter narrows List. A zero field matches every operation. An operation must match all
// fields that are set.
type Filter struct {
	Phases      []fsm.Phase // one of these
	Active      bool        // only operations that have not ended
	StudioID    string
	SessionID   string
	Lane        string
	RequestedBy string
	ClientToken string
	Labels      map[string]string // each of these
	Since       time.Time         // created at or after
	Newest      bool              // true means the newest first, false the oldest first
	Limit       int               // at most this many; 0 means all
	// After begins the list behind the operation with this id, in the order asked for.
	// That operation may be gone or may have ceased to match. So the id of the last
	// operation of a page is the cursor for the next one. "" begins with the first.
	After ID
}

// Retention says what Prune keeps. Active operations are always kept.
type Retention struct {
	// EndedSince keeps operations that ended at or after it, and their tokens.
	EndedSince time.Time
	// Impossible is a time before which no operation can have ended. Operations whose
	// end is dated before it, by a clock that was never set, are kept with their
	// tokens. Zero means that every date is possible.
	Impossible time.Time
	// Events is how many of the newest events are kept; 0 keeps all.
	Events int
}

// Stats counts what is stored.
type Stats struct {
	StoreID     string // a random id, the same each time that the store is opened
	Operations  map[fsm.Phase]int
	First, Head uint64   // the numbers of the first and the last event; First > Head means that the feed is empty
	Bytes       int64    // of the file or database; 0 if it is not known
	FreeBytes   int64    // the part of Bytes that is free for use
	Full        error    // an ErrFull that says why new operations are refused for lack of space; nil if they are not
	Foreign     *Foreign // set if the store belongs to another machine
	Quarantined int      // corrupt records set aside since the store was opened
}

// Foreign says that a store whose state belongs to one machine was opened on another. Its
// disk was cloned, or a folder was copied. The other machine may carry out the same
// operations, so this machine must not run them until Adopt. The store takes requests and
// answers look-ups meanwhile.
//
// An operation that was active and not sent when the store was first opened here may have
// been sent by the other machine. Its outcome counts as unknown from then on. It is
// SentUnknown since it was created.
type Foreign struct {
	Home  string    // the name of the machine that it belongs to; "" if it is not known
	Since time.Time // when it was first opened here
}
