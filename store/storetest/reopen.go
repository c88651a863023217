package storetest

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

func reopenTests() []test {
	return []test{
		{"after each write", reopenAfterEach},
		{"claims are gone, due times are as written", reopenClaims},
		{"the store keeps its id", reopenID},
	}
}

// reopenAfterEach writes in every way, opens the store again after each write, and compares
// everything that it returns.
func reopenAfterEach(e *env) {
	var o store.Operation
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"enqueue", func() { o = e.enqueue(e.op("s", "1", token("t")), e.op("s", "2"))[0] }},
		{"join", func() {
			o = e.offer(e.op("s", "1", token("t"), expires(e.at(99*time.Hour))))[0].Operation
		}},
		{"mark", func() { o.Sent, o.SentAt = store.SentUnknown, e.now; o = e.apply(o, nil, false) }},
		{"accept", func() {
			o.Phase, o.Sent, o.BootDeadline = fsm.PhaseStarting, store.SentAccepted, e.at(time.Hour)
			o = e.apply(o, &store.Event{Operation: o.ID, Ref: o.Ref, From: fsm.PhaseQueued, To: fsm.PhaseStarting, At: e.now}, true)
		}},
		{"end", func() { o = e.end(o, fsm.PhaseSucceeded) }},
		{"start again", func() { e.enqueue(e.op("s", "1")) }},
		{"prune", func() { e.prune(store.Retention{EndedSince: e.at(1), Events: 2}) }},
	} {
		step.do()
		ops, events := e.list(store.Filter{}), e.feed()
		head, _ := e.Head(e.ctx)
		e.reopen()
		again := e.list(store.Filter{})
		e.wantOps(step.name, again, ops...)
		for i := range min(len(again), len(ops)) {
			if !same(again[i], ops[i]) {
				e.Errorf("%s: %+v, want %+v", step.name, again[i], ops[i])
			}
		}
		feed := e.feed()
		if len(feed) != len(events) {
			e.Fatalf("%s: %d events, want %d", step.name, len(feed), len(events))
		}
		for i := range feed {
			if feed[i] != events[i] {
				e.Errorf("%s: event %+v, want %+v", step.name, feed[i], events[i])
			}
		}
		if now, _ := e.Head(e.ctx); now != head {
			e.Errorf("%s: head %q, want %q", step.name, now, head)
		}
	}
}

func reopenClaims(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2", tried), e.op("s", "3", dueAt(e.at(time.Hour))))
	e.wantOps("claimed", e.claim("s", 9, 9), ops[0], ops[1])
	later := ops[0]
	later.DueAt = e.at(time.Hour)
	if err := e.Release(e.ctx, []store.Operation{later}); err != nil {
		e.Fatal(err)
	}
	e.reopen()
	e.wantDue(e.due(0), store.LaneDue{Lane: "s", Send: e.now, Read: e.now})
	e.wantOps("claimed again", e.claim("s", 9, 9), ops[0], ops[1])
}

func reopenID(e *env) {
	before, err := e.Stats(e.ctx)
	if err != nil {
		e.Fatal(err)
	}
	e.reopen()
	if after, err := e.Stats(e.ctx); err != nil || after.StoreID != before.StoreID {
		e.Errorf("id %q, %v, want %q", after.StoreID, err, before.StoreID)
	}
}
