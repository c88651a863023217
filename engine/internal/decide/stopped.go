package decide

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

func (d *decision) returned() {
	if !d.mayBeStale() {
		d.returnedSince()
	}
}

// startedAtRule decides whether the send took effect, for a session that a read shows
// STOPPED. A startedAt that the send caused means that it did, and that the session was
// stopped since. Such an operation never starts the session a second time.
func (d *decision) startedAtRule() {
	if d.mayBeStale() {
		return
	}
	started := d.Answer.Session.StartedAt
	sent, margin, sure := d.sentOnProviderClock()
	switch {
	case !d.op.StartedSeen.IsZero() && started.Equal(d.op.StartedSeen):
		d.clear()
	case !d.op.StartedSeen.IsZero() && !started.IsZero():
		d.returnedSince()
	case sure && !started.IsZero() && started.After(sent.Add(margin)):
		d.returnedSince()
	case sure && !started.IsZero() && started.Before(sent.Add(-margin)):
		if d.clear(); d.resend { // otherwise the send may have caused it
			d.op.StartedSeen = started
		}
	case d.beforeRequest(started):
		if d.clear(); d.resend {
			d.op.StartedSeen = started
		}
	case d.remembered():
		d.clear()
	case d.provenOff():
		if settled := d.arrivedBy().Add(d.Traits.StaleFor); d.Answer.Began.Before(settled) { // the answer may show the time before
			d.op.DueAt = later(settled, d.Answer.At)
			return
		}
		d.clear()
	case d.Untrusted: // by the right clock the token may still be remembered
		d.readLater()
	default:
		d.failed(store.ReasonAmbiguous, "the session may have been started and stopped since, and a second start might start it twice")
	}
}

// provenOff reports whether the provider's STOPPED is the machine's own state and a start
// of a running session does nothing there. It also requires that no answer shows a change
// of the session since the first send.
func (d *decision) provenOff() bool {
	sent, margin, sure := d.sentOnProviderClock()
	if !sure {
		margin = Agrees
	}
	changed := later(d.Answer.Session.StartedAt, d.Answer.Session.UpdatedAt)
	return d.Traits.Repeat == transport.RepeatByState && d.Traits.Authoritative && changed.Before(sent.Add(-margin))
}

// beforeRequest reports whether a startedAt is older than the request. Then no send of the
// operation caused it, whatever machine sent. The age of a request of this boot is
// certain. If the store is a backup or came from another machine, it may have operations
// that it has never sent. For these the clock that acknowledged them counts within
// copyMargin.
func (d *decision) beforeRequest(started time.Time) bool {
	if !d.Provider.Known || started.IsZero() {
		return false
	}
	now := d.Answer.At.Add(d.Provider.Offset)
	if age, ok := Elapsed(d.Up).Since(d.op.CreatedUp); ok {
		return started.Before(now.Add(-age - ClockMargin - 2*d.Provider.Uncertainty))
	}
	return d.op.Attempts == 0 && started.Before(d.op.CreatedAt.Add(-copyMargin)) && !now.Before(d.op.CreatedAt)
}

// copyMargin is how far the clock of another machine may have been ahead when it
// acknowledged a request.
const copyMargin = 10 * time.Minute

// ClockMargin is how much a startedAt must differ from a send to count as earlier or
// later.
const ClockMargin = 2 * time.Second

// sentOnProviderClock returns the time of the first send on the provider's clock, and
// whether it is sure. The time was stored with the send, or follows from the wall clock,
// if that clock has not jumped since.
func (d *decision) sentOnProviderClock() (sent time.Time, margin time.Duration, sure bool) {
	if sent := d.sentProviderTime(); !sent.IsZero() {
		return sent, ClockMargin, true
	}
	return d.op.SentAt.Add(d.Provider.Offset), max(ClockMargin, 2*d.Provider.Uncertainty), d.Provider.Known && d.Steady
}

// sentProviderTime returns the stored time of the first send on the provider's clock. Zero
// means that none was stored, or that this clock was set back since, and so was wrong.
func (d *decision) sentProviderTime() time.Time {
	if d.Provider.Known && d.Answer.At.Add(d.Provider.Offset+d.Provider.Uncertainty+ClockMargin).Before(d.op.SentProviderTime) {
		return time.Time{}
	}
	return d.op.SentProviderTime
}

func (d *decision) returnedSince() {
	text := "the session was started, and has been stopped since"
	if m := d.Answer.Session.StatusMessage; m != "" {
		text += ": " + Clean(m)
	}
	d.failed(store.ReasonReturnedToStopped, text)
}

// clear lets the operation be sent again, unless it is canceled or expired, or the last
// send may still be under way.
func (d *decision) clear() {
	switch over := d.arrivedBy(); {
	case d.Answer.At.Before(over):
		d.op.DueAt = over
	case !d.op.CancelAt.IsZero():
		d.end(fsm.PhaseCanceled, store.ReasonCanceled)
	case !d.expiry().Certain: // neither sent nor ended
		d.op.DueAt = d.Answer.At.Add(LongestSleep)
	case d.expiry().Passed:
		d.end(fsm.PhaseExpired, store.ReasonExpired)
	default:
		d.resend = true
	}
}

// remembered reports whether the provider will still know the token of the first send when
// another one arrives. Its own clock says how long ago that was, if it was known then and
// is known now. Otherwise the wall clock does, unless it was set back since. A sleep or a
// clock set ahead shows too much time rather than too little.
func (d *decision) remembered() bool {
	sent, now := d.op.SentAt, d.Answer.At
	switch {
	case !d.sentProviderTime().IsZero() && d.Provider.Known:
		sent, now = d.op.SentProviderTime, now.Add(d.Provider.Offset)
	case d.SetBack:
		return false
	}
	arrives := now.Add(ReadFresh + d.Timeout) // the send waits for its turn, and is then under way
	return Remembers(d.Traits) && arrives.Before(sent.Add(d.Traits.TokenMemory))
}

// Remembers reports whether a provider recognizes a repeated token, for a known time.
func Remembers(t transport.Traits) bool {
	return t.Repeat == transport.RepeatByToken && t.TokenMemory > 0
}
