package ec2

import (
	"context"
	"slices"
	"sync"
)

// locks keeps two calls of one Transport from changing an instance at once, such as calls
// that name it by id and by tag. The zero value locks nothing.
type locks struct {
	mu sync.Mutex               // guards of; never held across a call
	of map[string]chan struct{} // closed when the instance is released
}

// take locks all of ids, which must be distinct. It waits for each. If ctx ends first, it
// locks none and returns the context's error.
func (h *locks) take(ctx context.Context, ids []string) error {
	ids = slices.Sorted(slices.Values(ids)) // all calls use the same order, so that no two wait for each other
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

// try locks id and returns nil, or returns a channel to wait for.
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
