package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Rulings on a session that was seen.

func (j *judge) accept() {
	j.op.Sent = store.SentAccepted
	j.op.AcceptedAt = j.a.at
	j.op.BootDeadline = j.a.at.Add(j.cfg.BootTimeout)
	j.op.DueAt = j.nextPoll()
	j.forgive()
	j.advance(fsm.PhaseStarting, "")
}

func (j *judge) succeed() {
	if j.op.AcceptedAt.IsZero() {
		j.op.AcceptedAt = j.a.at
	}
	j.op.Sent = store.SentAccepted
	j.forgive()
	j.end(fsm.PhaseSucceeded, "")
}

// forgive forgets what went wrong before.
func (j *judge) forgive() {
	j.op.Interval, j.op.LastError, j.op.LastKind = 0, "", transport.KindUnknown
	j.op.LastErrorAt, j.op.ErrorSince = time.Time{}, time.Time{}
}

func (j *judge) keepPolling() {
	j.seen = sighting{silent: j.seen.silent, blind: j.seen.blind}
	blind := j.blind - (j.asleep - j.slept) // the rest is in ReadyBy
	if waited := j.a.at.Sub(j.op.BootDeadline) - blind; waited >= 0 {
		text := fmt.Sprintf("not READY within %v of the accepted start: the session is %s", j.cfg.BootTimeout, j.a.session.State)
		if m := j.a.session.StatusMessage; m != "" {
			text += ": " + clean(m)
		}
		j.failed(store.ReasonTimeout, text)
		return
	}
	j.op.DueAt = j.nextPoll()
}

// nextPoll is when the schedule, counted from acceptance, says to poll next:
// varied a little, or, where a lane looks at many sessions by one call, put off
// to the next whole tick, so that the sessions which boot together are polled
// together.
func (j *judge) nextPoll() time.Time {
	elapsed := max(0, j.a.at.Sub(j.op.AcceptedAt))
	wait := poll.after(elapsed)
	if j.traits.MaxBatch <= 1 {
		return j.a.at.Add(jitter(wait))
	}
	tick := tickAt(elapsed + wait)
	return j.a.at.Add(wait + tick - 1).Truncate(tick)
}

func (j *judge) failState() {
	s := j.a.session
	text := "the session is " + string(s.State)
	code, message := clean(s.StatusCode), clean(s.StatusMessage)
	if strings.HasPrefix(message, code) {
		code = "" // EC2's messages begin with it
	}
	for _, more := range []string{code, message} {
		if more != "" {
			text += ": " + more
		}
	}
	j.failed(store.ReasonStartFailed, text)
}

func (j *judge) failStale() {
	if !j.doubtful() {
		j.failState()
	}
}

func (j *judge) returned() {
	if !j.doubtful() {
		j.returnedSince()
	}
}

// startedAtRule decides, for a session that a look shows STOPPED, whether the
// send took effect. A startedAt that the send brought about means that it did,
// and that somebody stopped the session since: it is never started twice.
func (j *judge) startedAtRule() {
	if j.doubtful() {
		return
	}
	started := j.a.session.StartedAt
	sent, margin, sure := j.sentOnTheirClock()
	switch {
	case !j.op.StartedSeen.IsZero() && started.Equal(j.op.StartedSeen):
		j.clear()
	case !j.op.StartedSeen.IsZero() && !started.IsZero():
		j.returnedSince()
	case sure && !started.IsZero() && started.After(sent.Add(margin)):
		j.returnedSince()
	case sure && !started.IsZero() && started.Before(sent.Add(-margin)):
		if j.clear(); j.resend { // else it may be our own doing, and proves nothing to the next look
			j.op.StartedSeen = started
		}
	case j.beforeRequest(started):
		if j.clear(); j.resend {
			j.op.StartedSeen = started
		}
	case j.remembered():
		j.clear()
	case j.provenOff():
		if settled := j.arrivedBy().Add(j.traits.StaleFor); j.a.began.Before(settled) { // it may show the time before
			j.op.DueAt = later(settled, j.a.at)
			return
		}
		j.clear()
	case j.doubt: // by a clock that is right it may be remembered
		j.lookLater()
	default:
		j.failed(store.ReasonAmbiguous, "the session may have been started and stopped since, and a second start might start it twice")
	}
}

