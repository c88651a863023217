package engine

import (
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// A later wish is a request that joined an operation whose start had been sent:
// see store.LaterRequest. Each end of the operation decides what becomes of it:
//
//	end                                       the wish
//	SUCCEEDED, READY seen after the request   is served
//	SUCCEEDED, READY seen before or perhaps   becomes an operation
//	SUCCEEDED, the wish's not-before ahead    becomes an operation
//	FAILED returned_to_stopped, ambiguous     becomes an operation
//	FAILED unobservable                       becomes an operation
//	FAILED timeout, the session boots         fails with it: a new start changes nothing
//	FAILED timeout, it is broken or gone      fails with it: no start begins there
//	FAILED timeout, any other state           becomes an operation
//	FAILED start_failed                       fails with it: no start begins there
//	FAILED access_denied, not_found, invalid  fails with it: a new start is refused too
//	CANCELED                                  was withdrawn with it
//	EXPIRED                                   has expired too
//
// A wish that has expired becomes no operation, whatever the end.
var renews = map[store.Reason]func(*judge) bool{
	"":                            func(j *judge) bool { return !j.served() },
	store.ReasonReturnedToStopped: always,
	store.ReasonAmbiguous:         always,
	store.ReasonUnobservable:      always,
	store.ReasonTimeout:           (*judge).perhapsOff,
}

func always(*judge) bool { return true }

// perhapsOff reports whether the session that the answer shows may be off, or on
// its way there.
func (j *judge) perhapsOff() bool {
	return j.a.row != booting && j.a.row != broken && j.a.session.State != fsm.StateCreateInProgress
}

// served reports whether the answer, which shows READY, is sure to be later than
// the wish. The provider's own date of the state may prove it. Otherwise the wish
// must have been in the record when the call began, so long before that answers
// cannot show an older state. Our clock may have gone ahead meanwhile, and an
// earlier run's clock may have been wrong; then only this run's time counts.
func (j *judge) served() bool {
	w := j.op.Later
	if w.NotBefore.After(j.a.at) {
		return false
	}
	if j.clock.known && j.steady && j.a.session.UpdatedAt.After(w.At.Add(j.clock.offset+j.clock.error)) {
		return true
	}
	return j.op.Version == j.held && j.a.began.Sub(later(w.At, j.began))-j.asleep >= j.traits.StaleFor
}

// renew is called as the operation ends, and makes its later wish an operation
// where that end leaves the wish open.
func (j *judge) renew() {
	w, renew := j.op.Later, renews[j.op.EndReason]
	void := false
	if w.Pending() {
		asked := store.Operation{CreatedAt: w.At, CreatedUp: w.AtUp, ExpiresAt: w.ExpiresAt}
		s := standingOf(&asked, j.a.at, j.up, j.trust)
		void = s.over && s.sure
	}
	if w.Pending() && !void && renew != nil && renew(j) {
		j.next = w.Operation(&j.op, j.traits.Lane, j.a.at)
	}
	j.op.Later = w.Done()
}
