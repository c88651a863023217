// Package decide says what one answer of a provider means for one operation.
//
// [Decide] takes an [Input]: the record, the answer, and what is known about time. It
// returns a [Decision]: the record as it shall be, its events, and whether the
// operation may be sent again. The engine's worker commits that.
//
// Decide is pure. It does no I/O, holds no lock, reads no clock and draws no random
// number: the input has the time of the answer and a function for the jitter. The same
// input gives the same decision, so every rule here has a table for its test.
//
// # Where to find what
//
//   - answers.go: the answer table. docs/answers.md is generated from it.
//   - answer.go: which row of the table an answer belongs to.
//   - accepted.go: a session on its way to READY, or failed.
//   - stopped.go: the startedAt rule, for a session that is STOPPED after a send.
//   - arrived.go: when a send has arrived, and when an answer may show the past.
//   - errors.go: refusals and failures; backoff.go has the waits.
//   - unsent.go: decisions for a [Cause] that is no answer.
//   - expiry.go: whether a request has expired, by a clock that may be wrong.
//   - clock.go: [ClockFacts] and the limits that the rules about clocks use.
//   - later.go: what becomes of a later request.
//   - status.go: what is stored of the provider's and the probe's words.
package decide

import (
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Input is all that a decision depends on.
type Input struct {
	Operation store.Operation  // the record as it is now
	Before    *store.Operation // the record before this send; nil unless there was a send
	SentAt    time.Time        // when the intent of this send was dated; zero unless there was a send
	// ReadVersion is the version of the record that the call began with.
	ReadVersion uint64
	Answer      Answer
	Cause       Cause
	Traits      transport.Traits
	Lane        store.Lane // as it was when the answer came
	Sighting    Sighting   // as it was before this answer
	ClockFacts
	Timeout     time.Duration // of one call
	BootTimeout time.Duration
	// Jitter varies a wait. It must not be nil.
	Jitter func(time.Duration) time.Duration
}

// Cause says why there is something to decide.
type Cause uint8

// The causes. Only the first one brings an answer.
const (
	CauseAnswer      Cause = iota // a call has an answer
	CauseExpiry                   // an unsent operation may have expired
	CauseUnsent                   // an intent was committed, and the send did not begin
	CauseDeadline                 // the deadline has passed while the lane is blocked
	CauseUnreachable              // a trial call found that this unsent session alone is unreachable
)

// causes says what each cause but CauseAnswer means.
var causes = [...]func(*decision){
	CauseExpiry:      (*decision).expire,
	CauseUnsent:      (*decision).expireUnsent,
	CauseDeadline:    (*decision).giveUp,
	CauseUnreachable: (*decision).avoid,
}

// Decision is what an answer means for an operation.
type Decision struct {
	Operation store.Operation  // the record as it shall be
	From      fsm.Phase        // the phase that it had
	Events    []store.Event    // in their order
	Next      *store.Operation // what the later request becomes; nil: nothing
	Write     bool             // Operation is to be stored; otherwise it is released, due at its DueAt
	Resend    bool             // the operation may be sent again; its claim goes on
	Sighting  Sighting
}

// Moved reports whether the operation is in another phase than before.
func (d *Decision) Moved() bool { return d.Operation.Phase != d.From }

// Change returns what is to be stored. The claim ends with it, unless the operation
// is about to be sent again.
func (d *Decision) Change() store.Change {
	return store.Change{Operation: d.Operation, Events: d.Events, Next: d.Next, Release: !d.Resend}
}

// Decide returns what in means. It does no I/O, reads no clock and holds no lock.
// The same input gives the same decision.
func Decide(in Input) Decision {
	d := decision{Input: in, op: in.Operation}
	d.decide()
	out := Decision{
		Operation: d.op, From: d.from, Next: d.next, Write: d.write, Resend: d.resend, Sighting: d.seen,
	}
	for _, ev := range []*store.Event{d.fact, d.event} {
		if ev != nil {
			out.Events = append(out.Events, *ev)
		}
	}
	return out
}

// decision is the state of one call of Decide.
type decision struct {
	Input
	op     store.Operation // the record as it is, and in the end as it shall be
	from   fsm.Phase       // the phase that it had
	event  *store.Event
	fact   *store.Event
	seen   Sighting         // with this answer
	slept  time.Duration    // the part of Asleep that AcceptedAt does not include
	moved  bool             // the session's state has changed
	next   *store.Operation // what the later request becomes; nil: nothing
	write  bool             // op is to be stored
	resend bool             // a confirm has cleared it for another send
}

// Sighting counts the reads of one operation's session that decided nothing. It
// lives in memory: a restart begins again at zero.
type Sighting struct {
	Reads      int       // all such reads, for their backoff
	MaybeStale int       // the reads among them that may have shown the past
	From       time.Time // the first such read
	Due        time.Time // the next read, which is not in the record

	Silent       time.Time     // since when reads have had no answer; zero: the last read had one
	SilentBefore time.Duration // the length of earlier silences
}

// decide decides on op, the record as it is now.
func (d *decision) decide() {
	d.from, d.event, d.fact, d.next, d.moved, d.write, d.resend = d.op.Phase, nil, nil, nil, false, false, false
	d.seen, d.slept = d.Sighting, d.Asleep
	if d.seen.From.After(d.Answer.At) { // dated by a clock that was ahead
		d.seen.From = d.Answer.At
	}
	switch {
	case d.op.Phase.Ended():
		d.afterEnd()
		return
	case d.Cause != CauseAnswer:
		d.redateRequest()
		d.redateBoot()
		causes[d.Cause](d)
		return
	case d.Answer.Call != CallPoll && d.op.Sent == store.SentAccepted:
		return // it is stored already: the commit's outcome was unknown
	case d.Answer.Call == CallStart && !d.op.LastSentAt.Equal(d.SentAt):
		return // it is stored already, and was sent again since
	}
	d.redateRequest()
	d.redateBoot()
	tableOf(d)[d.Answer.row][d.Answer.Call].do(d)
	d.noteSilence()
	d.note()
	d.status()
	switch {
	case d.op.Phase.Ended() || d.resend:
	case d.op.Sent == store.SentNo && !d.op.CancelAt.IsZero():
		d.end(fsm.PhaseCanceled, store.ReasonCanceled) // the send turned out to have had no effect
	case d.op.Sent != store.SentNo && !d.Answer.At.Before(d.deadline()):
		d.pastDeadline()
	}
	if most := d.Answer.At.Add(Longest); d.op.DueAt.After(most) { // dated by a clock that was ahead
		d.op.DueAt = most
	}
	d.seen.Due = d.op.DueAt
}

// noteSilence notes since when reads of the session have had no answer. The boot timeout
// does not count the silence.
func (d *decision) noteSilence() {
	switch silent := d.Answer.Silent(); {
	case d.Answer.Call == CallStart:
	case silent && d.seen.Silent.IsZero():
		d.seen.Silent = d.Answer.At
	case !silent:
		d.seen.Silent, d.seen.SilentBefore = time.Time{}, d.seen.SilentBefore+d.Silence
	}
}

// redateBoot moves the beginning of a boot when the wall clock is corrected, and over a
// sleep. The new time is stored, so that the next run, which has not seen the clock jump,
// counts from it too. An untrusted clock never moves it back: the next run may have a
// clock that is right.
func (d *decision) redateBoot() {
	accepted := d.op.AcceptedAt
	switch {
	case d.op.Sent != store.SentAccepted, d.Untrusted && (accepted.After(d.Answer.At) || accepted.Before(d.Earliest)):
		return
	case accepted.After(d.Answer.At), accepted.Before(d.Earliest) && !d.Answer.At.Before(d.Earliest):
		accepted = d.Answer.At
	case d.Asleep > BigJump:
		accepted = accepted.Add(d.Asleep)
		d.slept = 0
	default: // the clock may have gone ahead between two Runs
		if awake, ok := Awake(d.Up).Since(d.op.SentUp); ok {
			if ahead := d.Answer.At.Sub(accepted) - awake; ahead > BigJump {
				accepted = accepted.Add(ahead)
			}
		}
	}
	if !accepted.Equal(d.op.AcceptedAt) {
		d.op.AcceptedAt, d.op.BootDeadline = accepted, accepted.Add(d.BootTimeout)
		d.write = true
	}
}

// deadline returns the operation's deadline. While the session boots, it is later by
// as much as the wall clock went ahead: the host slept, or the clock had been behind.
func (d *decision) deadline() time.Time {
	at := d.op.Deadline()
	if d.op.Sent == store.SentAccepted {
		at = at.Add(d.slept)
	}
	return at
}

// pastDeadline ends an operation that this answer has left open a day past its time,
// if the clock is trusted. The operation ends at once if another answer would say the
// same, or if its lane has been blocked for ten minutes. Otherwise it ends after ten
// minutes of such answers. Time asleep does not count. The record says when the first of
// these answers came, so that several runs may collect them.
func (d *decision) pastDeadline() {
	switch {
	case d.Untrusted:
		return
	case d.Blocked >= TrustAfter:
		d.giveUp()
		return
	}
	if d.seen.From.IsZero() {
		d.seen.From = d.Answer.At
	}
	from := d.seen.From
	if answered := d.op.LastErrorAt; answered.Before(d.deadline()) || answered.After(d.Answer.At) || d.op.LastKind != d.Answer.Kind {
		d.storeError()
	} else {
		from = earlier(from, answered)
	}
	if d.Answer.conclusive() || d.Answer.At.Sub(from)-SpanSum(d.Sleeps, from) >= TrustAfter {
		d.giveUp()
	}
}

// note stores the session's state. It adds an event if no path of the life cycle leads to
// that state.
func (d *decision) note() {
	s := d.Answer.Session.State
	if d.Answer.Err != nil || s == "" || s == d.op.Session {
		return
	}
	if fsm.Observe(d.op.Session, s) != nil {
		d.fact = d.newEvent(d.from, store.ReasonUnexpectedState)
		d.fact.From = d.from // it comes before what follows from it
	}
	d.op.Session = s
	d.moved, d.write = true, true
	if d.event != nil {
		d.event.Session = s
	}
}

// afterEnd adds one event when the session of an ended operation is READY after all.
func (d *decision) afterEnd() {
	if d.Answer.row != ready || d.op.Phase == fsm.PhaseSucceeded || d.op.Session == fsm.StateReady {
		return
	}
	d.op.Session = fsm.StateReady
	d.fact = d.newEvent(d.op.Phase, store.ReasonLateReady)
	d.fact.From = d.fact.To
	d.write = true
}

func (d *decision) newEvent(to fsm.Phase, why store.Reason) *store.Event {
	return &store.Event{
		Operation: d.op.ID, Ref: d.op.Ref, From: d.op.Phase, To: to,
		Session: d.Answer.Session.State, Reason: why, At: d.Answer.At,
	}
}

// advance moves the operation to another phase, with its event.
func (d *decision) advance(to fsm.Phase, why store.Reason) {
	if err := fsm.Advance(d.op.Phase, to); err != nil {
		panic(fmt.Sprintf("decide: the answer table broke the life cycle of operation %s: %v; report this bug", d.op.ID, err)) // a bug: a panic is better than a wrong record
	}
	d.event = d.newEvent(to, why)
	if to == fsm.PhaseExpired || to == fsm.PhaseFailed {
		d.event.Error = Bounded(d.op.LastError, 2*MaxError)
	}
	d.op.Phase = to
	d.write = true
}

func (d *decision) end(to fsm.Phase, why store.Reason) {
	d.advance(to, why)
	d.op.EndReason = why
	d.op.FinishedAt = later(d.Answer.At, d.op.CreatedAt) // Prune counts from it, and a clock that is behind must not make it old
	if to == fsm.PhaseCanceled {
		d.event.By = d.op.CancelBy
	}
	d.renew()
}

// failed ends the operation as FAILED. text says why for a person.
func (d *decision) failed(why store.Reason, text string) {
	d.op.LastError, d.op.LastErrorAt = text, d.Answer.At
	d.end(fsm.PhaseFailed, why)
}

// earlier returns the earlier of two times; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
