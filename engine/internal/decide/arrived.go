package decide

import (
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// When a send has arrived, and when an answer may show the past.

// passed is a time of the record, or, where that lies in the future because the
// clock was set back, the first look since.
func (d *decision) passed(t time.Time) time.Time {
	if !t.After(d.Answer.At) {
		return t
	}
	if d.seen.From.IsZero() {
		return d.Answer.At
	}
	return d.seen.From
}

// doubtful reports that the answer may show the past, and arranges another
// look: after a send, a bad state counts only if it is later than what the send
// brought about, or was seen again once reads cannot show the time before that
// any more.
func (d *decision) doubtful() bool {
	updated, arrived := d.Answer.Session.UpdatedAt, d.arrivedBy()
	if d.Provider.Known && d.Steady && updated.After(arrived.Add(d.Provider.Offset+d.Provider.Uncertainty)) {
		return false
	}
	if d.seen.From.IsZero() {
		d.seen.From = d.Answer.At
	}
	d.seen.Doubt++
	settled := arrived.Add(d.Traits.StaleFor)
	if d.seen.Doubt > 1 && !d.Answer.At.Before(settled) {
		return false
	}
	d.op.DueAt = d.Answer.At.Add(min(d.Traits.StaleFor, Quick.First))
	if settled.After(d.op.DueAt) {
		d.op.DueAt = settled
	}
	return true
}

// arrivedBy is when the last send had surely arrived at the provider: it was
// answered by then, or its time was out. What our clock went ahead since may be
// sleep, or a clock set right, and then no time has passed. Nor is it known by
// which clock an earlier Run dated what it did. Three things are sure, and the
// earliest counts: how long this Run goes on, what the provider's clock says of an
// only send, and how long the machine has been awake since the intent, if it has
// not booted since. So a host that is restarted again and again waits once.
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
	theirs := d.sentTheirs()
	if theirs.IsZero() || !d.Provider.Known || !d.op.SentAt.Equal(d.op.LastSentAt) {
		return arrived
	}
	took := max(0, d.Answer.At.Sub(d.Answer.Began)) // the answer may show the moment when the call began
	return earlier(arrived, theirs.Add(d.Timeout+IntentFresh+ClockMargin+d.Provider.Uncertainty-d.Provider.Offset+took))
}

// refusedSend reports whether the provider answered the last send with Conflict: then
// the request is not under way any more. The record proves it, also to a later Run.
// An intent is later than every error that was stored before it (see mark), and a
// look's Conflict is stored only after the send must have arrived (see learn).
func (d *decision) refusedSend() bool {
	return d.op.LastKind == transport.KindConflict && !d.op.LastErrorAt.Before(d.op.LastSentAt)
}
