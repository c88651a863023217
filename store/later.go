package store

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
)

// LaterRequest is a request that arrived after the start of the session's active
// operation was sent. If the session was stopped between the two, that send does not
// serve the request. So the active operation keeps the request until a READY session is
// seen after it. If the operation ends otherwise, and the session may be off, the request
// becomes an operation in the same commit; see [Change].Next. Several later requests
// become one operation.
//
// A LaterRequest is never changed in place; the operation gets a new one. Nil means that
// there was no later request.
type LaterRequest struct {
	// ID is the id of the operation that the request becomes, and its client token.
	ID ID
	// At is when the session was last requested. Zero means that the request is done: it
	// was served or withdrawn, or has become an operation. The ID stays, so that look-ups
	// by it find the operation that was joined.
	At   time.Time
	AtUp Uptime // At on the clock of Operation.CreatedUp

	// The other fields are those of the request. Several requests keep the first one's
	// labels and names, the earliest NotBefore and the latest ExpiresAt.

	Labels               map[string]string
	RequestedBy          string
	Source               string
	Reason               string
	NotBefore, ExpiresAt time.Time
}

// Pending reports whether the request is neither served nor withdrawn, and has not
// become an operation.
func (r *LaterRequest) Pending() bool { return r != nil && !r.At.IsZero() }

// Done returns the request as it is when it is not pending. Only its ID is left.
func (r *LaterRequest) Done() *LaterRequest {
	if !r.Pending() {
		return r
	}
	return &LaterRequest{ID: r.ID}
}

// Operation returns the operation that the later request of o becomes at now, in the
// given lane.
func (r *LaterRequest) Operation(o *Operation, lane string, now time.Time) *Operation {
	due := now
	if r.NotBefore.After(now) {
		due = r.NotBefore
	}
	return &Operation{
		ID: r.ID, ClientToken: string(r.ID), Ref: o.Ref, Lane: lane, Labels: r.Labels, RequestedBy: r.RequestedBy,
		Source: r.Source, Reason: r.Reason, Phase: fsm.PhaseQueued, CreatedAt: r.At, CreatedUp: r.AtUp,
		NotBefore: r.NotBefore, DueAt: due, ExpiresAt: r.ExpiresAt,
	}
}
