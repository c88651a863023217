package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// checkLane returns ErrUnknownLane for a lane in which no session can be.
func (e *Engine) checkLane(ctx context.Context, name string) error {
	if e.hasLane(name) {
		return nil
	}
	l, err := e.store.Lane(ctx, name)
	if err != nil || l != (store.Lane{Name: name}) {
		return e.storeError(err)
	}
	for _, err := range e.store.List(ctx, store.Filter{Lane: name, Limit: 1}) {
		return e.storeError(err)
	}
	err = fmt.Errorf("engine: lane %q: %w", name, ErrUnknownLane)
	if lanes := e.someLanes(ctx); lanes != "" {
		err = fmt.Errorf("%w: lanes of active operations are %s", err, lanes)
	}
	return err
}

// hasLane reports whether the transport's sessions can be in a lane.
func (e *Engine) hasLane(name string) bool {
	if t, ok := e.transport.(transport.LaneChecker); ok {
		return t.HasLane(name)
	}
	studio := Ref{StudioID: name}
	return transport.CheckID("studio id", name) == nil && transport.TraitsOf(e.transport, studio).Lane == name
}

// someLanes returns the names of up to five lanes of active operations, for an error. It
// returns "" if there are none.
func (e *Engine) someLanes(ctx context.Context) string {
	const most = 5
	var names []string
	known := map[string]bool{}
	for op, err := range e.store.List(ctx, store.Filter{Active: true, Newest: true, Limit: 1000}) {
		if err != nil {
			break
		}
		if known[op.Lane] {
			continue
		}
		known[op.Lane] = true
		if len(names) == most {
			return strings.Join(names, ", ") + ", …"
		}
		names = append(names, op.Lane)
	}
	return strings.Join(names, ", ")
}