// provenOff reports that the provider's STOPPED is the machine's own state, that a
// start of a running session does nothing there, and that nothing shows a change
// of the session since the first send.
func (j *judge) provenOff() bool {
	sent, margin, sure := j.sentOnTheirClock()
	if !sure {
		margin = agrees
	}
	changed := later(j.a.session.StartedAt, j.a.session.UpdatedAt)
	return j.traits.Repeat == transport.RepeatByState && j.traits.Authoritative && changed.Before(sent.Add(-margin))
}

// beforeRequest reports whether a startedAt is older than the request, so that no
// send of it, whoever made it, brought it about. The age of a request of this boot
// is known for sure. Else, for what this store has never sent, because it is a
// backup or came from another machine, the clock that acknowledged it is trusted
// within copyMargin.
func (j *judge) beforeRequest(started time.Time) bool {
	if !j.clock.known || started.IsZero() {
		return false
	}
	now := j.a.at.Add(j.clock.offset)
	if age, ok := elapsed(j.up).Since(j.op.CreatedUp); ok {
		return started.Before(now.Add(-age - clockMargin - 2*j.clock.error))
	}
	return j.op.Attempts == 0 && started.Before(j.op.CreatedAt.Add(-copyMargin)) && !now.Before(j.op.CreatedAt)
}

// copyMargin is by how much the clock of another machine may have been ahead when
// it acknowledged a request.
const copyMargin = 10 * time.Minute

// clockMargin is by how much a startedAt must differ from a send to say that it
// is earlier or later.
const clockMargin = 2 * time.Second

// sentOnTheirClock is the first send on the provider's clock, if that is known:
// as it was noted with the send, or by ours, if that has not jumped since.
func (j *judge) sentOnTheirClock() (sent time.Time, margin time.Duration, sure bool) {
	if sent := j.sentTheirs(); !sent.IsZero() {
		return sent, clockMargin, true
	}
	return j.op.SentAt.Add(j.clock.offset), max(clockMargin, 2*j.clock.error), j.clock.known && j.steady
}

// sentTheirs is the first send as it was noted on the provider's clock; zero if it
// was not, or if that clock was set back since, and so was wrong.
func (j *judge) sentTheirs() time.Time {
	if j.clock.known && j.a.at.Add(j.clock.offset+j.clock.error+clockMargin).Before(j.op.SentProviderTime) {
		return time.Time{}
	}
	return j.op.SentProviderTime
}

func (j *judge) returnedSince() {
	text := "the session was started, and has been stopped since"
	if m := j.a.session.StatusMessage; m != "" {
		text += ": " + clean(m)
	}
	j.failed(store.ReasonReturnedToStopped, text)
}

// clear lets the operation be sent again, unless it is not wanted any more, or
// the last send may be under way yet.
func (j *judge) clear() {
	switch over := j.arrivedBy(); {
	case j.a.at.Before(over):
		j.op.DueAt = over
	case !j.op.CancelAt.IsZero():
		j.end(fsm.PhaseCanceled, store.ReasonCanceled)
	case !j.standing().sure: // neither sent nor ended
		j.op.DueAt = j.a.at.Add(longestNap)
	case j.standing().over:
		j.end(fsm.PhaseExpired, store.ReasonExpired)
	default:
		j.resend = true
	}
}

// passed is a time of the record, or, where that lies in the future because the
// clock was set back, the first look since.
func (j *judge) passed(t time.Time) time.Time {
	if !t.After(j.a.at) {
		return t
	}
	if j.seen.from.IsZero() {
		return j.a.at
	}
	return j.seen.from
}

// remembered reports that the provider will know the token of the first send
// when another arrives. Its own clock tells how long ago that was, where it was
// known then and is now; else ours, unless it was set back since: a clock that
// slept, or was set ahead, shows too much time rather than too little.
func (j *judge) remembered() bool {
	sent, now := j.op.SentAt, j.a.at
	switch {
	case !j.sentTheirs().IsZero() && j.clock.known:
		sent, now = j.op.SentProviderTime, now.Add(j.clock.offset)
	case j.setBack:
		return false
	}
	arrives := now.Add(freshFor + j.cfg.Timeout) // it waits for its turn, and is under way
	return remembers(j.traits) && arrives.Before(sent.Add(j.traits.TokenMemory))
}

// remembers reports that a provider knows tokens again, for a time that is known.
func remembers(t transport.Traits) bool {
	return t.Repeat == transport.RepeatByToken && t.TokenMemory > 0
}

