package index

import "github.com/rouse-dev/rouse/store"

// Claim takes what a request has slots for. It returns first what is due, lane
// by lane in the order of the request, and then what is overdue. Overdue
// operations are taken first, so that no operation is in both.
func (x *Index) Claim(r store.ClaimRequest) (due, overdue []Key) {
	now := nanos(r.Now)
	overdue = x.take(&x.deadlines, now, r.Overdue)
	for _, slots := range r.Lanes {
		l := x.laneNamed(slots.Lane)
		if l == nil {
			continue
		}
		due = append(due, x.take(&l.sends, now, slots.Sends)...)
		due = append(due, x.take(&l.reads, now, slots.Reads)...)
	}
	return due, overdue
}

// take claims up to limit rows of a heap whose time has come.
func (x *Index) take(h *heap, now int64, limit int) []Key {
	var out []Key
	for len(out) < limit {
		n := h.first()
		if n == none || h.key(x.rows.at(int(n))) > now {
			break
		}
		r := x.rows.at(int(n))
		out = append(out, Key{ID: r.id, Session: r.session})
		x.unqueue(n)
		r.set(rowClaimed, true)
	}
	return out
}

// Remaining fills in what remains after a claim: Lanes and Deadline. It publishes
// what the claim changed and reports whether Dues has news. The claimer learns
// the state of the lanes that it named from out, so that is not news.
func (x *Index) Remaining(r store.ClaimRequest, out *store.Claimed) bool {
	news := x.publish(func(lane string) bool {
		for _, slots := range r.Lanes {
			if slots.Lane == lane {
				return true
			}
		}
		return false
	})
	out.Lanes = make([]store.LaneDue, len(r.Lanes))
	for i, slots := range r.Lanes {
		out.Lanes[i] = x.LaneDue(slots.Lane)
	}
	out.Deadline = deadlineOf(x.deadline())
	return news
}

// PutBack ends a claim that came to nothing: the operation is due when it was.
// It does nothing for one that is not claimed.
func (x *Index) PutBack(k Key) {
	if r := x.claimed(k); r != nil {
		x.release(k, r.due, r.has(rowWaits))
	}
}

// Release ends the claim of an operation, which is due from now on at due, in
// Unix nanoseconds. One whose record changed while it was claimed is due as that
// change says: see TakeChanged. One that was sent is overdue no sooner than
// [store.OverdueAgain] after its due time. Release does nothing for an operation
// that is not claimed.
func (x *Index) Release(k Key, due int64, waits bool) {
	r := x.claimed(k)
	if r == nil {
		return
	}
	if r.has(rowChanged) {
		due, waits = r.due, r.has(rowWaits)
	}
	x.release(k, due, waits)
}

func (x *Index) release(k Key, due int64, waits bool) {
	n := x.find(k)
	r := x.rows.at(int(n))
	r.due = due
	if r.has(rowSent) {
		r.deadline = max(r.deadline, due+int64(store.OverdueAgain))
	}
	r.set(rowClaimed|rowChanged, false)
	r.set(rowWaits, waits)
	x.queue(n)
}

// ReleaseAll ends every claim: each operation is due as its record says.
func (x *Index) ReleaseAll() {
	for i := range x.rows.len() {
		if r := x.rows.at(i); r.has(rowClaimed) {
			r.set(rowClaimed|rowChanged, false)
			x.queue(uint32(i)) //nolint:gosec // rows are numbered by uint32
		}
	}
}

// TakeChanged reports whether the record of a claimed operation changed since it
// was claimed, and clears that mark. Before it releases the operation, the driver
// must find out whether the claimer has seen the change. If not, or if it cannot
// tell, it sets the mark again with MarkChanged.
func (x *Index) TakeChanged(k Key) bool {
	r := x.claimed(k)
	if r == nil || !r.has(rowChanged) {
		return false
	}
	r.set(rowChanged, false)
	return true
}

// MarkChanged sets the mark that TakeChanged cleared. It does nothing for an
// operation that is not claimed.
func (x *Index) MarkChanged(k Key) {
	if r := x.claimed(k); r != nil {
		r.set(rowChanged, true)
	}
}

// claimed is the row of a claimed operation, or nil.
func (x *Index) claimed(k Key) *row {
	n := x.find(k)
	if n == none || !x.rows.at(int(n)).has(rowClaimed) {
		return nil
	}
	return x.rows.at(int(n))
}
