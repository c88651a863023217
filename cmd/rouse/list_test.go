package main

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport"
)

// TestSessionRowSaysTheCodeOnce checks a provider's message that begins with its code.
func TestSessionRowSaysTheCodeOnce(t *testing.T) {
	t.Parallel()
	const code = "Client.UserInitiatedShutdown"
	for _, test := range []struct{ code, message, want string }{
		{code, code + ": User initiated shutdown", code + ": User initiated shutdown"},
		{"pending", "pending", "pending"},
		{code, "User initiated", code + " User initiated"},
		{code, "", code},
		{"NONE", "", ""},
		{"", "User initiated", "User initiated"},
	} {
		row := sessionRow(engine.SessionStatus{Session: transport.Session{StatusCode: test.code, StatusMessage: test.message}}, time.Now())
		if got := row[len(row)-1]; got != test.want {
			t.Errorf("%q %q: %q, want %q", test.code, test.message, got, test.want)
		}
	}
}
