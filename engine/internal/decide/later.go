package decide

import (
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// A later request joined an operation whose start had been sent: see
// store.LaterRequest. The end of the operation decides what becomes of it:
//
//	end                                       the later request
//	SUCCEEDED, READY seen after the request   is served
//	SUCCEEDED, READY may have been earlier    becomes an operation
//	SUCCEEDED, its not-before ahead           becomes an operation
//	FAILED returned_to_stopped, ambiguous     becomes an operation
//	FAILED unobservable                       becomes an operation
//	FAILED timeout, the session boots         fails with it: a new start changes nothing
//	FAILED timeout, it is broken or deleted   fails with it: no start begins there
//	FAILED timeout, any other state           becomes an operation
//	FAILED start_failed                       fails with it: no start begins there
//	FAILED access_denied, not_found, invalid  fails with it: a new start is refused too
//	CANCELED                                  was withdrawn with it
//	EXPIRED                                   has expired too
//
// A later request that has expired becomes no operation, whatever the end.
var renews = map[store.Reason]func(*decision) bool{
	"":                            func(d *decision) bool { return !d.served() },
	store.ReasonReturnedToStopped: always,
	store.ReasonAmbiguous:         always,
	store.ReasonUnobservable:      always,
	store.ReasonTimeout:           (*decision).mayBeOff,
}

func always(*decision) bool { return true }

// mayBeOff reports whether the session may be off, or on its way there, by this answer.
func (d *decision) mayBeOff() bool {
	return d.Answer.row != booting && d.Answer.row != broken && d.Answer.Session.State != fsm.StateCreateInProgress
}

// served reports whether the answer, which shows READY, is certainly later than the
// later request. The provider's own date of the state may prove it. Otherwise the request
// must have been in the record before the call began, by more than the time for which
// reads may show the past. If the wall clock went ahead since, or an earlier run's clock
// may have been wrong, only the time of this run counts.
func (d *decision) served() bool {
	w := d.op.Later
	if w.NotBefore.After(d.Answer.At) {
		return false
	}
	if d.Provider.Known && d.Steady && d.Answer.Session.UpdatedAt.After(w.At.Add(d.Provider.Offset+d.Provider.Uncertainty)) {
		return true
	}
	return d.op.Version == d.ReadVersion && d.Answer.Began.Sub(later(w.At, d.Began))-d.Asleep >= d.Traits.StaleFor
}

// renew is called when the operation ends. It makes the later request an operation, or
// ends it, by the table above.
func (d *decision) renew() {
	w, renew := d.op.Later, renews[d.op.EndReason]
	void := false
	if w.Pending() {
		asked := store.Operation{CreatedAt: w.At, CreatedUp: w.AtUp, ExpiresAt: w.ExpiresAt}
		s := ExpiryOf(&asked, d.Answer.At, d.Up, d.Trust)
		void = s.Passed && s.Certain
	}
	if w.Pending() && !void && renew != nil && renew(d) {
		d.next = w.Operation(&d.op, d.Traits.Lane, d.Answer.At)
	}
	d.op.Later = w.Done()
}
