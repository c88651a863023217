package store

import (
	"context"
	"iter"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// Store keeps operations, feed and lanes. It is safe for concurrent use. A
// context ends the waiting, never a commit under way. The interface may grow
// until v1.0.
type Store interface {
	// Enqueue stores each operation, or joins it to another, as driver.Decide says,
	// in the order given and with each other in view, and returns when all is
	// durable. The caller fills in everything but Version, and may use ops again
	// when it returns. An error is for the whole call, and after ErrUnknown some
	// may be stored.
	Enqueue(ctx context.Context, ops []Operation) ([]Receipt, error)

	// Apply stores the changes, each with its event, and returns one error a
	// change (nil, ErrFenced or ErrNotFound) when all is durable. The second
	// error is for the whole call.
	Apply(ctx context.Context, changes []Change) ([]error, error)

	// Own begins the ownership of the store's lanes, which lasts until ctx ends. A
	// running engine needs it: only the owner claims operations. At most one
	// ownership of a store exists at a time: Own returns ErrOwned while another
	// lasts. What a former owner claimed and did not release is free again.
	Own(ctx context.Context) (Claims, error)

	// Operation, BySession and ByToken look one up, or return ErrNotFound. The id
	// of a later wish leads to the operation that keeps it, until the wish has
	// become an operation of its own.
	Operation(ctx context.Context, id ID) (Operation, error)
	// BySession is the active operation of a session, else its latest.
	BySession(ctx context.Context, ref transport.Ref) (Operation, error)
	ByToken(ctx context.Context, token string) (Operation, error)
	// List yields the operations that f fits, by age, in pages: what changes
	// meanwhile may be seen or not. It stops after an error.
	List(ctx context.Context, f Filter) iter.Seq2[Operation, error]

	// Events returns up to limit events after a cursor, none if it is the head.
	Events(ctx context.Context, after Cursor, limit int) ([]Event, error)
	// Head is the cursor of the latest event.
	Head(ctx context.Context) (Cursor, error)
	// Await returns nil when there is an event after the cursor.
	Await(ctx context.Context, after Cursor) error

	// Lanes returns every lane of which something is stored, by name.
	Lanes(ctx context.Context) ([]Lane, error)
	// Lane returns what is stored of one lane: nothing but its name where nothing
	// is.
	Lane(ctx context.Context, name string) (Lane, error)
	// SetPaused stores whether sends of a lane are paused, and who said so.
	SetPaused(ctx context.Context, lane string, paused bool, by string, at time.Time) error
	// SetRetryAfter stores that no call of a lane may be made before until.
	SetRetryAfter(ctx context.Context, lane string, until, heard time.Time) error
	// SetBlock stores why a lane is blocked; the zero Block: it is not.
	SetBlock(ctx context.Context, lane string, b Block) error
	// SetPace stores the rate that a lane reached, in calls a second, and when
	// the provider last throttled it.
	SetPace(ctx context.Context, lane string, pace int, throttledAt time.Time) error

	// Records returns the small records of a kind, by name.
	Records(ctx context.Context, kind string) ([]Record, error)
	// PutRecord stores r in place of the record of its kind and name. A nil Value
	// removes that.
	PutRecord(ctx context.Context, r Record) error

	// Prune removes what k does not keep, up to 1,000 records a commit, and
	// returns how many operations and events went.
	Prune(ctx context.Context, k Retention) (int, error)
	Stats(ctx context.Context) (Stats, error)

	// Close waits for the commit under way and shuts the store. Calls that
	// wait return ErrClosed. A second Close does nothing.
	Close() error
}

// Backuper is a Store that can write a copy of itself to a new file.
type Backuper interface {
	// Backup writes a consistent copy to a new file at path, while other calls go on.
	// A file that is there already is an error that wraps fs.ErrExist, and is kept.
	Backup(ctx context.Context, path string) error
}

// Receipt says what became of one operation given to Enqueue. If Err is nil, the
// request did one of three things:
//
//	Created  Old    the request
//	true     false  created Operation
//	false    false  joined Operation, which was active
//	false    true   found Operation, which its token began and which has ended;
//	                nothing starts
type Receipt struct {
	ID        ID        // what to wait for; "" if Err is not nil
	Operation Operation // the one created, joined or found
	Created   bool
	Old       bool
	Err       error // *ConflictError or *ExpiryError: nothing is stored for this request
}

// Adopter is a Store whose state belongs to one machine: see [Stats.Foreign].
type Adopter interface {
	// Adopt makes a foreign store this machine's own and appends the event that
	// says so. The event names no operation and has ReasonAdopted. A store that is
	// not foreign is left as it is.
	Adopt(ctx context.Context, by string, at time.Time) error
}

// Change is an operation as it shall be; its Version is the one it was read
// with. Events are appended to the feed in the same commit, in order; their Seq
// and Cursor are the store's to set.
type Change struct {
	Operation Operation
	Events    []Event
	Release   bool // the claim ends with it
	// Next is the operation that the operation's later wish becomes in the same
	// commit; nil: none. Only a change that ends the operation may have it. The
	// event that Next was created follows Events, at FinishedAt.
	Next *Operation
}

// Filter narrows List. Zero fields fit everything; all that are set must fit.
type Filter struct {
	Phases      []fsm.Phase
	Active      bool // only what has not ended
	StudioID    string
	SessionID   string
	Lane        string
	RequestedBy string
	ClientToken string
	Labels      map[string]string // each of these
	Since       time.Time         // created at or after
	Newest      bool              // the newest first; else the oldest
	Limit       int               // 0: all
}

// Keep says what Prune leaves. Active operations are always kept.
type Retention struct {
	EndedSince time.Time // ended operations finished at or after, and their tokens
	// Impossible is a time before which nothing can have finished. Operations whose
	// end is dated before it, by a clock that was never set, are kept with their
	// tokens. Zero means that every date is possible.
	Impossible time.Time
	Events     int // the newest so many events; 0: all
}

// Stats counts what is stored.
type Stats struct {
	StoreID     string
	Operations  map[fsm.Phase]int
	First, Head uint64   // the feed's sequences; First > Head: it is empty
	Bytes       int64    // of the file or database; 0: not known
	FreeBytes   int64    // of those, free for use
	Full        error    // why starts are refused for want of room, an ErrFull; nil: they are not
	Foreign     *Foreign // the store belongs to another machine; nil: it does not
	Quarantined int      // damaged records set aside since the store was opened
}

// Held says that a store whose state belongs to one machine was opened on another:
// its disk was cloned, or a folder copied. The other machine may carry out the same
// operations, so that nobody here must, until Adopt. It takes requests, and answers.
// What was active when it was first opened here, and not sent, counts as perhaps
// sent from then on: SentUnknown, since it was created.
type Foreign struct {
	Home  string    // the machine that it belongs to, as that called itself; "" not known
	Since time.Time // when it was first opened here
}
