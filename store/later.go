package store

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
)

// Wish is a later wish: a request for a session that arrived after the start of
// the session's active operation was sent. Had the session been stopped between
// the two, that send would not serve the request. So the active operation keeps
// the request until a READY session is seen after it. If the operation ends in a
// way that leaves open that the session is off, the wish becomes an operation in
// the same commit: see [Change].Next. Several requests make one wish.
//
// A Wish is never changed in place: an operation gets another one. A nil Wish means
// that there was no later request.
type LaterRequest struct {
	ID ID // of the operation that it becomes, which is its client token too
	// At is when it was last asked for. Zero means that the wish is over: it was
	// served or withdrawn, or has become an operation. The ID stays, so that
	// look-ups by it find the operation that was joined.
	At   time.Time
	AtUp Uptime // At, as Operation.CreatedUp
	// The rest is as in the request: of several, the first one's labels and
	// names, the earliest NotBefore and the latest ExpiresAt.
	Labels               map[string]string
	RequestedBy          string
	Source               string
	Reason               string
	NotBefore, ExpiresAt time.Time
}

// Stands reports whether the wish is neither served nor withdrawn.
func (w *LaterRequest) Pending() bool { return w != nil && !w.At.IsZero() }

// Over returns the wish when it is over.
func (w *LaterRequest) Done() *LaterRequest {
	if !w.Pending() {
		return w
	}
	return &LaterRequest{ID: w.ID}
}

// Operation returns the operation that the wish for the session of o becomes at
// now, in the given lane.
func (w *LaterRequest) Operation(o *Operation, lane string, now time.Time) *Operation {
	return &Operation{
		ID: w.ID, ClientToken: string(w.ID), Ref: o.Ref, Lane: lane, Labels: w.Labels, RequestedBy: w.RequestedBy,
		Source: w.Source, Reason: w.Reason, Phase: fsm.PhaseQueued, CreatedAt: w.At, CreatedUp: w.AtUp,
		NotBefore: w.NotBefore, DueAt: later(now, w.NotBefore), ExpiresAt: w.ExpiresAt,
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
