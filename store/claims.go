package store

import (
	"context"
	"time"
)

// Claims hands out operations to the one owner of a store's lanes; see [Store].Own. It is
// safe for concurrent use.
//
// Claims, and the due times that Release and BringForward set, are in the owner's memory.
// They are never written. They end with the context that Own was given. Afterwards each
// call returns that context's error, and a call that waits returns.
type Claims interface {
	// Claim takes operations that are due and not claimed. A claimed operation is not
	// claimed again until it is released, until a Change with Release is applied to it,
	// or until the ownership ends.
	Claim(ctx context.Context, r ClaimRequest) (Claimed, error)

	// Release ends the claims of ops, which are due at their DueAt from then on. An
	// operation whose record was changed since the caller read it is due as that change
	// says. Release ignores an operation that is not claimed. One that was sent is
	// overdue no sooner than [OverdueAgain] after its DueAt, so that it is read first.
	Release(ctx context.Context, ops []Operation) error

	// Due waits until the earliest due time of some lane, or the earliest deadline,
	// has changed since seen, and returns what changed. With seen 0 it returns at
	// once, with every lane that has active operations.
	Due(ctx context.Context, seen uint64) (Dues, error)

	// BringForward makes operations due at by that are due later. It skips claimed
	// operations and those that wait for their not-before. A later join does not change
	// that. It corrects what a clock that jumped has put off.
	BringForward(ctx context.Context, by time.Time) error
}

// OverdueAgain is the shortest time between the DueAt of a released operation that
// was sent and the moment it is overdue.
const OverdueAgain = 10 * time.Minute

// ClaimRequest says how many operations the caller can take.
type ClaimRequest struct {
	Now   time.Time
	Lanes []LaneSlots
	// Overdue is how many operations whose Deadline has passed may be taken, whatever
	// their lane.
	Overdue int
}

// LaneSlots are the free slots of one lane: how many operations it can take now.
type LaneSlots struct {
	Lane  string
	Sends int // for operations that were never sent (SentNo)
	Reads int // for all other operations
}

// Claimed is what Claim took.
type Claimed struct {
	// Operations are those for each LaneSlots, in the order of the request. Those that
	// were never sent come first, then the others, each in the order they were due.
	Operations []Operation
	Overdue    []Operation // in the order of their deadlines
	Lanes      []LaneDue   // the rest of each LaneSlots, in order
	Deadline   time.Time   // when the earliest unclaimed one is due; the zero time if there is none
}

// LaneDue is when the earliest unclaimed operations of a lane are due. Zero means that
// there is none.
type LaneDue struct {
	Lane string
	Send time.Time // those that were never sent
	Read time.Time // all others
}

// Dues is what Due returns.
type Dues struct {
	Lanes    []LaneDue // the lanes that have changed
	Deadline time.Time // the earliest deadline of an unclaimed one; the zero time if there is none
	Seen     uint64    // for the next call
}
