package storetest

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// RunForeign runs the rules of a store whose state belongs to one machine. The func open
// opens the state of a dir on that machine. The func elsewhere opens it as another
// machine with a copy would.
func RunForeign(t *testing.T, open, elsewhere Opener) {
	t.Helper()
	for _, each := range []struct {
		name string
		run  func(h *twoHomes)
	}{
		{"opened elsewhere", foreignElsewhere},
		{"outcome unknown", foreignOutcome},
		{"adopted", foreignAdopted},
		{"back at home", foreignBack},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			each.run(&twoHomes{newEnv(t, open), open, elsewhere})
		})
	}
}

// notForeign is a rule of every store.
func notForeign(e *env) {
	e.fill(2)
	before := len(e.feed())
	for range 2 {
		if a, ok := e.Store.(store.Adopter); ok {
			if err := a.Adopt(e.ctx, "mo", e.now); err != nil {
				e.Errorf("Adopt: %v", err)
			}
		}
	}
	if n := len(e.feed()); n != before {
		e.Errorf("%d events, %d before: there was nothing to adopt", n, before)
	}
	if s, err := e.Stats(e.ctx); err != nil || s.Foreign != nil {
		e.Errorf("foreign: %+v, %v, want it not to be", s.Foreign, err)
	}
}

// twoHomes is a store that can be opened as two machines.
type twoHomes struct {
	*env
	home, elsewhere Opener
}

// move closes the store and opens it with the opener to.
func (h *twoHomes) move(to Opener) {
	h.Helper()
	h.open = to
	h.reopen()
}

// isForeign fails unless the store is foreign, and returns since when it is.
func (h *twoHomes) isForeign() time.Time {
	h.Helper()
	s, err := h.Stats(h.ctx)
	if err != nil || s.Foreign == nil || s.Foreign.Since.IsZero() {
		h.Fatalf("foreign: %+v, %v, want a foreign store with the time since when", s.Foreign, err)
	}
	return s.Foreign.Since
}

func (h *twoHomes) isHome() {
	h.Helper()
	if s, err := h.Stats(h.ctx); err != nil || s.Foreign != nil {
		h.Fatalf("foreign: %+v, %v, want it not to be", s.Foreign, err)
	}
}

// foreignElsewhere checks that a foreign store accepts requests and answers. It stays
// foreign however often it is opened.
func foreignElsewhere(h *twoHomes) {
	old := h.enqueue(h.op("s", "1"))[0]
	at := h.feed()[0].Cursor
	h.move(h.elsewhere)
	since := h.isForeign()
	asked := h.enqueue(h.op("s", "2"))[0]
	if joined := h.offer(h.op("s", "1"))[0]; joined.Created || joined.Operation.ID != old.ID {
		h.Errorf("a request for an active operation: %+v, want it to join", joined)
	}
	h.move(h.elsewhere)
	if again := h.isForeign(); !again.Equal(since) {
		h.Errorf("foreign since %v, and when opened again since %v", since, again)
	}
	h.read(old.ID)
	h.read(asked.ID)
	if events, err := h.Events(h.ctx, at, 9); err != nil || len(events) != 1 || events[0].Operation != asked.ID {
		h.Errorf("after the event from home: %+v, %v", events, err)
	}
}

// foreignOutcome checks that active operations of the other machine count as outcome
// unknown. It cannot have sent operations that were requested later.
func foreignOutcome(h *twoHomes) {
	plain, marked, accepted, ended := h.op("s", "1"), h.op("s", "2"), h.op("s", "3"), h.op("s", "4")
	ops := h.enqueue(plain, marked, accepted, ended)
	ops[1].Sent, ops[1].SentAt, ops[1].LastSentAt, ops[1].Attempts = store.SentUnknown, h.at(1), h.at(2), 7
	ops[1] = h.apply(ops[1], nil, false)
	ops[2].Phase, ops[2].Sent, ops[2].AcceptedAt, ops[2].BootDeadline = fsm.PhaseStarting, store.SentAccepted, h.at(1), h.at(time.Hour)
	ops[2] = h.apply(ops[2], &store.Event{Operation: ops[2].ID, Ref: ops[2].Ref, From: fsm.PhaseQueued, To: fsm.PhaseStarting, At: h.at(1)}, false)
	ops[3] = h.end(ops[3], fsm.PhaseSucceeded)
	h.move(h.elsewhere)
	later := h.enqueue(h.op("s", "5"))[0]
	h.move(h.elsewhere)

	got := h.read(ops[0].ID)
	if got.Sent != store.SentUnknown || !got.SentAt.Equal(got.CreatedAt) || !got.LastSentAt.Equal(got.CreatedAt) || got.Version != ops[0].Version+1 {
		h.Errorf("never sent at home: sent %s at %v, version %d", got.Sent, got.SentAt, got.Version)
	}
	for _, want := range ops[1:] {
		if got := h.read(want.ID); !same(got, want) {
			h.Errorf("%+v, want %+v", got, want)
		}
	}
	if got := h.read(later.ID); got.Sent != store.SentNo || got.Version != later.Version {
		h.Errorf("requested here: sent %s, version %d", got.Sent, got.Version)
	}
	// Their next step is a read.
	c := h.claimed(store.ClaimRequest{Now: h.at(time.Minute), Lanes: []store.LaneSlots{{Lane: "s", Reads: 9}}})
	if len(c.Operations) != 3 {
		h.Errorf("%v are due for a read, want three", sessions(c.Operations))
	}
}

// foreignAdopted checks that the adoption is one fact in the feed, and durable.
func foreignAdopted(h *twoHomes) {
	h.fill(2)
	h.move(h.elsewhere)
	h.isForeign()
	events := h.feed()
	last := events[len(events)-1]
	woken := make(chan error, 1)
	go func() { woken <- h.Await(h.ctx, last.Cursor) }()
	for range 2 {
		if err := h.Store.(store.Adopter).Adopt(h.ctx, "mo", h.at(time.Hour)); err != nil {
			h.Fatalf("Adopt: %v", err)
		}
		h.isHome()
	}
	if err := <-woken; err != nil {
		h.Errorf("Await: %v", err)
	}
	more, err := h.Events(h.ctx, last.Cursor, 9)
	if err != nil || len(more) != 1 {
		h.Fatalf("%d more events, %v, want one", len(more), err)
	}
	want := store.Event{Seq: last.Seq + 1, Cursor: more[0].Cursor, Reason: store.ReasonAdopted, By: "mo", At: h.at(time.Hour)}
	if more[0] != want {
		h.Errorf("%+v, want %+v", more[0], want)
	}
	h.move(h.elsewhere)
	h.isHome()
	if n := len(h.feed()); n != len(events)+1 {
		h.Errorf("%d events, want %d", n, len(events)+1)
	}
	h.enqueue(h.op("s", "after"))
	h.move(h.home) // it is foreign there now
	h.isForeign()
}

// foreignBack checks that the store is not foreign when its own machine opens it.
func foreignBack(h *twoHomes) {
	h.fill(1)
	h.move(h.elsewhere)
	h.isForeign()
	h.move(h.home)
	h.isHome()
	asked := h.enqueue(h.op("s", "home"))[0]
	h.move(h.elsewhere)
	h.isForeign()
	if got := h.read(asked.ID); got.Sent != store.SentUnknown {
		h.Errorf("sent %s, but it was requested at home", got.Sent)
	}
}
