package index

import "github.com/rouse-dev/rouse/store"

// Claim claims as many operations as the request has slots for. It returns the due ones
// first, lane by lane in the order of the request, and then the overdue ones. It claims the
// overdue ones first, so that no operation is in both lists.
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

// take claims up to limit rows of a heap that are due at now.
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

// Remaining sets out.Lanes and out.Deadline to what remains after a claim. It publishes what
// the claim changed, and reports whether Dues has news. The state of the lanes in the
// request is no news, because the claimer reads it from out.
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

// PutBack ends a claim that the driver could not use. The operation is due when it was due
// before. PutBack does nothing for an operation that is not claimed.
func (x *Index) PutBack(k Key) {
	if r := x.claimed(k); r != nil {
		x.release(k, r.due, r.has(rowWaits))
	}
}

// Release ends the claim of an operation, whose next step is then due at due, in Unix
// nanoseconds. If its record changed while it was claimed, the due time of that change
// counts instead: see TakeChanged. An operation that was sent is overdue no sooner than
// [store.OverdueAgain] after its due time. Release does nothing for an operation that is not
// claimed.
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

// ReleaseAll ends every claim. Each operation is then due as its record says.
func (x *Index) ReleaseAll() {
	for i := range x.rows.len() {
		if r := x.rows.at(i); r.has(rowClaimed) {
			r.set(rowClaimed|rowChanged, false)
			x.queue(uint32(i)) //nolint:gosec // rows are numbered by uint32
		}
	}
}

// TakeChanged reports whether the record of a claimed operation changed since it was
// claimed, and clears that mark. Before it releases the operation, the driver must find out
// whether the claimer has seen the change. If the claimer has not, or if the driver does
// not know, the driver sets the mark again with MarkChanged.
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

// claimed returns the row of a claimed operation, or nil.
func (x *Index) claimed(k Key) *row {
	n := x.find(k)
	if n == none || !x.rows.at(int(n)).has(rowClaimed) {
		return nil
	}
	return x.rows.at(int(n))
}
