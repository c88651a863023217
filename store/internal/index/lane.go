package index

import (
	"slices"

	"github.com/rouse-dev/rouse/store"
)

// lane is what the index holds of a lane with active operations. A lane stays after its last
// operation ended, until Dues has reported that the lane is empty.
type lane struct {
	name         string
	number       uint32
	active       int
	sends, reads heap // of what is not claimed

	// last is what Dues or Remaining last reported as the earliest due times. changed is the
	// index's seq at that time.
	last         store.LaneDue
	changed      uint64
	touched      bool
	newer, older *lane
}

func (l *lane) heapOf(r *row) *heap {
	if r.has(rowSent) {
		return &l.reads
	}
	return &l.sends
}

// LaneDue returns when the earliest operations of a lane are due.
func (x *Index) LaneDue(name string) store.LaneDue {
	if l := x.laneNamed(name); l != nil {
		return x.dues(l)
	}
	return store.LaneDue{Lane: name}
}

// dues is LaneDue for a lane of the index.
func (x *Index) dues(l *lane) store.LaneDue {
	d := store.LaneDue{Lane: l.name}
	if n := l.sends.first(); n != none {
		d.Send = timeOf(x.rows.at(int(n)).due)
	}
	if n := l.reads.first(); n != none {
		d.Read = timeOf(x.rows.at(int(n)).due)
	}
	return d
}

func (x *Index) laneOf(r *row) *lane { return x.lanes[r.lane>>rowLaneBits] }

// laneNamed returns the lane of that name, or nil.
func (x *Index) laneNamed(name string) *lane {
	if n, ok := x.names[name]; ok {
		return x.lanes[n]
	}
	return nil
}

// laneFor returns the lane of that name. It makes the lane if there is none.
func (x *Index) laneFor(name string) *lane {
	if l := x.laneNamed(name); l != nil {
		return l
	}
	l := &lane{name: name, last: store.LaneDue{Lane: name}}
	if last := len(x.unused) - 1; last >= 0 {
		l.number = x.unused[last]
		x.unused = x.unused[:last]
		x.lanes[l.number] = l
	} else {
		l.number = uint32(len(x.lanes)) //nolint:gosec // lanes are few
		x.lanes = append(x.lanes, l)
	}
	x.names[name] = l.number
	x.link(l)
	return l
}

// touch notes that the earliest due times of a lane may have changed. publish compares them
// later.
func (x *Index) touch(l *lane) {
	if !l.touched {
		l.touched = true
		x.touched = append(x.touched, l)
	}
}

// Publish counts what changed since the last call and reports whether Dues has
// news. The driver calls it after each group of changes.
func (x *Index) Publish() bool { return x.publish(nil) }

// publish counts a change for each touched lane whose earliest due times differ from what
// was reported, and for the earliest deadline. A claimer learns the deadline from its own
// call, and so it does the state of the lanes for which known returns true. These are no
// news for it. A nil known means that there is no claimer.
//
// publish removes a lane without active operations after that was reported.
func (x *Index) publish(known func(lane string) bool) bool {
	before := x.seq
	for _, l := range x.touched {
		l.touched = false
		now := x.dues(l)
		news := now != l.last && (known == nil || !known(l.name))
		l.last = now
		switch {
		case news:
			x.seq++
			l.changed = x.seq
			x.unlink(l)
			x.link(l)
			if l.active == 0 && !slices.Contains(x.emptied, l) { // added twice, it would be removed twice
				x.emptied = append(x.emptied, l)
			}
		case l.active == 0 && !slices.Contains(x.emptied, l):
			x.forget(l)
		}
	}
	x.touched = x.touched[:0]
	if d := x.deadline(); d != x.deadlineLast {
		x.deadlineLast = d
		if known == nil {
			x.seq++
		}
	}
	return x.seq != before
}

// deadline returns the earliest deadline of the operations that are not claimed, or 0 if
// there is none.
func (x *Index) deadline() int64 {
	if n := x.deadlines.first(); n != none {
		return x.rows.at(int(n)).deadline
	}
	return 0
}

// Dues returns what changed since an earlier call returned seen, or false if nothing
// changed. If seen is 0 or comes from another Index, Dues returns every lane that has active
// operations.
func (x *Index) Dues(seen uint64) (store.Dues, bool) {
	if seen > x.seq {
		seen = 0
	}
	if seen == x.seq {
		return store.Dues{}, false
	}
	return store.Dues{Lanes: x.since(seen), Deadline: deadlineOf(x.deadline()), Seen: x.seq}, true
}

// since returns the lanes that changed after seen. For 0 it returns all lanes that have
// active operations.
func (x *Index) since(seen uint64) []store.LaneDue {
	var out []store.LaneDue
	for l := x.newest; l != nil && (l.changed > seen || seen == 0); l = l.older {
		if l.active > 0 || seen > 0 {
			out = append(out, l.last)
		}
	}
	x.emptied = slices.DeleteFunc(x.emptied, func(l *lane) bool {
		switch {
		case l.active > 0: // it is in use again
			return true
		case l.changed > seen:
			return false
		}
		x.forget(l)
		return true
	})
	return out
}

func (x *Index) forget(l *lane) {
	x.unlink(l)
	delete(x.names, l.name)
	x.lanes[l.number] = nil
	x.unused = append(x.unused, l.number)
}

// link makes a lane the newest in the order of changes. unlink removes it.
func (x *Index) link(l *lane) {
	l.older, l.newer = x.newest, nil
	if x.newest != nil {
		x.newest.newer = l
	}
	x.newest = l
}

func (x *Index) unlink(l *lane) {
	if l.newer != nil {
		l.newer.older = l.older
	} else {
		x.newest = l.older
	}
	if l.older != nil {
		l.older.newer = l.newer
	}
	l.newer, l.older = nil, nil
}
