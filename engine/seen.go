package engine

import (
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Seen is a session as its provider showed it. The zero value means that it was not
// read yet.
type Seen struct {
	State         fsm.State
	StatusCode    string                // the provider's, or the driver's probe's; "" none
	StatusMessage string                // the same for a person; "" none
	Probe         transport.ProbeResult // of the machine's port; zero: none was made
	Since         time.Time             // when it was first read so
	At            time.Time             // when it was read last; without a Run, when it was stored
}

// says reports whether two answers say the same, whenever they came.
func (s Seen) says(t Seen) bool {
	return s.State == t.State && s.StatusCode == t.StatusCode && s.StatusMessage == t.StatusMessage &&
		s.Probe.Target == t.Probe.Target && s.Probe.OK == t.Probe.OK && s.Probe.Message == t.Probe.Message
}

// storedSeen returns what the record says of a session.
func storedSeen(o *Operation) Seen {
	return Seen{o.Session, o.StatusCode, o.StatusMessage, o.Probe, o.StatusAt, o.StatusAt}
}

// seenIn returns what an answer says of a session, bounded, as it is stored.
func seenIn(a *answer) Seen {
	s := a.session
	p := s.Probe
	p.Target, p.Message = clean(p.Target), clean(p.Message)
	return Seen{s.State, bounded(s.StatusCode, maxState), clean(s.StatusMessage), p, a.at, a.at}
}

// status takes over what provider and probe say of the session. It is stored with
// what is stored anyway, and else once when it changes. A text that changes all
// the time is stored ever more rarely: see statusEvery.
func (j *judge) status() {
	if j.a.err != nil || j.a.session.State == "" {
		return
	}
	now := seenIn(&j.a)
	if j.op.Phase == fsm.PhaseSucceeded { // it explains nothing any more
		now = Seen{State: now.State, Since: now.Since, At: now.At}
	}
	was := storedSeen(&j.op)
	was.State = now.State // note has taken that over
	switch {
	case now.says(was) && !j.moved:
		return
	case !j.write && j.a.at.Before(j.op.StatusAt.Add(j.statusEvery())) && j.op.StatusAt.After(j.op.AcceptedAt) && !j.op.StatusAt.After(j.a.at):
		return
	}
	j.op.StatusCode, j.op.StatusMessage, j.op.Probe, j.op.StatusAt = now.StatusCode, now.StatusMessage, now.Probe, now.At
	j.write = true
}

// statusEvery returns how far apart two writes are that only store a status: an
// eighth of the boot so far, and at least a second. So a short Run stores an early
// change, and a boot of half an hour writes 60 times at most.
func (j *judge) statusEvery() time.Duration {
	return max(time.Second, j.a.at.Sub(j.op.AcceptedAt)/8)
}

// noteRead keeps what was read of a session for Explain. mu must be held.
func (r *run) noteRead(j *judge) {
	switch {
	case j.op.Phase.Ended() || j.op.Sent == store.SentNo:
		delete(r.read, j.op.ID)
	case j.a.row == none || j.a.err != nil || j.a.session.State == "":
	default:
		now := seenIn(&j.a)
		was, ok := r.read[j.op.ID]
		if !ok {
			was = storedSeen(&j.op)
		}
		if now.says(was) && !was.Since.IsZero() {
			now.Since = was.Since
		}
		r.read[j.op.ID] = now
	}
}

// text returns the session for a person: the state, the message or else the code, and
// the probe's result unless the message has it. It returns "" if it was not read.
func (s Seen) text() string {
	text := string(s.State)
	switch {
	case s.StatusMessage != "":
		text += ": " + s.StatusMessage
	case s.StatusCode != "" && !strings.EqualFold(s.StatusCode, "none"):
		text += ": " + s.StatusCode
	}
	if p := s.Probe; p.Target != "" && !strings.Contains(text, p.Target) {
		text += ", " + p.Text()
	}
	return text
}
