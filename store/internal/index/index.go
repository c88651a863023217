package index

import (
	"iter"
	"math"
	"time"
)

// Entry is what the index keeps of one active operation. Times are Unix
// nanoseconds.
type Entry struct {
	ID       [16]byte // the operation's UUID
	Session  uint32   // a hash of its session; several sessions may share one
	Lane     string
	Due      int64 // when its next step is due
	Deadline int64 // when it must be dealt with, whatever its lane's state
	// Sent says that something may have been sent: the next step is a read of the
	// session, not a send.
	Sent bool
	// Waits says that the operation is due because of its not-before:
	// BringForward leaves it as it is.
	Waits bool
}

// Key identifies an operation in the index.
type Key struct {
	ID      [16]byte
	Session uint32 // as in the operation's Entry
}

// Index holds the active operations of one store. Make one with [New].
type Index struct {
	rows   chunked[row]
	free   uint32 // the first unused row, linked through due; none: no gap
	active int

	table     []uint32 // row+1 by session hash, open addressing; 0: empty
	lanes     []*lane  // by number; nil: unused
	unused    []uint32 // the numbers of those
	names     map[string]uint32
	deadlines heap

	// The next fields are for Dues. seq counts changes. Each lane says when it last changed,
	// and the lanes are linked in that order, the newest first.
	seq          uint64
	newest       *lane
	touched      []*lane
	emptied      []*lane // without active operations, which Dues has yet to report
	deadlineLast int64
}

// row is one active operation.
type row struct {
	id         [16]byte
	due        int64
	deadline   int64
	session    uint32 // the session's hash
	lane       uint32 // the lane's number, and flags in the low bits
	dueAt      uint32 // its place in one of its lane's heaps, or none
	deadlineAt uint32 // its place in the heap of deadlines, or none
}

// The flags of a row.
const (
	rowClaimed  = 1 << iota // a worker has it: it is in no heap
	rowSent                 // something may have been sent: a read, not a send
	rowWaits                // due because of its not-before
	rowChanged              // its record changed while it was claimed
	rowLaneBits = iota
)

func (r *row) has(flag uint32) bool { return r.lane&flag != 0 }

func (r *row) set(flag uint32, on bool) {
	r.lane &^= flag
	if on {
		r.lane |= flag
	}
}

// New returns an empty index.
func New() *Index {
	return &Index{free: none, names: map[string]uint32{}, deadlines: heap{byDeadline: true}, seq: 1}
}

// Len returns how many operations the index holds.
func (x *Index) Len() int { return x.active }

// Add adds an active operation that is not claimed. The index must not hold it yet.
func (x *Index) Add(e Entry) {
	n := x.free
	if n == none {
		n = uint32(x.rows.len()) //nolint:gosec // a store has fewer rows
		x.rows.push(row{})
	} else {
		x.free = uint32(x.rows.at(int(n)).due) //nolint:gosec // it was put there from an uint32
	}
	r := x.rows.at(int(n))
	*r = row{id: e.ID, session: e.Session, dueAt: none, deadlineAt: none}
	l := x.laneFor(e.Lane)
	l.active++
	r.lane = l.number << rowLaneBits
	x.active++
	x.insert(n)
	r.fill(e)
	x.queue(n)
}

// fill copies the parts of an entry that may change.
func (r *row) fill(e Entry) {
	r.due, r.deadline = e.Due, e.Deadline
	r.set(rowSent, e.Sent)
	r.set(rowWaits, e.Waits)
}

// Update says how a commit changed an operation.
type Update struct {
	Entry
	// Release ends the claim. If it is false, a claimed operation stays claimed.
	Release bool
	// Join says that a join changed the record. The due time in memory then stays as it is,
	// whatever the record says, unless the operation waits.
	Join bool
	// Sooner says that the join made the operation due sooner. The earlier of the due times in
	// memory and in the record then counts.
	Sooner bool
}

