package engine

import (
	"strings"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Seen is a session as its provider showed it. The zero value means that it was not
// read yet.
type Seen struct {
	State         fsm.State
	StatusCode    string                // of the provider or the port probe; "": there is none
	StatusMessage string                // the same for a person; "": there is none
	Probe         transport.ProbeResult // the port probe; zero: none was made
	Since         time.Time             // when a read first showed this; zero: it was not read
	At            time.Time             // the last read; without a Run, when this was stored
}

// status returns what s says, whenever it was read.
func (s Seen) status() decide.Status {
	return decide.Status{State: s.State, Code: s.StatusCode, Message: s.StatusMessage, Probe: s.Probe}
}

// says reports whether two answers say the same, whenever they came.
func (s Seen) says(t Seen) bool { return s.status().Says(t.status()) }

// storedSeen returns what the record says of a session.
func storedSeen(o *Operation) Seen {
	return Seen{o.Session, o.StatusCode, o.StatusMessage, o.Probe, o.StatusAt, o.StatusAt}
}

// seenIn returns what an answer says of a session, bounded, as it is stored.
func seenIn(a *decide.Answer) Seen {
	s := a.Status()
	return Seen{s.State, s.Code, s.Message, s.Probe, a.At, a.At}
}

// noteRead keeps what was read of a session for Explain. mu must be held.
func (r *run) noteRead(op *store.Operation, a *decide.Answer) {
	switch {
	case op.Phase.Ended() || op.Sent == store.SentNo:
		delete(r.lastRead, op.ID)
	case a.Err != nil || a.Session.State == "":
	default:
		now := seenIn(a)
		was, ok := r.lastRead[op.ID]
		if !ok {
			was = storedSeen(op)
		}
		if now.says(was) && !was.Since.IsZero() {
			now.Since = was.Since
		}
		r.lastRead[op.ID] = now
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
