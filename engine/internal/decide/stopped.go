package decide

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// What is decided about a session that is STOPPED after a send.

func (d *decision) returned() {
	if !d.doubtful() {
		d.returnedSince()
	}
}

// startedAtRule decides, for a session that a look shows STOPPED, whether the
// send took effect. A startedAt that the send brought about means that it did,
// and that somebody stopped the session since: it is never started twice.
func (d *decision) startedAtRule() {
	if d.doubtful() {
		return
	}
	started := d.Answer.Session.StartedAt
	sent, margin, sure := d.sentOnTheirClock()
	switch {
	case !d.op.StartedSeen.IsZero() && started.Equal(d.op.StartedSeen):
		d.clear()
	case !d.op.StartedSeen.IsZero() && !started.IsZero():
		d.returnedSince()
	case sure && !started.IsZero() && started.After(sent.Add(margin)):
		d.returnedSince()
	case sure && !started.IsZero() && started.Before(sent.Add(-margin)):
		if d.clear(); d.resend { // else it may be our own doing, and proves nothing to the next look
			d.op.StartedSeen = started
		}
	case d.beforeRequest(started):
		if d.clear(); d.resend {
			d.op.StartedSeen = started
		}
	case d.remembered():
		d.clear()
	case d.provenOff():
		if settled := d.arrivedBy().Add(d.Traits.StaleFor); d.Answer.Began.Before(settled) { // it may show the time before
			d.op.DueAt = later(settled, d.Answer.At)
			return
		}
		d.clear()
	case d.Doubt: // by a clock that is right it may be remembered
		d.readLater()
	default:
		d.failed(store.ReasonAmbiguous, "the session may have been started and stopped since, and a second start might start it twice")
	}
}

// provenOff reports that the provider's STOPPED is the machine's own state, that a
// start of a running session does nothing there, and that nothing shows a change
// of the session since the first send.
func (d *decision) provenOff() bool {
	sent, margin, sure := d.sentOnTheirClock()
	if !sure {
		margin = Agrees
	}
	changed := later(d.Answer.Session.StartedAt, d.Answer.Session.UpdatedAt)
	return d.Traits.Repeat == transport.RepeatByState && d.Traits.Authoritative && changed.Before(sent.Add(-margin))
}

// beforeRequest reports whether a startedAt is older than the request, so that no
// send of it, whoever made it, brought it about. The age of a request of this boot
// is known for sure. Else, for what this store has never sent, because it is a
// backup or came from another machine, the clock that acknowledged it is trusted
// within copyMargin.
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

// copyMargin is by how much the clock of another machine may have been ahead when
// it acknowledged a request.
const copyMargin = 10 * time.Minute

// ClockMargin is by how much a startedAt must differ from a send to say that it
// is earlier or later.
const ClockMargin = 2 * time.Second

// sentOnTheirClock is the first send on the provider's clock, if that is known:
// as it was noted with the send, or by ours, if that has not jumped since.
func (d *decision) sentOnTheirClock() (sent time.Time, margin time.Duration, sure bool) {
	if sent := d.sentTheirs(); !sent.IsZero() {
		return sent, ClockMargin, true
	}
	return d.op.SentAt.Add(d.Provider.Offset), max(ClockMargin, 2*d.Provider.Uncertainty), d.Provider.Known && d.Steady
}

// sentTheirs is the first send as it was noted on the provider's clock; zero if it
// was not, or if that clock was set back since, and so was wrong.
func (d *decision) sentTheirs() time.Time {
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

// clear lets the operation be sent again, unless it is not wanted any more, or
// the last send may be under way yet.
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

// remembered reports that the provider will know the token of the first send
// when another arrives. Its own clock tells how long ago that was, where it was
// known then and is now; else ours, unless it was set back since: a clock that
// slept, or was set ahead, shows too much time rather than too little.
func (d *decision) remembered() bool {
	sent, now := d.op.SentAt, d.Answer.At
	switch {
	case !d.sentTheirs().IsZero() && d.Provider.Known:
		sent, now = d.op.SentProviderTime, now.Add(d.Provider.Offset)
	case d.SetBack:
		return false
	}
	arrives := now.Add(ReadFresh + d.Timeout) // it waits for its turn, and is under way
	return Remembers(d.Traits) && arrives.Before(sent.Add(d.Traits.TokenMemory))
}

// Remembers reports that a provider knows tokens again, for a time that is known.
func Remembers(t transport.Traits) bool {
	return t.Repeat == transport.RepeatByToken && t.TokenMemory > 0
}
