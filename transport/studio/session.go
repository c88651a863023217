package studio

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
)

// principal is the user whom every session names for every change.
const principal = "studio"

// session is one session: its past, its present and its next change.
type session struct {
	versions []version // oldest first, never empty; the last is the present
	next     change
	starts   int
	calls    [actions]int
}

// version is a session as it was from a time on. The zero time means always.
type version struct {
	at      time.Time
	session transport.Session
}

// change is what happens to a session next without a request. The zero value means
// nothing.
type change struct {
	event  fsm.Event
	due    time.Time
	code   string // the session's StatusCode after it
	failed bool
}

func (x *session) latest() transport.Session { return x.versions[len(x.versions)-1].session }

func (x *session) deleted() bool { return x.latest().State == fsm.StateDeleted }

// asOf returns the session as it was at a time, or false if it did not exist.
func (x *session) asOf(at time.Time) (transport.Session, bool) {
	for _, v := range slices.Backward(x.versions) {
		if !v.at.After(at) {
			return v.session, true
		}
	}
	return transport.Session{}, false
}

// find returns a session after it has advanced it, or nil. If Any is set it makes the
// session. The caller holds mu, here and in the functions below.
func (s *Studio) find(ref transport.Ref, now time.Time) *session {
	x := s.lookUp(ref)
	if x == nil {
		if !s.config.Any || strings.HasPrefix(ref.SessionID, "missing") {
			return nil
		}
		return s.put(ref, stopped(ref, now))
	}
	s.advance(x, now)
	return x
}

// advance applies the change that is due, with the time when it was due. It drops the
// versions that no read will show again.
func (s *Studio) advance(x *session, now time.Time) {
	if n := x.next; n.event != "" && !now.Before(n.due) {
		x.next = change{}
		_ = s.fire(x, n.event, n.due, n.code, n.failed) // begin checked that the table allows it
	}
	for len(x.versions) > 1 && !x.versions[1].at.After(now.Add(-s.config.StaleFor)) {
		x.versions = x.versions[1:]
	}
}

// advanceAll advances every session, so that running is exact.
func (s *Studio) advanceAll(now time.Time) {
	for _, r := range s.studios {
		for _, x := range r.sessions {
			s.advance(x, now)
		}
	}
}

// step is a request, and the events and status codes that follow it.
type step struct {
	ask, done, fails fsm.Event
	doing, did       string // the status codes in progress and after
	takes            time.Duration
}

// begin makes x do what a request asks, or returns an error of KindConflict.
func (s *Studio) begin(x *session, st step, now time.Time, f Fault) error {
	state := x.latest().State
	if err := s.fire(x, st.ask, now, st.doing, false); err != nil {
		e := refuse(transport.KindConflict, "ConflictException", "session %s is %s", x.latest().SessionID, state)
		e.Err = err
		return e
	}
	x.next = change{event: st.done, due: now.Add(st.takes), code: st.did}
	if f.StatusCode != "" {
		x.next.event, x.next.code, x.next.failed = st.fails, f.StatusCode, true
	}
	return nil
}

// fire makes one step of the life cycle, at the time at.
func (s *Studio) fire(x *session, e fsm.Event, at time.Time, code string, failed bool) error {
	v := x.latest()
	to, err := fsm.Fire(v.State, e)
	if err != nil {
		return err
	}
	s.running += machines(to) - machines(v.State)
	v.State, v.StatusCode, v.StatusMessage = to, code, ""
	v.UpdatedAt = at
	d := model.DetailsOf(v)
	d.UpdatedBy = principal
	if failed {
		v.StatusMessage = fmt.Sprintf("the session could not finish: %s", e)
	}
	switch e {
	case fsm.EventStart:
		v.StartedAt, d.StartedBy = at, principal
		x.starts++
	case fsm.EventStopDone:
		v.StoppedAt, d.StoppedBy = at, principal
	}
	v.Details = d
	x.versions = append(x.versions, version{at, v})
	return nil
}

// shown returns x as a read shows it. That may be its past.
func (s *Studio) shown(x *session, now time.Time) (transport.Session, bool) {
	v, ok := x.asOf(now.Add(-s.config.StaleFor))
	return dated(v, now), ok
}

// dated returns a copy for a caller, with the provider's clock.
func dated(v transport.Session, now time.Time) transport.Session {
	v = copied(v)
	v.Date = now
	return v
}

// copied returns a copy that shares nothing with v but its Details, which are never
// changed.
func copied(v transport.Session) transport.Session {
	v.Tags = maps.Clone(v.Tags)
	v.Endpoints = slices.Clone(v.Endpoints)
	return v
}

// stopped returns a session as Add and Any make it.
func stopped(ref transport.Ref, now time.Time) transport.Session {
	v := blank(ref, now)
	v.State, v.StatusCode = fsm.StateStopped, "STREAMING_SESSION_STOPPED"
	return v
}

func blank(ref transport.Ref, now time.Time) transport.Session {
	return transport.Session{
		Ref:       ref,
		CreatedBy: principal, OwnedBy: principal,
		CreatedAt: now, UpdatedAt: now,
		Details: model.Details{
			ARN:       "arn:aws:nimble:local:000000000000:streaming-session/" + ref.SessionID,
			UpdatedBy: principal,
		},
	}
}
