package ec2

import (
	"context"
	"slices"
	"sync"
)

// holds keeps two calls of one Transport from changing an instance at once, as
// when it is started by its id and by its name. The zero value holds nothing.
type locks struct {
	mu sync.Mutex               // guards of; never held across a call
	of map[string]chan struct{} // closed when the instance is let go
}

// take waits for all of ids, each of them once, or for the end of ctx, and then
// holds none.
func (h *locks) take(ctx context.Context, ids []string) error {
	ids = slices.Sorted(slices.Values(ids)) // in one order, so that nobody waits in a circle
	for i, id := range ids {
		for busy := h.try(id); busy != nil; busy = h.try(id) {
			select {
			case <-busy:
			case <-ctx.Done():
				h.release(ids[:i])
				return ctx.Err()
			}
		}
	}
	return nil
}

// try takes one, or returns what to wait for.
func (h *locks) try(id string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if busy, ok := h.of[id]; ok {
		return busy
	}
	if h.of == nil {
		h.of = map[string]chan struct{}{}
	}
	h.of[id] = make(chan struct{})
	return nil
}

func (h *locks) release(ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		close(h.of[id])
		delete(h.of, id)
	}
}