// Update applies the changed record of an active operation. It does nothing for an operation
// that the index does not hold.
func (x *Index) Update(u Update) {
	n := x.find(Key{u.ID, u.Session})
	if n == none {
		return
	}
	r := x.rows.at(int(n))
	if r.has(rowClaimed) && !u.Release {
		r.fill(u.Entry)
		r.set(rowChanged, true)
		return
	}
	x.unqueue(n)
	switch {
	case !u.Join || u.Waits:
	case u.Sooner:
		u.Due = min(u.Due, r.due)
	default:
		u.Due = r.due
	}
	r.fill(u.Entry)
	r.set(rowClaimed|rowChanged, false)
	x.queue(n)
}

// Remove removes an operation that has ended. It does nothing for an operation that the
// index does not hold.
func (x *Index) Remove(k Key) {
	n := x.find(k)
	if n == none {
		return
	}
	x.unqueue(n)
	x.erase(n)
	r := x.rows.at(int(n))
	l := x.laneOf(r)
	l.active--
	x.touch(l)
	*r = row{due: int64(x.free), dueAt: none, deadlineAt: none}
	x.free = n
	x.active--
	if x.active == 0 { // release the memory
		x.rows, x.free, x.table = chunked[row]{}, none, nil
	}
}

// queue puts a row that is not claimed into the heaps.
func (x *Index) queue(n uint32) {
	r := x.rows.at(int(n))
	l := x.laneOf(r)
	l.heapOf(r).push(x, n)
	x.deadlines.push(x, n)
	x.touch(l)
}

// unqueue removes a row from the heaps that it is in.
func (x *Index) unqueue(n uint32) {
	r := x.rows.at(int(n))
	if r.dueAt == none {
		return
	}
	l := x.laneOf(r)
	l.heapOf(r).remove(x, int(r.dueAt))
	x.deadlines.remove(x, int(r.deadlineAt))
	x.touch(l)
}

// BringForward makes operations due at by that are due later. It leaves out claimed
// operations, and those that wait for their not-before.
func (x *Index) BringForward(by time.Time) {
	due := nanos(by)
	for i := range x.rows.len() {
		r := x.rows.at(i)
		if r.dueAt != none && r.due > due && !r.has(rowWaits) {
			r.due = due
			x.touch(x.laneOf(r))
		}
	}
	for _, l := range x.touched {
		l.sends.order(x)
		l.reads.order(x)
	}
}

// State is an entry in its present state.
type State struct {
	Entry
	Claimed bool
	Changed bool // its record changed while it was claimed: see Index.TakeChanged
}

// All yields every operation, in no order. The caller must not change the index meanwhile.
func (x *Index) All() iter.Seq[State] {
	return func(yield func(State) bool) {
		for i := range x.rows.len() {
			r := x.rows.at(i)
			if r.id == ([16]byte{}) {
				continue // a gap
			}
			s := State{
				Entry: Entry{
					ID: r.id, Session: r.session, Lane: x.laneOf(r).name, Due: r.due, Deadline: r.deadline,
					Sent: r.has(rowSent), Waits: r.has(rowWaits),
				},
				Claimed: r.has(rowClaimed), Changed: r.has(rowChanged),
			}
			if !yield(s) {
				return
			}
		}
	}
}

// nanos returns t in Unix nanoseconds, or 0 for the zero time. For a time that int64
// cannot hold (before 1677 or after 2262) it returns the nearest value.
func nanos(t time.Time) int64 {
	const edge = math.MaxInt64 / int64(time.Second)
	switch s := t.Unix(); {
	case t.IsZero():
		return 0
	case s <= -edge:
		return math.MinInt64
	case s >= edge:
		return math.MaxInt64
	}
	return t.UnixNano()
}

// timeOf returns the due time of a row. The due time 0 is a time too, and means that the
// operation is always due.
func timeOf(n int64) time.Time { return time.Unix(0, n).UTC() }

// deadlineOf returns the time of a deadline, or the zero time for 0, which means that there
// is none.
func deadlineOf(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return timeOf(n)
}
