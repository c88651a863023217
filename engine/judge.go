package engine

import (
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// judge decides what one answer means to one operation. It does no I/O: it
// turns the record as it is into the record as it shall be.
type judge struct {
	a       answer
	up      uptime.Reading   // the clocks that cannot be set, at a.at; a.up is when the call began
	before  *store.Operation // as it stood before this send; startCall only
	rule    ruling           // instead of the table's; nil: the table's
	traits  transport.Traits
	clock   clock
	lane    store.Lane    // as it was when the answer came: why it expired unsent
	blind   time.Duration // for how long since AcceptedAt nobody could look
	unheard time.Duration // of that, the silence of this session alone that this answer ends or goes on with
	blocked time.Duration // see run.blockedFor
	naps    []span        // as the Run's, for an operation past its deadline
	asleep  time.Duration // by how much our clock went ahead of the monotonic one since the last send, or AcceptedAt
	was     sighting      // as it was before this answer
	seen    sighting      // and as it is with it
	slept   time.Duration // what of asleep AcceptedAt does not tell
	sentAt  time.Time     // this send; startCall only
	steady  bool          // our clock has not jumped since the first send
	setBack bool          // it was set back since then
	trust                 // of our clock
	began   time.Time     // this Run, on the clock of the answer, whatever that has shown since
	cfg     *Config
	held    uint64 // the version of the record that the call began with

	op     store.Operation // the record as it is; then, as it shall be
	from   fsm.Phase       // the phase it had
	event  *store.Event
	fact   *store.Event
	moved  bool             // the session's state is another than it was
	next   *store.Operation // what the later wish becomes; nil: nothing
	write  bool             // op is to be stored; else it is put back, due at DueAt
	resend bool             // a look has cleared it for another send
}

// ruling is one field of the answers table.
type ruling func(*judge)

// sighting counts the looks at one operation that decided nothing. It lives in
// memory: a restart counts anew.
type sighting struct {
	looks int       // for their backoff
	doubt int       // of those, that may have shown the past
	from  time.Time // the first
	due   time.Time // the next, which is not in the record

	silent time.Time     // since when looks have had no answer; zero: the last one had
	blind  time.Duration // how long that was in all, the present silence left out
}

// decide rules on op, the record as it is now.
func (j *judge) decide() {
	j.from, j.event, j.fact, j.next, j.moved, j.write, j.resend = j.op.Phase, nil, nil, nil, false, false, false
	j.seen, j.slept = j.was, j.asleep
	if j.seen.from.After(j.a.at) { // of a clock that was ahead
		j.seen.from = j.a.at
	}
	switch {
	case j.op.Phase.Ended():
		j.afterEnd()
		return
	case j.rule != nil:
		j.redate()
		j.anchor()
		j.rule(j)
		return
	case j.a.call != pollCall && j.op.Sent == store.SentAccepted:
		return // it is stored already: the commit's outcome was unknown
	case j.a.call == startCall && !j.op.LastSentAt.Equal(j.sentAt):
		return // likewise, and somebody has sent it again since
	}
	j.redate()
	j.anchor()
	answers[j.a.row][j.a.call](j)
	j.listen()
	j.note()
	j.status()
	switch {
	case j.op.Phase.Ended() || j.resend:
	case j.op.Sent == store.SentNo && !j.op.CancelAt.IsZero():
		j.end(fsm.PhaseCanceled, store.ReasonCanceled) // it was never sent, after all
	case j.op.Sent != store.SentNo && !j.a.at.Before(j.deadline()):
		j.pastDeadline()
	}
	if most := j.a.at.Add(longest); j.op.DueAt.After(most) { // a time of a clock that was ahead
		j.op.DueAt = most
	}
	j.seen.due = j.op.DueAt
}

// listen notes since when looks at the session have had no answer. The time that
// the session could not be seen is added to its time to boot.
func (j *judge) listen() {
	switch silent := j.a.silent(); {
	case j.a.call == startCall:
	case silent && j.seen.silent.IsZero():
		j.seen.silent = j.a.at
	case !silent:
		j.seen.silent, j.seen.blind = time.Time{}, j.seen.blind+j.unheard
	}
}

// anchor moves the beginning of a boot along with our clock when that is set
// right, and over a sleep. It is stored, so that the next Run, which has not seen
// the clock jump, reckons by it too; but never moved back by a clock in doubt, for
// the next Run may have a right one.
func (j *judge) anchor() {
	accepted := j.op.AcceptedAt
	switch {
	case j.op.Sent != store.SentAccepted, j.doubt && (accepted.After(j.a.at) || accepted.Before(j.earliest)):
		return
	case accepted.After(j.a.at), accepted.Before(j.earliest) && !j.a.at.Before(j.earliest):
		accepted = j.a.at
	case j.asleep > bigJump:
		accepted = accepted.Add(j.asleep)
		j.slept = 0
	default: // what happened to the clock between two Runs
		if awake, ok := awake(j.up).Since(j.op.SentUp); ok {
			if ahead := j.a.at.Sub(accepted) - awake; ahead > bigJump {
				accepted = accepted.Add(ahead)
			}
		}
	}
	if !accepted.Equal(j.op.AcceptedAt) {
		j.op.AcceptedAt, j.op.BootDeadline = accepted, accepted.Add(j.cfg.BootTimeout)
		j.write = true
	}
}

// deadline is the operation's, put off by what our clock went ahead while the
// session booted: the host slept, or the clock was behind.
func (j *judge) deadline() time.Time {
	d := j.op.Deadline()
	if j.op.Sent == store.SentAccepted {
		d = d.Add(j.slept)
	}
	return d
}

// pastDeadline ends what this answer has left open, a day past its time, by a
// clock that is trusted. It ends at once if the answer tells that more of them
// would not help, or its lane has been blocked for ten minutes, else after ten
// minutes of such answers. Time asleep does not count. The record says when the
// first of these answers came, so that they may be of several Runs.
func (j *judge) pastDeadline() {
	switch {
	case j.doubt:
		return
	case j.blocked >= believeAfter:
		j.giveUp()
		return
	}
	if j.seen.from.IsZero() {
		j.seen.from = j.a.at
	}
	from := j.seen.from
	if heard := j.op.LastErrorAt; heard.Before(j.deadline()) || heard.After(j.a.at) || j.op.LastKind != j.a.kind {
		j.remember()
	} else {
		from = earliest(from, heard)
	}
	if j.a.telling() || j.a.at.Sub(from)-since(j.naps, from) >= believeAfter {
		j.giveUp()
	}
}

// change is what is to be stored. The claim ends with it, unless the operation
// is about to be sent again.
func (j *judge) change() store.Change {
	c := store.Change{Operation: j.op, Next: j.next, Release: !j.resend}
	for _, ev := range []*store.Event{j.fact, j.event} {
		if ev != nil {
			c.Events = append(c.Events, *ev)
		}
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
		j.fact = j.tell(j.from, store.ReasonUnexpectedState)
		j.fact.From = j.from // it comes before what follows from it
	}
	j.op.Session = s
	j.moved, j.write = true, true
	if j.event != nil {
		j.event.Session = s
	}
}

// afterEnd takes READY of an ended operation as a fact, once.
func (j *judge) afterEnd() {
	if j.a.row != ready || j.op.Phase == fsm.PhaseSucceeded || j.op.Session == fsm.StateReady {
		return
	}
	j.op.Session = fsm.StateReady
	j.fact = j.tell(j.op.Phase, store.ReasonLateReady)
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
	if to == fsm.PhaseExpired || to == fsm.PhaseFailed {
		j.event.Error = bounded(j.op.LastError, 2*maxError)
	}
	j.op.Phase = to
	j.write = true
}

func (j *judge) end(to fsm.Phase, why store.Reason) {
	j.advance(to, why)
	j.op.EndReason = why
	j.op.FinishedAt = later(j.a.at, j.op.CreatedAt) // it is kept from then on: a clock that is behind must not make it old
	if to == fsm.PhaseCanceled {
		j.event.By = j.op.CancelBy
	}
	j.renew()
}

// failed ends the operation, and says why for a person.
func (j *judge) failed(why store.Reason, text string) {
	j.op.LastError, j.op.LastErrorAt = text, j.a.at
	j.end(fsm.PhaseFailed, why)
}
