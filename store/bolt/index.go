package bolt

import "github.com/rouse-dev/rouse/store"

// index holds in memory what must be found fast about active operations, and
// nothing that the file does not: it is built by one scan of the file, and
// changed only after a commit is known to be durable. Its owner's mutex guards
// it.
//
// A row is 48 bytes without a pointer. With its place in two heaps and in the
// table a pending operation costs about 64 bytes, and the garbage collector
// looks at none of them.
type index struct {
	rows   chunked[row]
	free   uint32 // the first unused row, linked through due; none: no gap
	active int

	table     []uint32 // row+1 by session hash, open addressing; 0: empty
	lanes     []*lane  // by number; nil: unused
	unused    []uint32 // the numbers of those
	names     map[string]uint32
	deadlines heap

	// What Due reports. seq counts changes; a lane says when it last changed,
	// and the lanes are linked by that, the newest first.
	seq             uint64
	newest          *lane
	touched         []*lane
	emptied         []*lane // without active operations, and Due has to say so
	deadlineTold    int64
	deadlineChanged uint64
}

// row is one active operation.
type row struct {
	id         rowID
	due        int64 // as nanos
	deadline   int64
	session    uint32 // the session's hash
	lane       uint32 // the lane's number, and flags in the low bits
	dueAt      uint32 // where it stands in one of its lane's heaps, or none
	deadlineAt uint32 // where it stands in the heap of deadlines, or none
}

// The flags of a row.
const (
	rowClaimed  = 1 << iota // somebody holds it: it is in no heap
	rowTried                // something may have been sent: a look, not a send
	rowWaits                // due because of its not-before: nothing pulls it
	rowTouched              // changed while it was claimed
	rowLaneBits = iota
	rowFlags    = 1<<rowLaneBits - 1
)

func (r *row) has(flag uint32) bool { return r.lane&flag != 0 }

func (r *row) set(flag uint32, on bool) {
	r.lane &^= flag
	if on {
		r.lane |= flag
	}
}

func newIndex() *index {
	return &index{free: none, names: map[string]uint32{}, deadlines: heap{byDeadline: true}, seq: 1}
}

// add takes in an active operation that nobody holds.
func (x *index) add(id rowID, h head) {
	n := x.free
	if n == none {
		n = uint32(x.rows.len()) //nolint:gosec // a file has fewer rows
		x.rows.push(row{})
	} else {
		x.free = uint32(x.rows.at(int(n)).due) //nolint:gosec // it was put there from an uint32
	}
	r := x.rows.at(int(n))
	*r = row{id: id, session: h.session, dueAt: none, deadlineAt: none}
	l := x.laneFor(h.lane)
	l.active++
	r.lane = l.number << rowLaneBits
	x.active++
	x.insert(n)
	x.fill(r, h)
	x.queue(n)
}

// fill copies into a row what may change in a record.
func (x *index) fill(r *row, h head) {
	r.due, r.deadline = h.due, h.deadline
	r.set(rowTried, h.sent != store.SentNo)
	r.set(rowWaits, h.waits)
}

// update takes over a changed record of an active operation. With release the
// claim ends; else a claimed operation stays claimed. A join leaves the due time
// as it is in memory, whatever the record says, unless it hastened the operation:
// then the earlier of the two counts.
func (x *index) update(id rowID, h head, release, join, hastened bool) {
	n := x.find(h.session, id)
	if n == none {
		return
	}
	r := x.rows.at(int(n))
	if r.has(rowClaimed) && !release {
		x.fill(r, h)
		r.set(rowTouched, true)
		return
	}
	x.unqueue(n)
	switch {
	case !join || h.waits:
	case hastened:
		h.due = min(h.due, r.due)
	default:
		h.due = r.due
	}
	x.fill(r, h)
	r.set(rowClaimed|rowTouched, false)
	x.queue(n)
}

// remove lets go of an operation that has ended.
func (x *index) remove(id rowID, session uint32) {
	n := x.find(session, id)
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
	if x.active == 0 { // give the memory back
		x.rows, x.free, x.table = chunked[row]{}, none, nil
	}
}

