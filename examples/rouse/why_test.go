package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
)

// TestWhoIsOffline: a machine that cannot be reached is told from its provider.
func TestWhoIsOffline(t *testing.T) {
	t.Parallel()
	x := engine.Explanation{Reason: engine.Offline, Error: "no route"}
	x.Operation.ExpiresAt = time.Now().Add(time.Hour)
	if got, want := shortly(x), "the provider cannot be reached: no route"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	x.Alone = true
	if got, want := shortly(x), "the machine cannot be reached: no route"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	x.Reason, x.Then = engine.NotRunning, engine.Credentials
	if got := shortly(x); !strings.Contains(got, "for this session are missing or refused") {
		t.Errorf("got %q, want the session's credentials", got)
	}
}
