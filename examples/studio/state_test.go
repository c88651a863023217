package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// TestState checks that what was answered holds after a kill, and that tokens are
// remembered.
func TestState(t *testing.T) {
	t.Parallel()
	args := []string{"-any", "-boot", "1h", "-state", filepath.Join(t.TempDir(), "studio.json")}
	ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}
	for range 3 {
		p := launch(t, signed(), args...)
		got, err := client(p.url, secret).Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"})
		if err != nil || got.State != fsm.StateStartInProgress {
			t.Errorf("the same token again: %s, %v", got.State, err)
		}
		p.Kill()
	}
	text, err := os.ReadFile(args[len(args)-1])
	if err != nil || strings.Count(string(text), `"Starts":1`) != 1 {
		t.Errorf("the file says %s, %v; want one start", text, err)
	}
}

// TestStateThatCannotBeRead checks that such a file is not changed.
func TestStateThatCannotBeRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte("not a studio"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	if got := run(t.Context(), []string{"-addr", "127.0.0.1:0", "-state", path}, func(string) string { return "" }, &stderr, &stderr); got != 1 {
		t.Errorf("exit status %d, want 1", got)
	}
	if !strings.Contains(stderr.String(), "-state "+path) {
		t.Errorf("it says %s", &stderr)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "not a studio" {
		t.Errorf("the file is %q, %v", text, err)
	}
}
