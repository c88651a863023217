package storetest

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// RunForeign runs the rules of a store whose state belongs to one machine. elsewhere
// opens the state of a dir as another machine would that got a copy of it.
func RunForeign(t *testing.T, open, elsewhere Opener) {
	t.Helper()
	for _, each := range []struct {
		name string
		run  func(h *held)
	}{
		{"opened elsewhere", heldElsewhere},
		{"perhaps sent", heldDoubts},
		{"adopted", heldAdopted},
		{"back at home", heldBack},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			each.run(&held{newEnv(t, open), open, elsewhere})
		})
	}
}

// notHeld is a rule of every store.
func notHeld(e *env) {
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
		e.Errorf("held %+v, %v, want not", s.Foreign, err)
	}
}

// held is a store that can be opened in two places.
type held struct {
	*env
	home, elsewhere Opener
}

// move closes the store and opens it in a place.
func (h *held) move(to Opener) {
	h.Helper()
	h.open = to
	h.reopen()
}

// isHeld fails unless the store is held, and returns since when.
func (h *held) isHeld() time.Time {
	h.Helper()
	s, err := h.Stats(h.ctx)
	if err != nil || s.Foreign == nil || s.Foreign.Since.IsZero() {
		h.Fatalf("held %+v, %v, want it held since some time", s.Foreign, err)
	}
	return s.Foreign.Since
}

func (h *held) isFree() {
	h.Helper()
	if s, err := h.Stats(h.ctx); err != nil || s.Foreign != nil {
		h.Fatalf("held %+v, %v, want not", s.Foreign, err)
	}
}

// heldElsewhere: it takes requests, answers, and stays held however often it is
// opened.
func heldElsewhere(h *held) {
	old := h.enqueue(h.op("s", "1"))[0]
	at := h.feed()[0].Cursor
	h.move(h.elsewhere)
	since := h.isHeld()
	asked := h.enqueue(h.op("s", "2"))[0]
	if joined := h.offer(h.op("s", "1"))[0]; joined.Created || joined.Operation.ID != old.ID {
		h.Errorf("a request for what is active: %+v, want it to join", joined)
	}
	h.move(h.elsewhere)
	if again := h.isHeld(); !again.Equal(since) {
		h.Errorf("held since %v, and opened again since %v", since, again)
	}
	h.read(old.ID)
	h.read(asked.ID)
	if events, err := h.Events(h.ctx, at, 9); err != nil || len(events) != 1 || events[0].Operation != asked.ID {
		h.Errorf("after the event from home: %+v, %v", events, err)
	}
}

// heldDoubts: what was active may have been sent by the other machine, and what
// came since was not.
func heldDoubts(h *held) {
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
		h.Errorf("asked for here: sent %s, version %d", got.Sent, got.Version)
	}
	// It is due as one that is looked at.
	c := h.claimed(store.ClaimRequest{Now: h.at(time.Minute), Lanes: []store.LaneSlots{{Lane: "s", Reads: 9}}})
	if len(c.Operations) != 3 {
		h.Errorf("to be looked at are %v, want three", sessions(c.Operations))
	}
}

// heldAdopted: it is a fact in the feed, durable, and told once.
func heldAdopted(h *held) {
	h.fill(2)
	h.move(h.elsewhere)
	h.isHeld()
	events := h.feed()
	last := events[len(events)-1]
	woken := make(chan error, 1)
	go func() { woken <- h.Await(h.ctx, last.Cursor) }()
	for range 2 {
		if err := h.Store.(store.Adopter).Adopt(h.ctx, "mo", h.at(time.Hour)); err != nil {
			h.Fatalf("Adopt: %v", err)
		}
		h.isFree()
	}
	if err := <-woken; err != nil {
		h.Errorf("who waited for an event: %v", err)
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
	h.isFree()
	if n := len(h.feed()); n != len(events)+1 {
		h.Errorf("%d events, want %d", n, len(events)+1)
	}
	h.enqueue(h.op("s", "after"))
	h.move(h.home) // which is elsewhere now
	h.isHeld()
}

// heldBack: at home it was never away.
func heldBack(h *held) {
	h.fill(1)
	h.move(h.elsewhere)
	h.isHeld()
	h.move(h.home)
	h.isFree()
	asked := h.enqueue(h.op("s", "home"))[0]
	h.move(h.elsewhere)
	h.isHeld()
	if got := h.read(asked.ID); got.Sent != store.SentUnknown {
		h.Errorf("sent %s: it was asked for at home since", got.Sent)
	}
}
