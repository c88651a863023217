package main

import (
	"testing"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// TestFailureText checks that advice comes first, that nothing is printed twice, and that
// a text of unknown form is unchanged.
func TestFailureText(t *testing.T) {
	t.Parallel()
	missing := &transport.Error{
		Kind: transport.KindNotFound, Code: "ResourceNotFoundException", Message: "no session lab/ws-1", HTTPStatusCode: 404, RequestID: "r-1",
	}
	for _, c := range []struct {
		phase     fsm.Phase
		reason    store.Reason
		lastError string
		want      string
	}{
		{fsm.PhaseSucceeded, "", missing.Error(), ""},
		{fsm.PhaseCanceled, store.ReasonCanceled, missing.Error(), ""},
		{fsm.PhaseQueued, "", "", ""},
		{
			fsm.PhaseFailed, store.ReasonNotFound, missing.Error() + "; check the ids",
			"no session lab/ws-1; check the ids (ResourceNotFoundException, HTTP 404, request r-1)",
		},
		{fsm.PhaseFailed, store.ReasonTimeout, "not READY after 30m0s", "not READY after 30m0s (timeout)"},
		{fsm.PhaseFailed, store.ReasonUnobservable, "", "the session could not be read and may be running (unobservable)"},
		{fsm.PhaseFailed, store.ReasonAccessDenied, "", "access denied"},
		{fsm.PhaseExpired, store.ReasonExpired, "", "it could not be sent in time"},
		{fsm.PhaseExpired, store.ReasonExpired, "unreachable: dial tcp: refused", "it could not be sent in time: dial tcp: refused"},
		{fsm.PhaseQueued, "", "throttled (HTTP 429)", "throttled (HTTP 429)"},
		{fsm.PhaseQueued, "", "throttled: ThrottlingException (HTTP 429, request r-2)", "throttled (ThrottlingException, HTTP 429, request r-2)"},
		{fsm.PhaseQueued, "", "internal error: session ws-1: broken", "session ws-1: broken"},
		{fsm.PhaseQueued, "", "no capacity: " + missing.Message + " (HTTP 402, requ…", "no session lab/ws-1 (HTTP 402, requ…"},
		{fsm.PhaseQueued, "", "throttledown: a word", "throttledown: a word"},
	} {
		o := engine.Operation{Phase: c.phase, EndReason: c.reason, LastError: c.lastError}
		if got := failureText(o); got != c.want {
			t.Errorf("%s %s %q: it says %q, want %q", c.phase, c.reason, c.lastError, got, c.want)
		}
	}
}
