package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// TestWhoIsOffline: the text distinguishes an unreachable machine from an unreachable provider.
func TestWhoIsOffline(t *testing.T) {
	t.Parallel()
	x := engine.Explanation{Waiting: engine.WaitOffline, Error: "no route"}
	x.Operation.ExpiresAt = time.Now().Add(time.Hour)
	if got, want := shortly(x), "the provider cannot be reached: no route"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	x.OnlySession = true
	if got, want := shortly(x), "the machine cannot be reached: no route"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	x.Waiting, x.Also = engine.WaitNotRunning, engine.WaitCredentials
	if got := shortly(x); !strings.Contains(got, "for this session are missing or refused") {
		t.Errorf("got %q, want the session's credentials", got)
	}
}

// TestWaitingTexts checks three texts. A session that is off again does not boot. The
// step after an unknown outcome is named. A refusal without words is not printed twice.
func TestWaitingTexts(t *testing.T) {
	t.Parallel()
	of := func(r engine.WaitReason, change func(*engine.Explanation)) string {
		x := engine.Explanation{Waiting: r}
		x.Operation.ExpiresAt = time.Now().Add(time.Hour)
		change(&x)
		return shortly(x)
	}
	for _, c := range []struct{ got, want string }{
		{of(engine.WaitBooting, func(x *engine.Explanation) { x.Seen.State = fsm.StateStartInProgress }), "boots"},
		{of(engine.WaitBooting, func(x *engine.Explanation) {
			x.Operation.Sent, x.Seen = store.SentAccepted, engine.Seen{State: fsm.StateStopped, StatusMessage: "the node is DOWN"}
		}), "its start was accepted, but the session is STOPPED: the node is DOWN"},
		{of(engine.WaitBackoff, func(x *engine.Explanation) { x.Error = "internal error: busy" }), "waits after an error: busy"},
		{of(engine.WaitBackoff, func(x *engine.Explanation) {
			x.Operation.Sent, x.Error = store.SentUnknown, "unknown outcome: busy"
		}), "a start was sent, outcome unknown: busy"},
		{of(engine.WaitCredentials, func(x *engine.Explanation) { x.Error = "credentials" }), "credentials are missing or refused"},
		{of(engine.WaitPaused, func(x *engine.Explanation) { x.Error = "no capacity: none" }), "its lane is paused"},
		{of(engine.WaitNotRunning, func(x *engine.Explanation) {
			x.Also, x.Error = engine.WaitCapacity, "no capacity: none is free"
		}), `the provider has no machine to give: none is free; queued for "rouse run"`},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// TestEventSaysAStateOnce: an error that begins with the session's state replaces it.
func TestEventSaysAStateOnce(t *testing.T) {
	t.Parallel()
	ev := engine.Event{
		From: fsm.PhaseStarting, To: fsm.PhaseFailed, Reason: store.ReasonStartFailed, Session: fsm.StateStartFailed,
		Error: "the session is START_FAILED: no power",
	}
	if got, want := eventText(ev), "FAILED (start_failed): the session is START_FAILED: no power"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
