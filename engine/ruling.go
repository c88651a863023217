package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// judge decides what one answer means to one operation. It does no I/O: it
// turns the record as it is into the record as it shall be.
type judge struct {
	a      answer
	before store.Operation // as it stood before this send; startCall only
	rule   ruling          // instead of the table's; nil: the table's
	traits transport.Traits
	clock  clock
	blind  time.Duration // for how long since AcceptedAt nobody could look
	seen   sighting
	final  bool // the deadline has passed: what is not decided by this look never is
	cfg    *Config

	op     store.Operation // the record as it is; then, as it shall be
	from   fsm.Phase       // the phase it had
	event  *store.Event
	fact   *store.Event
	write  bool // op is to be stored; else it is put back, due at DueAt
	resend bool // a look has cleared it for another send
}

// ruling is one field of the answers table.
type ruling func(*judge)

// sighting counts the looks at one operation that decided nothing. It lives in
// memory: a restart counts anew.
type sighting struct {
	looks int       // in a row, for their backoff
	doubt int       // that may have shown the past
	from  time.Time // the first of those
}

// decide rules on op, the record as it is now.
func (j *judge) decide() {
	j.from, j.event, j.fact, j.write, j.resend = j.op.Phase, nil, nil, false, false
	switch {
	case j.op.Phase.Ended():
		j.afterEnd()
		return
	case j.rule != nil:
		j.rule(j)
		return
	case j.a.call == startCall && j.op.Sent == store.SentAccepted:
		return // it is stored already: the commit's outcome was unknown
	}
	answers[j.a.row][j.a.call](j)
	j.note()
	if j.op.Phase == fsm.Queued && j.op.Sent == store.SentNo && !j.op.CancelAt.IsZero() {
		j.end(fsm.Canceled, store.Withdrawn) // it was never sent, after all
	}
	if j.final && !j.op.Phase.Ended() {
		j.giveUp()
	}
}

// change is what is to be stored. The claim ends with it, unless the operation
// is about to be sent again.
func (j *judge) change() store.Change {
	c := store.Change{Operation: j.op, Event: j.event, Release: !j.resend}
	if c.Event == nil {
		c.Event = j.fact
	}
	return c
}

// note takes over the session's state as seen, and says so where no path of the
// table leads there.
func (j *judge) note() {
	s := j.a.session.State
	if j.a.err != nil || s == "" || s == j.op.Session {
		return
	}
	if fsm.Observe(j.op.Session, s) != nil {
		j.fact = j.tell(j.op.Phase, store.UnexpectedState)
		j.fact.From = j.fact.To
	}
	j.op.Session = s
	j.write = true
	if j.event != nil {
		j.event.Session = s
	}
}

// afterEnd takes READY of an ended operation as a fact, once.
func (j *judge) afterEnd() {
	if j.a.row != ready || j.op.Phase == fsm.Succeeded || j.op.Session == fsm.Ready {
		return
	}
	j.op.Session = fsm.Ready
	j.fact = j.tell(j.op.Phase, store.LateReady)
	j.fact.From = j.fact.To
	j.write = true
}

func (j *judge) tell(to fsm.Phase, why store.Reason) *store.Event {
	return &store.Event{
		Operation: j.op.ID, Ref: j.op.Ref, From: j.op.Phase, To: to,
		Session: j.a.session.State, Reason: why, At: j.a.at,
	}
}

// advance moves the operation to another phase, with its event.
func (j *judge) advance(to fsm.Phase, why store.Reason) {
	if err := fsm.Advance(j.op.Phase, to); err != nil {
		panic(fmt.Sprintf("engine: a ruling broke the table: %v", err)) // a bug: stop rather than go on wrong
	}
	j.event = j.tell(to, why)
	j.op.Phase = to
	j.write = true
}

func (j *judge) end(to fsm.Phase, why store.Reason) {
	j.advance(to, why)
	j.op.Reason = why
	j.op.FinishedAt = j.a.at
	if to == fsm.Canceled {
		j.event.By = j.op.CancelBy
	}
}

// failed ends the operation, and says why for a person.
func (j *judge) failed(why store.Reason, text string) {
	j.end(fsm.Failed, why)
	j.op.LastError, j.op.LastErrorAt = text, j.a.at
}

// Rulings on a session that was seen.

func (j *judge) accept() {
	j.op.Sent = store.SentAccepted
	j.op.AcceptedAt = j.a.at
	j.op.ReadyBy = j.a.at.Add(j.cfg.Budget)
	j.op.DueAt = j.nextPoll()
	j.forgive()
	j.advance(fsm.Starting, "")
}

