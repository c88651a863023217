package driver

import (
	"time"

	"github.com/rouse-dev/rouse/store"
)

// Verdict says what a driver must store for a request.
type Verdict uint8

// What a driver stores for a request.
const (
	// VerdictRefuse: nothing is stored. The receipt's Err says why.
	VerdictRefuse Verdict = iota
	// VerdictUnchanged: nothing is stored. The receipt's operation answers the request
	// as it is.
	VerdictUnchanged
	// VerdictJoin: the receipt's operation is stored in place of its earlier version.
	VerdictJoin
	// VerdictCreate: the receipt's operation is new. It is stored with its event: see
	// Created.
	VerdictCreate
)

// Decide applies the rules of client tokens and joins to one request. The operation want
// is what was asked for. Its ClientToken is its ID if the caller brought no token. The
// operation byToken has that token, and active is the session's active operation; each is
// nil if there is none. The id of a later request counts as a token of the operation that
// keeps it (see [store.LaterRequest]).
//
// A driver looks both up, calls Decide and stores the result in one transaction, so
// that no other change comes between.
//
//	the token's operation   active operation   the request
//	is of another session   –                  is refused: store.ErrTokenReused
//	is active               –                  joins it
//	has ended               –                  is answered by it: nothing starts
//	none                    yes, no token      joins it
//	none                    yes, a token       is refused: store.ErrActive
//	none                    none               creates an operation, unless it has expired
//
// The expiry comes last, so that a host may repeat its request verbatim, however
// late.
func Decide(want store.Operation, byToken, active *store.Operation) (store.Receipt, Verdict) {
	switch {
	case byToken != nil && byToken.Ref != want.Ref:
		return refuse(want, &store.ConflictError{Err: store.ErrTokenReused, Holder: *byToken})
	case byToken != nil && !byToken.Active():
		return store.Receipt{ID: byToken.ID, Operation: *byToken, Old: true}, VerdictUnchanged
	case byToken != nil:
		return join(*byToken, want)
	case active != nil && want.ClientToken == string(want.ID):
		return join(*active, want)
	case active != nil:
		return refuse(want, &store.ConflictError{Err: store.ErrActive, Holder: *active})
	case expired(&want):
		return refuse(want, &store.ExpiryError{Operation: want})
	}
	want.Version = 1
	return store.Receipt{ID: want.ID, Operation: want, Created: true}, VerdictCreate
}

func refuse(want store.Operation, err error) (store.Receipt, Verdict) {
	return store.Receipt{Operation: want, Err: err}, VerdictRefuse
}

// join gives the active operation, holder, the earlier not-before and the later
// expiry of the two. The same request again changes nothing else. A request with
// another token also
//
//   - withdraws a cancellation that has not taken effect,
//   - makes the next step due soon, if an error puts it off for longer,
//   - becomes a later request, if holder may have been sent already.
func join(holder, want store.Operation) (store.Receipt, Verdict) {
	o, id := holder, holder.ID
	again := o.Later != nil && want.ClientToken == string(o.Later.ID)
	if again {
		id = o.Later.ID
	}
	if want.NotBefore.Before(o.NotBefore) {
		if o.DueAt.Equal(o.NotBefore) { // it waits for nothing else
			o.DueAt = later(want.NotBefore, want.CreatedAt)
		}
		o.NotBefore = want.NotBefore
	}
	o.ExpiresAt = later(o.ExpiresAt, want.ExpiresAt)
	if !again && want.ClientToken != o.ClientToken {
		o.CancelAt, o.CancelBy = time.Time{}, ""
		hasten(&o, &want)
		if o.Sent != store.SentNo && !expired(&want) {
			o.Later = merge(o.Later, laterRequest(&want))
			id = o.Later.ID
		}
	}
	if o.NotBefore.Equal(holder.NotBefore) && o.ExpiresAt.Equal(holder.ExpiresAt) && o.CancelAt.Equal(holder.CancelAt) &&
		o.DueAt.Equal(holder.DueAt) && o.Later == holder.Later {
		return store.Receipt{ID: id, Operation: holder}, VerdictUnchanged
	}
	o.Version++
	return store.Receipt{ID: id, Operation: o}, VerdictJoin
}

// expired reports whether a request has expired when it arrives.
func expired(want *store.Operation) bool {
	return !want.ExpiresAt.After(want.CreatedAt) || !want.ExpiresAt.After(want.NotBefore)
}

// hastenMost is the longest time that a new request still waits after the last
// error, and after an earlier request that hastened the operation.
const hastenMost = time.Minute

// hasten makes the next step of an operation due soon for a new request, if an error
// puts it off. The step is due a second after the last error. The wait doubles with
// each send, so that a flood of requests does not become a flood of sends. The backoff
// begins again.
func hasten(o, want *store.Operation) {
	if o.LastErrorAt.IsZero() {
		return
	}
	due := later(want.CreatedAt, o.NotBefore)
	wait := hastenMost
	if o.Attempts < 7 {
		wait = min(wait, time.Second<<max(0, o.Attempts-1))
	}
	errorAt := o.LastErrorAt
	if errorAt.After(want.CreatedAt) { // the clock was set back
		errorAt = want.CreatedAt
	}
	due = later(due, errorAt.Add(wait))
	switch {
	case o.Sent == store.SentNo && due.Before(o.DueAt):
		o.DueAt, o.Interval = due, 0
	case o.Sent != store.SentNo && (!o.Later.Pending() || want.CreatedAt.Sub(o.Later.At) >= hastenMost):
		o.DueAt, o.Interval = due, 0 // the record does not say when the next read is due
	}
}

// laterRequest returns the later request that a request becomes.
func laterRequest(o *store.Operation) *store.LaterRequest {
	return &store.LaterRequest{
		ID: o.ID, At: o.CreatedAt, AtUp: o.CreatedUp, Labels: o.Labels, RequestedBy: o.RequestedBy, Source: o.Source, Reason: o.Reason,
		NotBefore: o.NotBefore, ExpiresAt: o.ExpiresAt,
	}
}

// merge returns one later request for first and for more, which arrived after it. It keeps
// the id of first. If more adds nothing, it returns first itself.
func merge(first, more *store.LaterRequest) *store.LaterRequest {
	switch {
	case first == nil:
		return more
	case !more.Pending():
		return first
	}
	out := *more
	if first.Pending() {
		out = *first
		if more.At.After(first.At) {
			out.At, out.AtUp = more.At, more.AtUp
		}
		out.ExpiresAt = later(first.ExpiresAt, more.ExpiresAt)
		if more.NotBefore.Before(first.NotBefore) {
			out.NotBefore = more.NotBefore
		}
		if out.At.Equal(first.At) && out.ExpiresAt.Equal(first.ExpiresAt) && out.NotBefore.Equal(first.NotBefore) {
			return first // the same request again: nothing is to be stored
		}
	}
	out.ID = first.ID
	return &out
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
