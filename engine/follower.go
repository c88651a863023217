package engine

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/rouse-dev/rouse/store"
)

// follower notifies waiters that their operations have changed. It owns one goroutine
// that follows the feed while there are waiters. So it also sees the changes that other
// hosts make in the same store.
type follower struct {
	store store.Store

	// mu guards what follows. It is never held across a call of the store.
	mu   sync.Mutex
	subs map[ID]map[*subscription]struct{}
	over bool               // closed
	stop context.CancelFunc // of the goroutine; nil: there is none
	done chan struct{}      // closed when the newest goroutine ends
	up   chan struct{}      // closed when the goroutine knows where it begins

	work sync.WaitGroup // the goroutines: one, and others that are about to end
}

func newFollower(s store.Store) *follower {
	return &follower{store: s, subs: map[ID]map[*subscription]struct{}{}}
}

// subscription is what one waiter follows.
type subscription struct {
	follower *follower
	ids      []ID          // of the operations whose events it gets; h.mu guards it
	news     chan struct{} // holds one

	mu  sync.Mutex // guards err
	err error
}

func (s *subscription) notify(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *subscription) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// subscribe returns a subscription that is notified of every event from now on.
func (h *follower) subscribe(ctx context.Context, id ID) (*subscription, error) {
	s := &subscription{follower: h, news: make(chan struct{}, 1)}
	h.mu.Lock()
	if h.over {
		h.mu.Unlock()
		return nil, ErrClosed
	}
	s.subscribe(id)
	if h.stop == nil {
		var follow context.Context
		follow, h.stop = context.WithCancel(context.Background())
		h.done, h.up = make(chan struct{}), make(chan struct{})
		done, up := h.done, h.up
		h.work.Go(func() { h.follow(follow, done, up) })
	}
	up := h.up
	h.mu.Unlock()
	select {
	case <-up:
		if err := s.failure(); err != nil {
			s.cancel()
			return nil, err
		}
		return s, nil
	case <-ctx.Done():
		s.cancel()
		return nil, ctx.Err()
	}
}

// subscribe subscribes to the events of one more operation; h.mu must be held.
func (s *subscription) subscribe(id ID) {
	if s.follower.subs[id] == nil {
		s.follower.subs[id] = map[*subscription]struct{}{}
	}
	s.follower.subs[id][s] = struct{}{}
	s.ids = append(s.ids, id)
}

// add subscribes to the events of one more operation and reports whether that is
// new. The id of a later request leads to the operation that keeps it.
func (s *subscription) add(id ID) bool {
	s.follower.mu.Lock()
	defer s.follower.mu.Unlock()
	if slices.Contains(s.ids, id) {
		return false
	}
	s.subscribe(id)
	return true
}

// cancel ends the subscription. The last one ends the goroutine.
func (s *subscription) cancel() {
	h := s.follower
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range s.ids {
		delete(h.subs[id], s)
		if len(h.subs[id]) == 0 {
			delete(h.subs, id)
		}
	}
	if len(h.subs) == 0 && h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// close ends the goroutine and waits for it. No other goroutine can begin.
func (h *follower) close() {
	h.mu.Lock()
	h.over = true
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
	h.mu.Unlock()
	h.work.Wait()
}

// follow is the follower's goroutine.
func (h *follower) follow(ctx context.Context, done, up chan struct{}) {
	defer close(done)
	at, err := h.store.Head(ctx)
	if err != nil && ctx.Err() == nil {
		h.fail(err, done)
	}
	close(up)
	for err == nil {
		var page []store.Event
		if err = h.store.Await(ctx, at); err == nil {
			page, err = h.store.Events(ctx, at, eventPage)
		}
		var gap *store.CursorError
		if errors.As(err, &gap) { // the events were pruned: each waiter reads its operation
			h.notifyAll(nil)
			at, err = h.store.Head(ctx)
		}
		for _, ev := range page {
			h.notify(ev.Operation)
			at = ev.Cursor
		}
	}
	if ctx.Err() == nil {
		h.fail(err, done)
	}
}

// fail ends the goroutine by an error, and lets the next waiter begin another.
func (h *follower) fail(err error, done chan struct{}) {
	h.mu.Lock()
	if h.done == done {
		h.stop = nil
	}
	h.mu.Unlock()
	h.notifyAll(err)
}

func (h *follower) notify(id ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[id] {
		s.notify(nil)
	}
}

func (h *follower) notifyAll(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, subs := range h.subs {
		for s := range subs {
			s.notify(err)
		}
	}
}
