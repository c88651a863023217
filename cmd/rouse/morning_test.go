package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
)

// TestMorning: one command asks for 150 sessions while "rouse run" works. Whenever "rouse
// status" looks, it has each session once, none that was ready is not, and what it calls
// ready is READY at the provider. In the end each was started once.
func TestMorning(t *testing.T) {
	t.Parallel()
	provider, err := newProvider(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.down)
	home := t.TempDir()
	config := filepath.Join(home, "rouse.toml")
	if err := os.WriteFile(config, []byte("[studio.lab]\ntransport = \"nimble\"\nendpoint = \""+provider.url()+"\"\nregion = \"us-west-2\"\n[lane.lab]\nrate = 200\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(environment(home), "ROUSE_CONFIG="+config)
	rouse := func(args ...string) []byte {
		t.Helper()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		var out, errOut bytes.Buffer
		c := &exec.Cmd{Path: self, Args: append([]string{"rouse"}, args...), Env: env, Stdout: &out, Stderr: &errOut}
		if err := c.Run(); err != nil {
			t.Fatalf("rouse %q: %v: %s", args, err, &errOut)
		}
		return out.Bytes()
	}
	worker := launch(t, env, "run")
	worker.until("made a new database")
	if out := string(rouse("start", "lab", "ws-[001-150]")); out != "150 sessions: 150 queued\nqueued  lab ws-[001-150]\n" {
		t.Errorf("start prints %s", out)
	}
	ready := map[string]bool{}
	looks := 0
	for deadline := time.Now().Add(time.Minute); len(ready) < 150; looks++ {
		if time.Now().After(deadline) {
			t.Fatalf("after %d looks %d are ready", looks, len(ready))
		}
		seen := map[string]string{}
		for d := json.NewDecoder(bytes.NewReader(rouse("status", "--json"))); ; {
			var line struct{ SessionID, Status string }
			if err := d.Decode(&line); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if seen[line.SessionID] != "" {
				t.Errorf("reading %d has %s twice", looks, line.SessionID)
			}
			seen[line.SessionID] = line.Status
		}
		if len(seen) != 150 {
			t.Errorf("reading %d has %d sessions", looks, len(seen))
		}
		for session, status := range seen {
			now, err := provider.studio.Get(t.Context(), ref("lab", session))
			switch {
			case err != nil:
				t.Error(err)
			case status == "ready" && now.State != fsm.StateReady:
				t.Errorf("look %d calls %s ready, and it is %s", looks, session, now.State)
			case status == "ready" && provider.effects("lab", session) != 1:
				t.Errorf("look %d calls %s ready, which was started %d times", looks, session, provider.effects("lab", session))
			case status == "ready":
				ready[session] = true
			case status != "starting" || ready[session]:
				t.Errorf("look %d calls %s %s (ready before: %v)", looks, session, status, ready[session])
			}
		}
	}
	if out := string(rouse("wait", "lab", "ws-[001-150]", "--timeout", "10s")); out != "150 sessions: 150 ready\nready  lab ws-[001-150]\n" {
		t.Errorf("wait prints %s", out)
	}
	t.Logf("%d looks", looks)
}

// TestWatchStatus: without a terminal, --watch prints the state again when it has changed.
// On a terminal it draws it in place.
func TestWatchStatus(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "rouse.db")
	rouse := func(args ...string) {
		t.Helper()
		var errOut bytes.Buffer
		if got := run(t.Context(), append(args, "--db", db), io.Discard, &errOut); got != 0 {
			t.Fatalf("rouse %q: exit status %d: %s", args, got, &errOut)
		}
	}
	rouse("start", "lab", "ws-[1-3]")
	for _, width := range []int{0, 80} {
		ctx, cancel := context.WithCancel(t.Context())
		out := &buffer{}
		tool := newTool(out, io.Discard)
		tool.screen.width = func(io.Writer) int { return width }
		tool.screen.height = func(io.Writer) int { return 24 }
		ended := make(chan int, 1)
		go func() { ended <- tool.execute(ctx, []string{"status", "--watch", "--db", db}) }()
		until := func(text string) {
			t.Helper()
			for deadline := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), text); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("on %d columns it does not print %q, but %q", width, text, out)
				}
			}
		}
		until("3 sessions: 3 late")
		rouse("cancel", "lab", "ws-2")
		until("3 sessions: 1 canceled, 2 late")
		rouse("retry", "lab", "ws-2")
		cancel()
		if got := <-ended; got != 0 {
			t.Errorf("on %d columns: exit status %d", width, got)
		}
		text := out.String()
		if drawn := strings.Contains(text, "\x1b[H"); drawn != (width > 0) {
			t.Errorf("on %d columns it prints %q", width, text)
		}
		if n := strings.Count(text, "3 sessions: 3 late"); width == 0 && n > 2 {
			t.Errorf("the same state is printed %d times: %q", n, text)
		}
	}
}
