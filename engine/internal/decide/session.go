package decide

import (
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Rulings on a session that was seen.

func (d *decision) accept() {
	d.op.Sent = store.SentAccepted
	d.op.AcceptedAt = d.Answer.At
	d.op.BootDeadline = d.Answer.At.Add(d.BootTimeout)
	d.op.DueAt = d.nextPoll()
	d.forgive()
	d.advance(fsm.PhaseStarting, "")
}

func (d *decision) succeed() {
	if d.op.AcceptedAt.IsZero() {
		d.op.AcceptedAt = d.Answer.At
	}
	d.op.Sent = store.SentAccepted
	d.forgive()
	d.end(fsm.PhaseSucceeded, "")
}

// forgive forgets what went wrong before.
func (d *decision) forgive() {
	d.op.Interval, d.op.LastError, d.op.LastKind = 0, "", transport.KindUnknown
	d.op.LastErrorAt, d.op.ErrorSince = time.Time{}, time.Time{}
}

func (d *decision) pollOn() {
	d.seen = Sighting{Silent: d.seen.Silent, Blind: d.seen.Blind}
	blind := d.Blind - (d.Asleep - d.slept) // the rest is in ReadyBy
	if waited := d.Answer.At.Sub(d.op.BootDeadline) - blind; waited >= 0 {
		text := fmt.Sprintf("not READY within %v of the accepted start: the session is %s", d.BootTimeout, d.Answer.Session.State)
		if m := d.Answer.Session.StatusMessage; m != "" {
			text += ": " + Clean(m)
		}
		d.failed(store.ReasonTimeout, text)
		return
	}
	d.op.DueAt = d.nextPoll()
}

// nextPoll is when the schedule, counted from acceptance, says to poll next:
// varied a little, or, where a lane looks at many sessions by one call, put off
// to the next whole tick, so that the sessions which boot together are polled
// together.
func (d *decision) nextPoll() time.Time {
	elapsed := max(0, d.Answer.At.Sub(d.op.AcceptedAt))
	wait := Polls.After(elapsed)
	if d.Traits.MaxBatch <= 1 {
		return d.Answer.At.Add(d.Jitter(wait))
	}
	tick := tickAt(elapsed + wait)
	return d.Answer.At.Add(wait + tick - 1).Truncate(tick)
}

func (d *decision) failState() {
	s := d.Answer.Session
	text := "the session is " + string(s.State)
	code, message := Clean(s.StatusCode), Clean(s.StatusMessage)
	if strings.HasPrefix(message, code) {
		code = "" // EC2's messages begin with it
	}
	for _, more := range []string{code, message} {
		if more != "" {
			text += ": " + more
		}
	}
	d.failed(store.ReasonStartFailed, text)
}

func (d *decision) failStale() {
	if !d.doubtful() {
		d.failState()
	}
}

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

// Rulings without an answer.

// expire ends an operation that was not sent in time.
func (d *decision) expire() {
	if s := d.expiry(); d.op.Sent == store.SentNo && s.Passed && s.Certain {
		d.unsentBecause()
		d.end(fsm.PhaseExpired, store.ReasonExpired)
	}
}

// unsentBecause notes why an operation that expires was not sent, where its lane
// knows something newer than the record.
func (d *decision) unsentBecause() {
	b, o := d.Lane.Block, &d.op
	switch {
	case b.Reason != "" && b.At.After(o.LastErrorAt):
		o.LastError, o.LastKind, o.LastErrorAt = b.Error, b.Kind, b.At
	case o.LastError != "":
	case d.Lane.Paused:
		o.LastError, o.LastErrorAt = "lane "+o.Lane+" is paused", d.Answer.At
		if d.Lane.PausedBy != "" {
			o.LastError += " by " + d.Lane.PausedBy
		}
	case d.Began.After(o.ExpiresAt):
		o.LastError, o.LastErrorAt = "the run that found it began at "+d.Began.UTC().Format(time.RFC3339)+", after the expiry", d.Answer.At
	}
}

// giveUp ends an operation that is past its deadline.
func (d *decision) giveUp() {
	switch {
	case d.op.Sent == store.SentNo || d.Answer.At.Before(d.deadline()): // a join has moved it, or we slept
		d.op.DueAt = later(d.op.DueAt, d.Answer.At) // so that it is not overdue at once
	case d.Answer.Err == nil && d.Answer.Session.State != "":
		d.failed(store.ReasonTimeout, "not READY a day after its time: the session is "+string(d.Answer.Session.State))
	default:
		text := "nobody could look at the session; it may be running"
		if d.Answer.Err != nil {
			text += ": " + d.Answer.Text()
		}
		d.failed(store.ReasonUnobservable, text)
	}
}

// expireUnsent is expire for one that is marked as sent, but was not yet.
func (d *decision) expireUnsent() {
	d.unsend()
	d.expire()
}
