package decide

import (
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// When a send has arrived, and when an answer may show the past.

// passed returns a time of the record. If the time lies in the future, because the clock
// was set back, passed returns the time of the first read since.
func (d *decision) passed(t time.Time) time.Time {
	if !t.After(d.Answer.At) {
		return t
	}
	if d.seen.From.IsZero() {
		return d.Answer.At
	}
	return d.seen.From
}

// mayBeStale reports whether the answer may show the past, and then arranges another read.
// After a send, a bad state counts only in two cases. It is later than the effect of the
// send, or it was seen again after reads could show the past.
func (d *decision) mayBeStale() bool {
	updated, arrived := d.Answer.Session.UpdatedAt, d.arrivedBy()
	if d.Provider.Known && d.Steady && updated.After(arrived.Add(d.Provider.Offset+d.Provider.Uncertainty)) {
		return false
	}
	if d.seen.From.IsZero() {
		d.seen.From = d.Answer.At
	}
	d.seen.MaybeStale++
	settled := arrived.Add(d.Traits.StaleFor)
	if d.seen.MaybeStale > 1 && !d.Answer.At.Before(settled) {
		return false
	}
	d.op.DueAt = d.Answer.At.Add(min(d.Traits.StaleFor, Quick.First))
	if settled.After(d.op.DueAt) {
		d.op.DueAt = settled
	}
	return true
}

// arrivedBy returns the time by which the last send has certainly arrived at the provider:
// the send was answered, or its time-out has passed. The wall clock alone does not prove
// that time. It may have gone ahead since, because the machine slept or the clock was
// corrected, and an earlier Run may have had a wrong clock. Three facts are certain, and
// the earliest time counts:
//
//   - how long this Run has gone on;
//   - what the provider's clock says, if there was only one send;
//   - how long the machine has been awake since the intent, if it has not booted since.
//
// So a host that is restarted again and again waits only once.
func (d *decision) arrivedBy() time.Time {
	at, most := d.op.AcceptedAt, time.Duration(0)
	switch {
	case d.op.Sent == store.SentAccepted:
	case d.refusedSend():
		at = d.op.LastErrorAt
	default:
		at, most = d.op.LastSentAt, d.Timeout
	}
	arrived := later(d.passed(at).Add(d.slept), d.Began).Add(most)
	if up, ok := Awake(d.Answer.Up).Since(d.op.SentUp); ok {
		arrived = earlier(arrived, d.Answer.At.Add(d.Timeout+IntentFresh-up))
	}
	sent := d.sentProviderTime()
	if sent.IsZero() || !d.Provider.Known || !d.op.SentAt.Equal(d.op.LastSentAt) {
		return arrived
	}
	took := max(0, d.Answer.At.Sub(d.Answer.Began)) // the answer may show the state when the call began
	return earlier(arrived, sent.Add(d.Timeout+IntentFresh+ClockMargin+d.Provider.Uncertainty-d.Provider.Offset+took))
}

// refusedSend reports whether the provider answered the last send with Conflict. Then the
// request is not under way any more. The record proves it to a later Run too, for two
// reasons. An intent is later than every error that was stored before it (see the engine's
// worker). A Conflict in answer to a read is stored only after the send must have arrived
// (see storeNewError).
func (d *decision) refusedSend() bool {
	return d.op.LastKind == transport.KindConflict && !d.op.LastErrorAt.Before(d.op.LastSentAt)
}
