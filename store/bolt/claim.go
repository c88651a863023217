package bolt

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/internal/index"
)

// claims is an ownership of the file's lanes. One process owns them all, and claims are in
// the store's index.
type claims struct {
	s   *Store
	ctx context.Context // the ownership ends with it
}

// Own implements store.Store.
func (s *Store) Own(ctx context.Context) (store.Claims, error) {
	if err := cmp.Or(s.ready(ctx), s.writable()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner != nil && s.owner.ctx.Err() == nil {
		return nil, fmt.Errorf("%w: %s: end the context of the other owner first", store.ErrOwned, s.path)
	}
	s.owner = &claims{s: s, ctx: ctx}
	s.index.ReleaseAll()
	s.publish()
	return s.owner, nil
}

// lock locks s.mu for a call of the owner. If the ownership has ended, it returns an error
// and leaves s.mu unlocked, because the call must not touch a claim of the next owner.
func (c *claims) lock(ctx context.Context) error {
	if err := c.s.ready(ctx); err != nil {
		return err
	}
	c.s.mu.Lock()
	if err := c.ctx.Err(); err != nil {
		c.s.mu.Unlock()
		return err
	}
	return nil
}

// Claim implements store.Claims.
func (c *claims) Claim(ctx context.Context, r store.ClaimRequest) (store.Claimed, error) {
	s := c.s
	if err := c.lock(ctx); err != nil {
		return store.Claimed{}, err
	}
	due, overdue := s.index.Claim(r)
	s.mu.Unlock()

	var out store.Claimed
	err := s.view(ctx, func(b format.Buckets) error {
		out = store.Claimed{} // fn may run again
		out.Overdue = s.readClaimed(b, overdue)
		out.Operations = s.readClaimed(b, due)
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.ctx.Err(); err != nil {
		return store.Claimed{}, err
	}
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

// publish reports changes of the index to the callers of Due. The caller holds s.mu.
func (s *Store) publish() {
	if s.index.Publish() {
		s.wakeDue()
	}
}

// readClaimed reads the records of claimed operations. It leaves out operations that have
// ended meanwhile, and corrupt records, and removes both from the index.
func (s *Store) readClaimed(b format.Buckets, keys []index.Key) []store.Operation {
	out := make([]store.Operation, 0, len(keys))
	for _, k := range keys {
		o, err := b.Operation(k.ID)
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

// Release implements store.Claims.
func (c *claims) Release(ctx context.Context, ops []store.Operation) error {
	stale, err := c.stale(ctx, ops)
	if err != nil {
		return err
	}
	return c.release(ctx, ops, stale)
}

// release ends the claims of ops. For those in stale, the index knows when they are due.
func (c *claims) release(ctx context.Context, ops []store.Operation, stale map[index.Key]bool) error {
	if err := c.lock(ctx); err != nil {
		return err
	}
	defer c.s.mu.Unlock()
	for i := range ops {
		k, ok := keyOf(&ops[i])
		if !ok {
			continue
		}
		if stale[k] {
			c.s.index.MarkChanged(k)
		}
		h := format.HeadOf(&ops[i])
		c.s.index.Release(k, h.Due, h.Waits)
	}
	c.s.publish()
	return nil
}

// stale returns the operations among ops that were changed since they were read. It reads
// the records only of those that changed while they were claimed.
func (c *claims) stale(ctx context.Context, ops []store.Operation) (map[index.Key]bool, error) {
	changed := map[index.Key]*store.Operation{}
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	for i := range ops {
		if k, ok := keyOf(&ops[i]); ok && c.s.index.TakeChanged(k) {
			changed[k] = &ops[i]
		}
	}
	c.s.mu.Unlock()
	if len(changed) == 0 {
		return nil, nil
	}
	stale := map[index.Key]bool{}
	err := c.s.view(ctx, func(b format.Buckets) error {
		for k, o := range changed {
			if now, err := b.Operation(k.ID); err == nil {
				stale[k] = now.Version != o.Version
			}
		}
		return nil
	})
	if err != nil { // the next Release of them must find out
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		for k := range changed {
			c.s.index.MarkChanged(k)
		}
	}
	return stale, err
}

// keyOf returns an operation's key in the index. It reports false for an id that no
// operation can have.
func keyOf(o *store.Operation) (index.Key, bool) {
	id, ok := format.ParseID(o.ID)
	return index.Key{ID: id, Session: format.SessionHash(o.Ref)}, ok
}

// BringForward implements store.Claims. It visits every row of the index, because it is
// called only after a clock jumped.
func (c *claims) BringForward(ctx context.Context, by time.Time) error {
	if err := c.lock(ctx); err != nil {
		return err
	}
	defer c.s.mu.Unlock()
	c.s.index.BringForward(by)
	c.s.publish()
	return nil
}

// Due implements store.Claims.
func (c *claims) Due(ctx context.Context, seen uint64) (store.Dues, error) {
	for {
		if err := c.lock(ctx); err != nil {
			return store.Dues{}, err
		}
		d, ok := c.s.index.Dues(seen)
		news := c.s.due
		c.s.mu.Unlock()
		if ok {
			return d, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
		case <-c.ctx.Done():
		case <-c.s.stopped:
		}
	}
}