// queue puts a row that nobody holds into the heaps.
func (x *index) queue(n uint32) {
	r := x.rows.at(int(n))
	l := x.laneOf(r)
	l.heapOf(r).push(x, n)
	x.deadlines.push(x, n)
	x.touch(l)
}

// unqueue takes a row out of the heaps, if it is in them.
func (x *index) unqueue(n uint32) {
	r := x.rows.at(int(n))
	if r.dueAt == none {
		return
	}
	l := x.laneOf(r)
	l.heapOf(r).remove(x, int(r.dueAt))
	x.deadlines.remove(x, int(r.deadlineAt))
	x.touch(l)
}

// claim takes a row out of the heaps for somebody.
func (x *index) claim(n uint32) {
	x.unqueue(n)
	x.rows.at(int(n)).set(rowClaimed, true)
}

// release ends a claim; due says when it is due from now on.
func (x *index) release(n uint32, due int64, waits bool) {
	r := x.rows.at(int(n))
	if !r.has(rowClaimed) {
		return
	}
	r.due = due
	if r.has(rowTried) {
		r.deadline = max(r.deadline, due+int64(store.OverdueAgain))
	}
	r.set(rowClaimed|rowTouched, false)
	r.set(rowWaits, waits)
	x.queue(n)
}

// pull makes due at by what is due later, not claimed and not waiting for its
// not-before.
func (x *index) pull(by int64) {
	for i := range x.rows.len() {
		r := x.rows.at(i)
		if r.dueAt != none && r.due > by && !r.has(rowWaits) {
			r.due = by
			x.touch(x.laneOf(r))
		}
	}
	for _, l := range x.touched {
		l.sends.order(x)
		l.looks.order(x)
	}
}

// The table of sessions: open addressing with linear probing, at most three
// quarters full.

func (x *index) slot(session uint32) int {
	// Fibonacci hashing spreads what the sum left close together.
	return int(uint64(session)*0x9e3779b97f4a7c15>>32) & (len(x.table) - 1)
}

// insert puts a row that x.active counts already into the table.
func (x *index) insert(n uint32) {
	if 4*x.active > 3*len(x.table) {
		old := x.table
		x.table = make([]uint32, max(16, 2*len(old)))
		for _, v := range old {
			if v != 0 {
				x.enter(v - 1)
			}
		}
	}
	x.enter(n)
}

// enter puts a row into the first free slot from its own on.
func (x *index) enter(n uint32) {
	i := x.slot(x.rows.at(int(n)).session)
	for x.table[i] != 0 {
		i = (i + 1) & (len(x.table) - 1)
	}
	x.table[i] = n + 1
}

// erase takes a row out of the table and closes the gap that probing would
// stop at.
func (x *index) erase(n uint32) {
	mask := len(x.table) - 1
	i := x.slot(x.rows.at(int(n)).session)
	for x.table[i] != n+1 {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; x.table[j] != 0; j = (j + 1) & mask {
		home := x.slot(x.rows.at(int(x.table[j] - 1)).session)
		if (j-home)&mask >= (j-i)&mask {
			x.table[i] = x.table[j]
			i = j
		}
	}
	x.table[i] = 0
}

// candidates calls fn with the rows that may be of a session, until it returns
// false. A hit is verified by the id or against the record.
func (x *index) candidates(session uint32, fn func(n uint32) bool) {
	if len(x.table) == 0 {
		return
	}
	for i := x.slot(session); x.table[i] != 0; i = (i + 1) & (len(x.table) - 1) {
		n := x.table[i] - 1
		if x.rows.at(int(n)).session == session && !fn(n) {
			return
		}
	}
}

// find is the row of an operation, or none.
func (x *index) find(session uint32, id rowID) uint32 {
	found := none
	x.candidates(session, func(n uint32) bool {
		if x.rows.at(int(n)).id == id {
			found = n
		}
		return found == none
	})
	return found
}