// doubtful reports that the answer may show the past, and arranges another
// look: after a send, a bad state counts only if it is later than what the send
// brought about, or was seen again once reads cannot show the time before that
// any more.
func (j *judge) doubtful() bool {
	updated, arrived := j.a.session.UpdatedAt, j.arrivedBy()
	if j.clock.known && j.steady && updated.After(arrived.Add(j.clock.offset+j.clock.error)) {
		return false
	}
	if j.seen.from.IsZero() {
		j.seen.from = j.a.at
	}
	j.seen.doubt++
	settled := arrived.Add(j.traits.StaleFor)
	if j.seen.doubt > 1 && !j.a.at.Before(settled) {
		return false
	}
	j.op.DueAt = j.a.at.Add(min(j.traits.StaleFor, quick.first))
	if settled.After(j.op.DueAt) {
		j.op.DueAt = settled
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
func (j *judge) arrivedBy() time.Time {
	at, most := j.op.AcceptedAt, time.Duration(0)
	switch {
	case j.op.Sent == store.SentAccepted:
	case j.refusedSend():
		at = j.op.LastErrorAt
	default:
		at, most = j.op.LastSentAt, j.cfg.Timeout
	}
	arrived := later(j.passed(at).Add(j.slept), j.began).Add(most)
	if up, ok := awake(j.a.up).Since(j.op.SentUp); ok {
		arrived = earliest(arrived, j.a.at.Add(j.cfg.Timeout+intentFresh-up))
	}
	theirs := j.sentTheirs()
	if theirs.IsZero() || !j.clock.known || !j.op.SentAt.Equal(j.op.LastSentAt) {
		return arrived
	}
	took := max(0, j.a.at.Sub(j.a.began)) // the answer may show the moment when the call began
	return earliest(arrived, theirs.Add(j.cfg.Timeout+intentFresh+clockMargin+j.clock.error-j.clock.offset+took))
}

// refusedSend reports whether the provider answered the last send with Conflict: then
// the request is not under way any more. The record proves it, also to a later Run.
// An intent is later than every error that was stored before it (see mark), and a
// look's Conflict is stored only after the send must have arrived (see learn).
func (j *judge) refusedSend() bool {
	return j.op.LastKind == transport.KindConflict && !j.op.LastErrorAt.Before(j.op.LastSentAt)
}

// Rulings without an answer.

// expire ends an operation that was not sent in time.
func (j *judge) expire() {
	if s := j.standing(); j.op.Sent == store.SentNo && s.over && s.sure {
		j.unsentBecause()
		j.end(fsm.PhaseExpired, store.ReasonExpired)
	}
}

// unsentBecause notes why an operation that expires was not sent, where its lane
// knows something newer than the record.
func (j *judge) unsentBecause() {
	b, o := j.lane.Block, &j.op
	switch {
	case b.Reason != "" && b.At.After(o.LastErrorAt):
		o.LastError, o.LastKind, o.LastErrorAt = b.Error, b.Kind, b.At
	case o.LastError != "":
	case j.lane.Paused:
		o.LastError, o.LastErrorAt = "lane "+o.Lane+" is paused", j.a.at
		if j.lane.PausedBy != "" {
			o.LastError += " by " + j.lane.PausedBy
		}
	case j.began.After(o.ExpiresAt):
		o.LastError, o.LastErrorAt = "the run that found it began at "+stamp(j.began)+", after the expiry", j.a.at
	}
}

// giveUp ends an operation that is past its deadline.
func (j *judge) giveUp() {
	switch {
	case j.op.Sent == store.SentNo || j.a.at.Before(j.deadline()): // a join has moved it, or we slept
		j.op.DueAt = later(j.op.DueAt, j.a.at) // so that it is not overdue at once
	case j.a.err == nil && j.a.session.State != "":
		j.failed(store.ReasonTimeout, "not READY a day after its time: the session is "+string(j.a.session.State))
	default:
		text := "nobody could look at the session; it may be running"
		if j.a.err != nil {
			text += ": " + reasonText(j.a)
		}
		j.failed(store.ReasonUnobservable, text)
	}
}

// expireMarked is expire for one that is marked as sent, but was not yet.
func (j *judge) expireMarked() {
	j.unsend()
	j.expire()
}
