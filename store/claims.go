package store

import (
	"context"
	"time"
)

// Claims hands out operations to the one owner of a store's lanes: see
// [Store].Own. It is safe for concurrent use.
//
// Claims, and the due times that Release and BringForward set, are the owner's
// memory: nothing is written. They end with the context that Own was given. From
// then on each call returns that context's error, and a call that waits returns.
type Claims interface {
	// Claim takes operations whose time has come and that are not claimed. A claimed
	// operation is not claimed again until it is released, until a Change with
	// Release is applied to it, or until the ownership ends.
	Claim(ctx context.Context, r ClaimRequest) (Claimed, error)

	// Release ends the claims of ops, which are due at their DueAt from now on. An
	// operation whose record was changed since the caller read it is due as that
	// change says. An operation that is not claimed is left as it is. One that was
	// sent is overdue no sooner than [OverdueAgain] after its DueAt: first it is
	// read in its turn.
	Release(ctx context.Context, ops []Operation) error

	// Due waits until the earliest due time of some lane, or the earliest deadline,
	// has changed since seen, and returns what changed. With seen 0 it returns at
	// once, with every lane that has active operations.
	Due(ctx context.Context, seen uint64) (Dues, error)

	// BringForward makes due at by what is due later, is not claimed and does not
	// wait for its not-before. A later join leaves that as it is. It corrects what a
	// clock that jumped has put off.
	BringForward(ctx context.Context, by time.Time) error
}

// OverdueAgain is the shortest time between the DueAt of a released operation that
// was sent and the moment it is overdue.
const OverdueAgain = 10 * time.Minute

// ClaimRequest says how many operations the caller can take.
type ClaimRequest struct {
	Now   time.Time
	Lanes []LaneSlots
	// Overdue is how many operations whose Deadline has passed may be taken,
	// whatever their lane.
	Overdue int
}

// LaneSlots are the free slots of one lane: how many operations it can take now.
type LaneSlots struct {
	Lane  string
	Sends int // of operations that were never sent (SentNo)
	Reads int // of all other operations
}

// Claimed is what Claim took.
type Claimed struct {
	// Operations are those of each LaneSlots, in the order of the request: first
	// those that were never sent, then the others, each in the order they were due.
	Operations []Operation
	Overdue    []Operation // in the order of their deadlines
	Lanes      []LaneDue   // one for each LaneSlots, in order: what remains
	Deadline   time.Time   // the earliest of those not claimed; zero: there is none
}

// LaneDue is when the earliest operations of a lane are due, of those that are not
// claimed. Zero means that there is none.
type LaneDue struct {
	Lane string
	Send time.Time // of those that were never sent
	Read time.Time // of the others
}

// Dues is what Due returns.
type Dues struct {
	Lanes    []LaneDue // that have changed
	Deadline time.Time // the earliest of those not claimed; zero: there is none
	Seen     uint64    // for the next call
}
