package decide

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Status is what the provider and the port probe say about a session.
type Status struct {
	State         fsm.State
	Code, Message string
	Probe         transport.ProbeResult
}

// Says reports whether two answers say the same.
func (s Status) Says(t Status) bool {
	return s.State == t.State && s.Code == t.Code && s.Message == t.Message &&
		s.Probe.Target == t.Probe.Target && s.Probe.OK == t.Probe.OK && s.Probe.Message == t.Probe.Message
}

// StatusOf returns what the record says of a session.
func StatusOf(o *store.Operation) Status {
	return Status{o.Session, o.StatusCode, o.StatusMessage, o.Probe}
}

// Status returns what the answer says of a session, bounded as it is stored.
func (a *Answer) Status() Status {
	p := a.Session.Probe
	p.Target, p.Message = Clean(p.Target), Clean(p.Message)
	return Status{a.Session.State, Bounded(a.Session.StatusCode, MaxState), Clean(a.Session.StatusMessage), p}
}

// status stores what the provider and the port probe say of the session. It goes with a
// write that happens anyway. If it changes, status makes a write of its own, no more often
// than statusEvery.
func (d *decision) status() {
	if d.Answer.Err != nil || d.Answer.Session.State == "" {
		return
	}
	now := d.Answer.Status()
	if d.op.Phase == fsm.PhaseSucceeded { // the rest explained the wait, which is over
		now = Status{State: now.State}
	}
	was := StatusOf(&d.op)
	was.State = now.State // note has stored the state
	switch {
	case now.Says(was) && !d.moved:
		return
	case !d.write && d.Answer.At.Before(d.op.StatusAt.Add(d.statusEvery())) && d.op.StatusAt.After(d.op.AcceptedAt) && !d.op.StatusAt.After(d.Answer.At):
		return
	}
	d.op.StatusCode, d.op.StatusMessage, d.op.Probe, d.op.StatusAt = now.Code, now.Message, now.Probe, d.Answer.At
	d.write = true
}

// statusEvery returns how far apart two writes are that only store a status: an
// eighth of the boot so far, and at least a second. So a short Run stores an early
// change, and a boot of half an hour writes 60 times at most.
func (d *decision) statusEvery() time.Duration {
	return max(time.Second, d.Answer.At.Sub(d.op.AcceptedAt)/8)
}
