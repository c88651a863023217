package bolt

import (
	"cmp"
	"context"
	"time"

	"github.com/rouse-dev/rouse/store"
)

// taken is a row that Claim took out of the tables.
type taken struct {
	id      rowID
	session uint32
	due     int64 // or its deadline, for what is overdue
}

// Claim implements store.Store. Nothing is written: a claim lasts as long as
// this Store is open.
func (s *Store) Claim(ctx context.Context, r store.ClaimRequest) (store.Claimed, error) {
	if err := cmp.Or(s.ready(ctx), s.writable()); err != nil {
		return store.Claimed{}, err
	}
	s.mu.Lock()
	overdue := s.index.takeOverdue(nanos(r.Now), r.Overdue)
	var due []taken
	for _, room := range r.Lanes {
		due = append(due, s.index.takeDue(room, r.Now)...)
	}
	s.mu.Unlock()

	var out store.Claimed
	err := s.view(ctx, func(b buckets) error {
		out = store.Claimed{} // fn may run again
		out.Overdue = s.readTaken(b, overdue)
		out.Operations = s.readTaken(b, due)
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		for _, t := range append(overdue, due...) {
			s.putBack(t)
		}
		if s.index.publish(nil) {
			s.wakeDue()
		}
		return store.Claimed{}, err
	}
	s.tellClaimer(r, &out)
	return out, nil
}

// tellClaimer fills in what remains. Who claims is told here, so Due has no
// news of it.
func (s *Store) tellClaimer(r store.ClaimRequest, out *store.Claimed) {
	named := func(lane string) bool {
		for _, room := range r.Lanes {
			if room.Lane == lane {
				return true
			}
		}
		return false
	}
	if s.index.publish(named) {
		s.wakeDue()
	}
	out.Lanes = make([]store.LaneDue, len(r.Lanes))
	for i, room := range r.Lanes {
		out.Lanes[i] = store.LaneDue{Lane: room.Lane}
		if l := s.index.laneNamed(room.Lane); l != nil {
			out.Lanes[i] = s.index.dues(l)
		}
	}
	out.Deadline = fromNanos(s.index.deadline())
}

// putBack undoes a claim that came to nothing; s.mu must be held.
func (s *Store) putBack(t taken) {
	if n := s.index.find(t.session, t.id); n != none {
		r := s.index.rows.at(int(n))
		s.index.release(n, r.due, r.has(rowWaits))
	}
}

// readTaken reads the records of what was taken. What ended in between is left
// out, and a damaged one is set aside.
func (s *Store) readTaken(b buckets, ts []taken) []store.Operation {
	out := make([]store.Operation, 0, len(ts))
	for _, t := range ts {
		o, err := b.operation(t.id)
		if err != nil {
			s.drop(t, s.named(err))
			continue
		}
		if o.Active() {
			out = append(out, o)
		}
	}
	return out
}

// drop lets go of an operation whose record is damaged: nobody can do anything
// with it, and the rest goes on.
func (s *Store) drop(t taken, err error) {
	s.note(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.remove(t.id, t.session)
}

// takeOverdue claims up to limit operations whose deadline has come.
func (x *index) takeOverdue(now int64, limit int) []taken {
	var out []taken
	for len(out) < limit {
		n := x.deadlines.first()
		if n == none || x.rows.at(int(n)).deadline > now {
			break
		}
		r := x.rows.at(int(n))
		out = append(out, taken{id: r.id, session: r.session, due: r.deadline})
		x.claim(n)
	}
	return out
}

// takeDue claims what a lane has room for.
func (x *index) takeDue(room store.LaneSlots, now time.Time) []taken {
	l := x.laneNamed(room.Lane)
	if l == nil {
		return nil
	}
	out := x.takeFrom(&l.sends, nanos(now), room.Sends)
	return append(out, x.takeFrom(&l.looks, nanos(now), room.Reads)...)
}

func (x *index) takeFrom(h *heap, by int64, limit int) []taken {
	var out []taken
	for len(out) < limit {
		n := h.first()
		if n == none || x.rows.at(int(n)).due > by {
			break
		}
		r := x.rows.at(int(n))
		out = append(out, taken{id: r.id, session: r.session, due: r.due})
		x.claim(n)
	}
	return out
}

// Release implements store.Store. An operation that was changed by somebody
// else since the caller read it is due as that change says.
func (s *Store) Release(ctx context.Context, ops []store.Operation) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	stale, err := s.stale(ctx, ops)
	if err == nil {
		s.release(ops, stale)
	}
	return err
}

// release ends the claims. What is stale is due as its row says, and so is what was
// touched since stale looked.
func (s *Store) release(ops []store.Operation, stale map[store.ID]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range ops {
		key, ok := parseID(ops[i].ID)
		if !ok {
			continue
		}
		n := s.index.find(sessionHash(ops[i].Ref), key)
		if n == none {
			continue
		}
		h := headOf(&ops[i])
		if r := s.index.rows.at(int(n)); stale[ops[i].ID] || r.has(rowTouched) {
			h.due, h.waits = r.due, r.has(rowWaits)
		}
		s.index.release(n, h.due, h.waits)
	}
	if s.index.publish(nil) {
		s.wakeDue()
	}
}

// stale says which of ops were changed since they were read. Only what was
// touched while it was claimed needs its record read; one that is touched later
// has its mark again.
func (s *Store) stale(ctx context.Context, ops []store.Operation) (map[store.ID]bool, error) {
	touched := map[rowID]*store.Operation{}
	s.mu.Lock()
	for i := range ops {
		if r, key := s.claimed(&ops[i]); r != nil && r.has(rowTouched) {
			touched[key] = &ops[i]
			r.set(rowTouched, false)
		}
	}
	s.mu.Unlock()
	if len(touched) == 0 {
		return nil, nil
	}
	stale := map[store.ID]bool{}
	err := s.view(ctx, func(b buckets) error {
		for key, o := range touched {
			if now, err := b.operation(key); err == nil {
				stale[o.ID] = now.Version != o.Version
			}
		}
		return nil
	})
	if err != nil { // whoever asks again must find out
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, o := range touched {
			if r, _ := s.claimed(o); r != nil {
				r.set(rowTouched, true)
			}
		}
	}
	return stale, err
}

// claimed is the row of an operation that somebody holds, or nil; s.mu must be held.
func (s *Store) claimed(o *store.Operation) (*row, rowID) {
	key, ok := parseID(o.ID)
	if !ok {
		return nil, key
	}
	n := s.index.find(sessionHash(o.Ref), key)
	if n == none || !s.index.rows.at(int(n)).has(rowClaimed) {
		return nil, key
	}
	return s.index.rows.at(int(n)), key
}

// Pull implements store.Store. It looks at every row: it is for a clock that
// jumped, and no more often.
func (s *Store) BringForward(ctx context.Context, by time.Time) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.pull(nanos(by))
	if s.index.publish(nil) {
		s.wakeDue()
	}
	return nil
}

// Due implements store.Store.
func (s *Store) Due(ctx context.Context, seen uint64) (store.Dues, error) {
	for {
		if err := s.ready(ctx); err != nil {
			return store.Dues{}, err
		}
		s.mu.Lock()
		x, news := s.index, s.due
		if seen > x.seq { // a number of another Store
			seen = 0
		}
		if x.seq > seen {
			d := store.Dues{Lanes: x.since(seen), Deadline: fromNanos(x.deadline()), Seen: x.seq}
			s.mu.Unlock()
			return d, nil
		}
		s.mu.Unlock()
		if err := s.wait(ctx, news); err != nil {
			return store.Dues{}, err
		}
	}
}
