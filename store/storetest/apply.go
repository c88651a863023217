package storetest

import (
	"errors"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

func applyTests() []test {
	return []test{
		{"a change and its event", applyWithEvent},
		{"a change without an event", applyWithoutEvent},
		{"only to the version that the caller read", applyFenced},
		{"each change has a result of its own", applyBatch},
		{"two changes of one version in a call", applySameVersion},
		{"two versions in order in one call", applyInTurn},
		{"an operation that is not stored", applyNotFound},
		{"a fact of an ended operation", applyFact},
		{"the end frees the session and keeps the token", applyEnd},
		{"no change", applyNone},
	}
}

func applyWithEvent(e *env) {
	o := e.enqueue(e.op("s", "1"))[0]
	o.Phase, o.Sent, o.AcceptedAt, o.BootDeadline = fsm.PhaseStarting, store.SentAccepted, e.now, e.at(30*time.Minute)
	ev := store.Event{
		Operation: o.ID, Ref: o.Ref, From: fsm.PhaseQueued, To: fsm.PhaseStarting, Session: fsm.StateStartInProgress,
		Reason: store.ReasonUnexpectedState, By: "mo", At: e.at(time.Nanosecond), Error: "früh, \xff and \x00",
	}
	o = e.apply(o, &ev, false)
	if now := e.read(o.ID); !same(now, o) {
		e.Errorf("stored %+v, want %+v", now, o)
	}
	events := e.feed()
	if len(events) != 2 {
		e.Fatalf("%d events, want 2", len(events))
	}
	ev.Seq, ev.Cursor = 2, events[1].Cursor
	if events[1] != ev || ev.Cursor == events[0].Cursor {
		e.Errorf("event %+v, want %+v", events[1], ev)
	}
}

func applyWithoutEvent(e *env) {
	o := e.enqueue(e.op("s", "1"))[0]
	o.Attempts, o.LastError, o.LastErrorAt, o.Interval = 1, "throttled", e.now, time.Second
	o = e.apply(o, nil, false)
	if now := e.read(o.ID); !same(now, o) || o.Version != 2 {
		e.Errorf("stored %+v, want %+v", now, o)
	}
	if n := len(e.feed()); n != 1 {
		e.Errorf("%d events, want 1", n)
	}
}

func applyFenced(e *env) {
	o := e.enqueue(e.op("s", "1"))[0]
	newer := e.apply(o, nil, false)
	for _, version := range []uint64{0, o.Version, newer.Version + 1} {
		stale := newer
		stale.Version, stale.LastError = version, "stale"
		errs, err := e.Apply(e.ctx, []store.Change{{Operation: stale, Events: []store.Event{{Operation: o.ID, Ref: o.Ref}}, Release: true}})
		if err != nil || len(errs) != 1 || !errors.Is(errs[0], store.ErrFenced) {
			e.Errorf("version %d of %d: %v, %v, want ErrFenced", version, newer.Version, errs, err)
		}
	}
	if now := e.read(o.ID); !same(now, newer) {
		e.Errorf("stored %+v, want %+v", now, newer)
	}
	if n := len(e.feed()); n != 1 {
		e.Errorf("%d events: a refused change left its event", n)
	}
}

func applyBatch(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2"), e.op("s", "3"))
	changes := make([]store.Change, 3)
	for i, o := range ops {
		o.LastError = "x"
		changes[i] = store.Change{Operation: o, Events: []store.Event{{Operation: o.ID, Ref: o.Ref, From: o.Phase, To: o.Phase, At: e.now}}}
	}
	changes[1].Operation.Version = 7
	errs, err := e.Apply(e.ctx, changes)
	if err != nil || errs[0] != nil || !errors.Is(errs[1], store.ErrFenced) || errs[2] != nil {
		e.Fatalf("%v, %v", errs, err)
	}
	for i, want := range []string{"x", "", "x"} {
		if now := e.read(ops[i].ID); now.LastError != want {
			e.Errorf("operation %d: %q, want %q", i+1, now.LastError, want)
		}
	}
	events := e.feed()
	if len(events) != 5 || events[3].Operation != ops[0].ID || events[4].Operation != ops[2].ID {
		e.Errorf("events %+v", events)
	}
}

func applySameVersion(e *env) {
	o := e.enqueue(e.op("s", "1"))[0]
	errs, err := e.Apply(e.ctx, []store.Change{{Operation: o}, {Operation: o}})
	if err != nil || errs[0] != nil || !errors.Is(errs[1], store.ErrFenced) {
		e.Errorf("%v, %v, want the second to be fenced", errs, err)
	}
}

func applyInTurn(e *env) {
	o := e.enqueue(e.op("s", "1"))[0]
	second := o
	second.Version++
	second.LastError = "second"
	errs, err := e.Apply(e.ctx, []store.Change{{Operation: o}, {Operation: second}})
	if err != nil || errs[0] != nil || errs[1] != nil {
		e.Errorf("%v, %v", errs, err)
	}
	if now := e.read(o.ID); now.Version != 3 || now.LastError != "second" {
		e.Errorf("stored %+v", now)
	}
}

func applyNotFound(e *env) {
	errs, err := e.Apply(e.ctx, []store.Change{{Operation: e.op("s", "1"), Events: []store.Event{{}}}})
	if len(errs) == 1 && err == nil && errors.Is(errs[0], store.ErrNotFound) {
		return
	}
	// A driver may refuse an event of another operation before anything else.
	o := e.op("s", "1")
	errs, err = e.Apply(e.ctx, []store.Change{{Operation: o, Events: []store.Event{{Operation: o.ID, Ref: o.Ref}}}})
	if err != nil || len(errs) != 1 || !errors.Is(errs[0], store.ErrNotFound) {
		e.Errorf("%v, %v, want ErrNotFound", errs, err)
	}
	if n := len(e.feed()); n != 0 {
		e.Errorf("%d events", n)
	}
}

func applyFact(e *env) {
	o := e.end(e.enqueue(e.op("s", "1"))[0], fsm.PhaseFailed)
	o.Session = fsm.StateReady
	o = e.apply(o, &store.Event{Operation: o.ID, Ref: o.Ref, From: o.Phase, To: o.Phase, Session: fsm.StateReady, Reason: store.ReasonLateReady, At: e.now}, false)
	if now := e.read(o.ID); !same(now, o) {
		e.Errorf("stored %+v, want %+v", now, o)
	}
	if events := e.feed(); len(events) != 3 || events[2].Reason != store.ReasonLateReady {
		e.Errorf("events %+v", events)
	}
}

func applyEnd(e *env) {
	for _, p := range []fsm.Phase{fsm.PhaseSucceeded, fsm.PhaseFailed, fsm.PhaseCanceled, fsm.PhaseExpired} {
		o := e.end(e.enqueue(e.op("s", "a", token("t "+string(p))))[0], p)
		if got := e.offer(e.op("s", "a", token("t "+string(p))))[0]; got.Created || !same(got.Operation, o) {
			e.Errorf("%s: its token again: %+v", p, got)
		}
	}
	if stats, err := e.Stats(e.ctx); err != nil || len(stats.Operations) != 4 || stats.Operations[fsm.PhaseQueued] != 0 {
		e.Errorf("stats %+v, %v", stats, err)
	}
}

func applyNone(e *env) {
	if errs, err := e.Apply(e.ctx, nil); err != nil || len(errs) != 0 {
		e.Errorf("%v, %v", errs, err)
	}
}