func (j *judge) succeed() {
	if j.op.AcceptedAt.IsZero() {
		j.op.AcceptedAt = j.a.at
	}
	j.op.Sent = store.SentAccepted
	j.forgive()
	j.end(fsm.Succeeded, "")
}

// forgive forgets what went wrong before.
func (j *judge) forgive() {
	j.op.Interval, j.op.LastError, j.op.LastKind, j.op.LastErrorAt = 0, "", transport.Unknown, time.Time{}
}

func (j *judge) keepPolling() {
	waited := j.a.at.Sub(j.op.ReadyBy) - j.blind
	if waited >= 0 {
		text := fmt.Sprintf("not READY within %v of the accepted start: the session is %s", j.cfg.Budget, j.a.session.State)
		if m := j.a.session.StatusMessage; m != "" {
			text += ": " + clean(m)
		}
		j.failed(store.Timeout, text)
		return
	}
	j.again()
	j.op.DueAt = j.nextPoll()
}

// nextPoll is when the schedule, counted from acceptance, says to poll next:
// varied a little, or, where a lane looks at many sessions by one call, put off
// to the next whole tick, so that the sessions which boot together are polled
// together.
func (j *judge) nextPoll() time.Time {
	elapsed := j.a.at.Sub(j.op.AcceptedAt)
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
	for _, more := range []string{s.StatusCode, s.StatusMessage} {
		if more != "" {
			text += ": " + clean(more)
		}
	}
	j.failed(store.StartFailed, text)
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
	margin := max(2*time.Second, 2*j.clock.error)
	sent := j.op.SentAt.Add(j.clock.offset)
	switch {
	case !j.op.StartedSeen.IsZero() && started.Equal(j.op.StartedSeen):
		j.clear()
	case !j.op.StartedSeen.IsZero() && !started.IsZero():
		j.returnedSince()
	case !started.IsZero() && j.clock.known && started.After(sent.Add(margin)):
		j.returnedSince()
	case !started.IsZero() && j.clock.known && started.Before(sent.Add(-margin)):
		j.clear()
	case j.remembered():
		j.clear()
	default:
		j.failed(store.Ambiguous, "the session may have been started and stopped since, and a second start might start it twice")
	}
}

func (j *judge) returnedSince() {
	j.failed(store.ReturnedToStopped, "the session was started, and has been stopped since")
}

// clear lets the operation be sent again, unless it is not wanted any more.
func (j *judge) clear() {
	switch {
	case !j.op.CancelAt.IsZero():
		j.end(fsm.Canceled, store.Withdrawn)
	case !j.a.at.Before(j.op.ExpiresAt):
		j.end(fsm.Expired, store.TooLate)
	default:
		j.op.StartedSeen = j.a.session.StartedAt
		j.resend = true
	}
}

// remembered reports that the provider still knows the token of the first send.
func (j *judge) remembered() bool {
	return j.traits.Repeat == transport.ByToken && j.a.at.Before(j.op.SentAt.Add(j.traits.TokenMemory))
}

// doubtful reports that the answer may show the past, and arranges another
// look: after a send, a bad state counts only if it is later than the send, or
// was seen again once reads cannot show the past any more.
func (j *judge) doubtful() bool {
	updated := j.a.session.UpdatedAt
	if j.clock.known && updated.After(j.op.LastSentAt.Add(j.clock.offset+j.clock.error)) {
		return false
	}
	if j.seen.doubt == 0 {
		j.seen.from = j.a.at
	}
	j.seen.doubt++
	settled := j.op.LastSentAt.Add(j.traits.StaleFor)
	if (j.seen.doubt > 1 || j.final) && !j.a.at.Before(settled) {
		return false
	}
	j.op.DueAt = j.a.at.Add(min(j.traits.StaleFor, quick.first))
	if settled.After(j.op.DueAt) {
		j.op.DueAt = settled
	}
	return true
}

// Rulings without an answer.

// expire ends an operation that was not sent in time.
func (j *judge) expire() {
	if j.op.Sent == store.SentNo && !j.a.at.Before(j.op.ExpiresAt) {
		j.end(fsm.Expired, store.TooLate)
	}
}

// giveUp ends an operation that is past its deadline.
func (j *judge) giveUp() {
	switch {
	case j.a.at.Before(j.op.Deadline()): // a join or an answer has moved it
	case j.a.err == nil && j.a.session.State != "":
		j.failed(store.Timeout, "not READY a day after its time: the session is "+string(j.a.session.State))
	default:
		text := "nobody could look at the session; it may be running"
		if j.a.err != nil {
			text += ": " + reasonText(j.a)
		}
		j.failed(store.Unseen, text)
	}
}

// expireMarked is expire for one that is marked as sent, but was not yet.
func (j *judge) expireMarked() {
	j.unsend()
	j.expire()
}

// Rulings on errors.

