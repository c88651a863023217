package bolt

import (
	"slices"
	"time"

	"github.com/rouse-dev/rouse/store"
)

// lane is what the index holds of a lane with active operations, and for a
// while of one that had some.
type lane struct {
	name         string
	number       uint32
	active       int
	sends, looks heap // of what nobody holds

	// told is what Due or Claim last gave as the earliest due times, and
	// changed the index's count when that changed.
	told         store.LaneDue
	changed      uint64
	touched      bool
	newer, older *lane
}

func (l *lane) heapOf(r *row) *heap {
	if r.has(rowTried) {
		return &l.looks
	}
	return &l.sends
}

// dues is when the earliest of a lane are due.
func (x *index) dues(l *lane) store.LaneDue {
	d := store.LaneDue{Lane: l.name}
	if n := l.sends.first(); n != none {
		d.Send = fromDue(x.rows.at(int(n)).due)
	}
	if n := l.looks.first(); n != none {
		d.Read = fromDue(x.rows.at(int(n)).due)
	}
	return d
}

// fromDue is a due time of a row. An operation that is always due is not the
// same as none.
func fromDue(n int64) time.Time { return time.Unix(0, n).UTC() }

func (x *index) laneOf(r *row) *lane { return x.lanes[r.lane>>rowLaneBits] }

// laneNamed is the lane of that name, or nil.
func (x *index) laneNamed(name string) *lane {
	if n, ok := x.names[name]; ok {
		return x.lanes[n]
	}
	return nil
}

// laneFor is the lane of that name, made if there is none.
func (x *index) laneFor(name string) *lane {
	if l := x.laneNamed(name); l != nil {
		return l
	}
	l := &lane{name: name, told: store.LaneDue{Lane: name}}
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

// touch notes that the earliest due times of a lane may have changed; publish
// finds out.
func (x *index) touch(l *lane) {
	if !l.touched {
		l.touched = true
		x.touched = append(x.touched, l)
	}
}

// publish counts a change for every touched lane whose earliest due times are
// others than were told, and for the earliest deadline, and reports whether
// there was one. A nil known says that nobody was told anything; else who
// claimed is told of the lanes that known names, and of the deadline.
//
// A lane without active operations is forgotten once that was told.
func (x *index) publish(known func(name string) bool) bool {
	before := x.seq
	for _, l := range x.touched {
		l.touched = false
		now := x.dues(l)
		news := now != l.told && (known == nil || !known(l.name))
		l.told = now
		switch {
		case news:
			x.seq++
			l.changed = x.seq
			x.unlink(l)
			x.link(l)
			if l.active == 0 && !slices.Contains(x.emptied, l) { // else it is forgotten twice
				x.emptied = append(x.emptied, l)
			}
		case l.active == 0 && !slices.Contains(x.emptied, l):
			x.forget(l)
		}
	}
	x.touched = x.touched[:0]
	if d := x.deadline(); d != x.deadlineTold {
		x.deadlineTold = d
		if known == nil {
			x.seq++
			x.deadlineChanged = x.seq
		}
	}
	return x.seq != before
}

// deadline is the earliest of what nobody holds; 0: none.
func (x *index) deadline() int64 {
	if n := x.deadlines.first(); n != none {
		return x.rows.at(int(n)).deadline
	}
	return 0
}

// since lists the lanes that changed after seen, or for 0 all that have active
// operations.
func (x *index) since(seen uint64) []store.LaneDue {
	var out []store.LaneDue
	for l := x.newest; l != nil && (l.changed > seen || seen == 0); l = l.older {
		if l.active > 0 || seen > 0 {
			out = append(out, l.told)
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

func (x *index) forget(l *lane) {
	x.unlink(l)
	delete(x.names, l.name)
	x.lanes[l.number] = nil
	x.unused = append(x.unused, l.number)
}

// link puts a lane in front of the order of changes, unlink takes it out.
func (x *index) link(l *lane) {
	l.older, l.newer = x.newest, nil
	if x.newest != nil {
		x.newest.newer = l
	}
	x.newest = l
}

func (x *index) unlink(l *lane) {
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
