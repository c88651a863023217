package bolt

import (
	"cmp"
	"context"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/internal/index"
)

// Claim implements store.Store. Nothing is written: a claim lasts as long as
// this Store is open.
func (s *Store) Claim(ctx context.Context, r store.ClaimRequest) (store.Claimed, error) {
	if err := cmp.Or(s.ready(ctx), s.writable()); err != nil {
		return store.Claimed{}, err
	}
	s.mu.Lock()
	due, overdue := s.index.Claim(r)
	s.mu.Unlock()

	var out store.Claimed
	err := s.view(ctx, func(b buckets) error {
		out = store.Claimed{} // fn may run again
		out.Overdue = s.readClaimed(b, overdue)
		out.Operations = s.readClaimed(b, due)
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		for _, k := range append(overdue, due...) {
			s.index.PutBack(k)
		}
		s.publish()
		return store.Claimed{}, err
	}
	if s.index.Remaining(r, &out) {
		s.wakeDue()
	}
	return out, nil
}

// publish makes a change of the index known to the callers of Due; s.mu must be
// held.
func (s *Store) publish() {
	if s.index.Publish() {
		s.wakeDue()
	}
}

// readClaimed reads the records of what was claimed. What ended in between is left
// out, and so is a damaged record, which no caller can do anything with: the index
// drops it, and the rest goes on.
func (s *Store) readClaimed(b buckets, keys []index.Key) []store.Operation {
	out := make([]store.Operation, 0, len(keys))
	for _, k := range keys {
		o, err := b.operation(k.ID)
		if err != nil {
			s.note(s.named(err))
			s.mu.Lock()
			s.index.Remove(k)
			s.mu.Unlock()
			continue
		}
		if o.Active() {
			out = append(out, o)
		}
	}
	return out
}

// Release implements store.Store. An operation that was changed by another caller
// since it was read is due as that change says.
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

// release ends the claims of ops, and leaves to the index when those are due that
// are stale.
func (s *Store) release(ops []store.Operation, stale map[index.Key]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range ops {
		k, ok := keyOf(&ops[i])
		if !ok {
			continue
		}
		if stale[k] {
			s.index.MarkChanged(k)
		}
		h := headOf(&ops[i])
		s.index.Release(k, h.due, h.waits)
	}
	s.publish()
}

// stale says which of ops were changed since they were read. It reads the records
// only of those that changed while they were claimed.
func (s *Store) stale(ctx context.Context, ops []store.Operation) (map[index.Key]bool, error) {
	changed := map[index.Key]*store.Operation{}
	s.mu.Lock()
	for i := range ops {
		if k, ok := keyOf(&ops[i]); ok && s.index.TakeChanged(k) {
			changed[k] = &ops[i]
		}
	}
	s.mu.Unlock()
	if len(changed) == 0 {
		return nil, nil
	}
	stale := map[index.Key]bool{}
	err := s.view(ctx, func(b buckets) error {
		for k, o := range changed {
			if now, err := b.operation(k.ID); err == nil {
				stale[k] = now.Version != o.Version
			}
		}
		return nil
	})
	if err != nil { // the next Release of them must find out
		s.mu.Lock()
		defer s.mu.Unlock()
		for k := range changed {
			s.index.MarkChanged(k)
		}
	}
	return stale, err
}

// keyOf names an operation in the index. It reports false for an id that no
// operation can have.
func keyOf(o *store.Operation) (index.Key, bool) {
	id, ok := parseID(o.ID)
	return index.Key{ID: id, Session: sessionHash(o.Ref)}, ok
}

// BringForward implements store.Store. It looks at every row: it is for a clock
// that jumped, and no more often.
func (s *Store) BringForward(ctx context.Context, by time.Time) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.BringForward(by)
	s.publish()
	return nil
}

// Due implements store.Store.
func (s *Store) Due(ctx context.Context, seen uint64) (store.Dues, error) {
	for {
		if err := s.ready(ctx); err != nil {
			return store.Dues{}, err
		}
		s.mu.Lock()
		d, ok := s.index.Dues(seen)
		news := s.due
		s.mu.Unlock()
		if ok {
			return d, nil
		}
		if err := s.wait(ctx, news); err != nil {
			return store.Dues{}, err
		}
	}
}