// unsend puts back what stood before this send, which had no effect.
func (j *judge) unsend() {
	b := j.before
	j.op.Sent, j.op.SentAt, j.op.LastSentAt, j.op.StartedSeen = b.Sent, b.SentAt, b.LastSentAt, b.StartedSeen
	j.op.DueAt = b.DueAt
	if j.a.row != throttled && j.a.row != shortage { // offline and credentials cost nothing
		j.op.Attempts = b.Attempts
	}
	j.write = true
}

// notReached: the lane is offline. Only where not a byte was written is the
// send undone; a portal's page proves nothing.
func (j *judge) notReached() {
	if j.a.notSent {
		j.unsend()
		return
	}
	j.lookAfterTimeout()
}

func (j *judge) waitLong() {
	j.unsend()
	j.backOff(long)
}

// lookSoon: the outcome stays unknown, and the next look tells.
func (j *judge) lookSoon() { j.backOff(quick) }

// lookAfterTimeout: the request may still be under way for as long as a call
// may take.
func (j *judge) lookAfterTimeout() {
	if j.a.notSent {
		j.unsend()
		j.backOff(quick)
		return
	}
	j.backOff(quick)
	if end := j.op.LastSentAt.Add(j.cfg.Timeout); j.op.DueAt.Before(end) {
		j.op.DueAt = end
	}
}

// backOff stores the next interval with the error.
func (j *judge) backOff(p pause) {
	j.op.Interval = p.next(j.op.Interval)
	j.op.DueAt = j.a.at.Add(jitter(j.op.Interval))
	j.remember()
}

// remember stores the error, for Explain.
func (j *judge) remember() {
	j.op.LastError, j.op.LastKind, j.op.LastErrorAt = reasonText(j.a), j.a.kind, j.a.at
	j.write = true
}

// learn is remember for looks and polls, which write only what is new.
func (j *judge) learn() {
	if j.a.err != nil && (j.op.LastError == "" || j.op.LastKind != j.a.kind) {
		j.remember()
	}
}

func (j *judge) lookLater() {
	if j.a.call == startCall { // the answer shows a session on its way to STOPPED
		j.backOff(quick)
		return
	}
	j.putOff(quick)
	j.learn()
}

// putOff waits for longer after each look that decided nothing.
func (j *judge) putOff(p pause) {
	wait := p.first
	for range j.seen.looks {
		if wait = p.next(wait); wait >= p.most {
			break
		}
	}
	j.seen.looks++
	j.op.DueAt = j.a.at.Add(jitter(wait))
}

// again leaves the operation as it is and due: its lane decides when.
func (j *judge) again() { j.op.DueAt = j.a.at }

func (j *judge) retryPoll() {
	j.op.DueAt = j.nextPoll()
	j.learn()
}

func (j *judge) retrySlowly() {
	j.putOff(long)
	j.learn()
}

// blindLook: looks are refused. By token it is safe to send again; else it can
// only be hoped that looks are allowed again.
func (j *judge) blindLook() {
	if j.a.row == refused && j.doubtful() { // a session just touched may be missing for a while
		return
	}
	if j.remembered() && j.op.CancelAt.IsZero() && j.a.at.Before(j.op.ExpiresAt) {
		j.resend = true
		return
	}
	j.retrySlowly()
}

func (j *judge) fail() { j.failed(reasonOf(j.a.kind), reasonText(j.a)) }

func (j *judge) failRefused() {
	if !j.doubtful() {
		j.fail()
	}
}

func reasonOf(k transport.Kind) store.Reason {
	switch k {
	case transport.AccessDenied:
		return store.AccessDenied
	case transport.NotFound:
		return store.NotFound
	}
	return store.Invalid
}

// maxError bounds what is stored of an error, in bytes.
const maxError = 300

// reasonText is an error as it is stored and shown: without the provider's
// words where they may quote credentials, and with a hint where one helps.
func reasonText(a answer) string {
	if a.err == nil {
		return "the session is " + string(a.session.State)
	}
	var te *transport.Error
	text := a.err.Error()
	if errors.As(a.err, &te) && te.Kind == transport.Credentials {
		text = te.Kind.Error()
		if te.Code != "" {
			text += ": " + te.Code
		}
	}
	if h := hints[a.kind]; h != "" && a.call == startCall {
		text = clean(text) + "; " + h
	}
	return clean(text)
}

var hints = map[transport.Kind]string{
	transport.AccessDenied: "check that these credentials may start sessions of this studio",
	transport.NotFound:     "check the studio's and the session's ids, and the region",
	transport.Invalid:      "check the ids; the request would be refused again",
}

// clean makes a provider's text fit for a line: no control characters, bounded.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError], "") + "…"
	}
	return s
}
