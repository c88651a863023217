package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
)

func ref(studioID, sessionID string) engine.Ref {
	return engine.Ref{StudioID: studioID, SessionID: sessionID}
}

// fixture is a home, and a provider that is down.
func fixture(t *testing.T, boot time.Duration) (*testProvider, []string) {
	t.Helper()
	p, err := newProvider(boot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.down)
	return p, append(environment(t.TempDir()), "AWS_ENDPOINT_URL_NIMBLE="+p.url())
}

// TestInterruptedWait checks that Ctrl-C ends a wait, and the request stays.
func TestInterruptedWait(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, shortBoot)
	p := launch(t, env, "start", "lab", "ws-1", "--wait")
	p.until("the provider cannot be reached")
	p.interrupt()
	p.exit(1)
	if !strings.Contains(p.errOut.String(), `stays QUEUED; the next "rouse run" continues`) {
		t.Errorf("it says %s", p.errOut)
	}

	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	p = launch(t, env, "run", "--until-idle")
	p.exit(0)
	if got := provider.effects("lab", "ws-1"); got != 1 {
		t.Errorf("the session was started %d times, want once", got)
	}
}

// TestCancelTooLate checks that a start that the provider accepted is not canceled. An
// interrupted wait leaves the session booting.
func TestCancelTooLate(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, time.Hour)
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	p := launch(t, env, "start", "lab", "ws-1", "--wait")
	p.until("boots: STREAMING_SESSION_START_IN_PROGRESS")
	p.interrupt()
	p.exit(1)
	if !strings.Contains(p.errOut.String(), "stays STARTING") {
		t.Errorf("it says %s", p.errOut)
	}
	again := launch(t, env, "start", "lab", "ws-1")
	again.exit(0)
	_, id, ok := strings.Cut(strings.TrimSpace(again.out.String()), "if ws-1 was stopped since, this request starts it again, as operation ")
	if !ok {
		t.Fatalf("it says %s", again.out)
	}
	shown := launch(t, env, "show", id)
	shown.exit(0)
	if text := strings.Join(strings.Fields(shown.out.String()), " "); !strings.Contains(text, "this request starts it again, as operation "+id) {
		t.Errorf("it says %s", text)
	}
	asJSON := launch(t, env, "show", id, "--json")
	asJSON.exit(0)
	if want := `"laterRequest":{"id":"` + id + `"`; !strings.Contains(asJSON.out.String(), want) {
		t.Errorf("it says %s, and not %s", asJSON.out, want)
	}
	for _, want := range []string{"canceled the later request " + id + " of lab ws-1", "not canceled: the later request " + id + " of lab ws-1 has ended"} {
		c := launch(t, env, "cancel", id)
		c.exit(map[bool]int{true: 1}[strings.HasPrefix(want, "not ")])
		if out := c.out.String() + c.errOut.String(); !strings.Contains(out, want) {
			t.Errorf("it says %s, want %s", out, want)
		}
	}
	later := launch(t, env, "start", "lab", "ws-1")
	later.exit(0)
	_, id, _ = strings.Cut(strings.TrimSpace(later.out.String()), "starts it again, as operation ")
	c := launch(t, env, "cancel", "lab", "ws-1")
	c.exit(1)
	for _, want := range []string{"not canceled: the provider has accepted the start of lab ws-1", "; the later request " + id + " is canceled: it starts nothing"} {
		if !strings.Contains(c.errOut.String(), want) {
			t.Errorf("it says %s, want %s", c.errOut, want)
		}
	}
	show := launch(t, env, "show", "lab", "ws-1")
	show.exit(0)
	if !strings.Contains(show.out.String(), "STARTING, accepted by the provider") {
		t.Errorf("it says %s", show.out)
	}
}

// TestBackOnline checks that a wait that began offline ends when the network is back.
func TestBackOnline(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, shortBoot)
	p := launch(t, env, "start", "lab", "ws-1", "--wait")
	p.until("the provider cannot be reached")
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	p.exit(0)
	if !strings.Contains(p.out.String(), "lab ws-1 is READY") {
		t.Errorf("it says %s", p.out)
	}
}

// TestHeld: other processes work through the one that runs the engine. The commands that
// need the file itself say which process has it open. A second run waits for its turn.
func TestHeld(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, shortBoot)
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	launch(t, env, "start", "lab", "ws-1").exit(0)
	holder := launch(t, env, "run")
	holder.until("SUCCEEDED")
	for _, args := range [][]string{{"start", "lab", "ws-2", "--wait"}, {"ls"}, {"show", "lab", "ws-2"}, {"stats"}, {"run", "--until-idle"}} {
		launch(t, env, args...).exit(0)
	}
	for _, args := range [][]string{{"check"}, {"repair"}} {
		second := launch(t, env, append(args, "--lock-timeout", "100ms")...)
		second.exit(3)
		if text := second.errOut.String(); !strings.Contains(text, "is open in rouse (pid ") || !strings.Contains(text, "rouse backup COPY") {
			t.Errorf("rouse %q says %s", args, text)
		}
	}
	second := launch(t, env, "run")
	second.until("waiting until it ends")
	third := launch(t, env, "run")
	third.until("waiting until it ends")
	third.interrupt()
	third.exit(0)
	holder.interrupt()
	holder.exit(0)
	launch(t, env, "start", "lab", "ws-3").exit(0)
	second.until("ws-3")
	second.interrupt()
	second.exit(0)
}

// TestRefusedCredentials checks that refused credentials are a reason to wait, and no
// failure. A user who waits gets a message and the prompt back. The secret is in no
// output and not in the file.
func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, shortBoot)
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	wrong := append(slices.Clone(env), "AWS_SECRET_ACCESS_KEY=wrong-secret")
	p := launch(t, wrong, "start", "lab", "ws-1", "--wait")
	p.until("credentials are missing or refused")
	p.exit(1)
	if text := p.errOut.String(); !strings.Contains(text, refusedText+"; operation ") || !strings.Contains(text, "stays QUEUED") {
		t.Errorf("start --wait says %s", text)
	}
	p = launch(t, wrong, "run", "--until-idle")
	p.exit(1)
	for _, want := range []string{
		"rouse: lane lab is blocked: credentials are missing or refused",
		"rouse: nothing ended; 1 active (1 blocked: the credentials are refused)",
		"rouse: " + refusedText + "; 1 operation stays active",
	} {
		if !strings.Contains(p.errOut.String(), want) {
			t.Errorf("run --until-idle says %s, and not %q", p.errOut, want)
		}
	}
	if strings.Contains(p.errOut.String()+p.out.String(), "wrong-secret") {
		t.Error("the output holds the secret")
	}
	holder := launch(t, wrong, "run")
	holder.until("lane lab is blocked")
	p = launch(t, env, "start", "lab", "ws-1", "--wait") // the credentials of this process do not count
	p.exit(1)
	if text := p.errOut.String(); !strings.Contains(text, "the credentials of the process that runs the engine") {
		t.Errorf("start --wait through the socket says %s", text)
	}
	holder.interrupt()
	holder.exit(0)

	p = launch(t, env, "run", "--until-idle")
	p.exit(0)
	if !strings.Contains(p.errOut.String(), "1 SUCCEEDED; 0 active") {
		t.Errorf("it says %s", p.errOut)
	}
	for _, e := range env {
		path, ok := strings.CutPrefix(e, "ROUSE_DB=")
		if !ok {
			continue
		}
		file, err := os.ReadFile(path)
		if err != nil || bytes.Contains(file, []byte(secret)) || bytes.Contains(file, []byte(keyID)) {
			t.Errorf("%s holds credentials, or cannot be read: %v", path, err)
		}
	}
}

// TestNoCredentials checks both commands that send, without any credentials. "run" waits
// for them and says so. "start --wait" says so and leaves the start queued.
func TestNoCredentials(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, shortBoot)
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	launch(t, env, "start", "lab", "ws-1").exit(0)
	p := launch(t, append(slices.Clone(env), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="), "run")
	p.until("no AWS credentials were found; export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	p.interrupt()
	p.exit(0)
	p = launch(t, append(slices.Clone(env), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="), "start", "lab", "ws-2", "--wait")
	p.exit(1)
	if text := p.errOut.String(); !strings.Contains(text, "no AWS credentials were found") || !strings.Contains(text, "stays QUEUED") {
		t.Errorf("start --wait says %s", text)
	}
	p = launch(t, env, "run", "--until-idle")
	p.exit(0)
	if !strings.Contains(p.errOut.String(), "2 SUCCEEDED; 0 active") {
		t.Errorf("with credentials it says %s", p.errOut)
	}
}

// TestFollow checks that a follower sees the operations of other processes, and does not
// block them.
func TestFollow(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, shortBoot)
	launch(t, env, "start", "lab", "ws-1").exit(0)
	f := launch(t, env, "events", "--follow", "--json")
	f.until(`"sessionId":"ws-1"`)
	launch(t, env, "start", "lab", "ws-2").exit(0)
	f.until(`"sessionId":"ws-2"`)
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	launch(t, env, "run", "--until-idle").exit(0)
	f.until(`"to":"SUCCEEDED"`)
	f.interrupt()
	f.exit(0)
	all := launch(t, env, "events", "--json")
	all.exit(0)
	if !strings.HasPrefix(all.out.String(), f.out.String()) {
		t.Errorf("the follower saw\n%s, the feed is\n%s", f.out, all.out)
	}
}

// TestFollowAfterServe checks that a follower of a process that ended goes on at once,
// however long it has followed that process.
func TestFollowAfterServe(t *testing.T) {
	t.Parallel()
	_, env := fixture(t, shortBoot)
	server, _ := served(t, env)
	launch(t, env, "start", "lab", "ws-1").exit(0)
	f := launch(t, env, "events", "--follow", "--json")
	f.until(`"sessionId":"ws-1"`)
	time.Sleep(2500 * time.Millisecond) // ten times this is longer than until waits
	server.interrupt()
	server.exit(0)
	launch(t, env, "start", "lab", "ws-2").exit(0)
	f.until(`"sessionId":"ws-2"`)
	f.interrupt()
	f.exit(0)
}

// TestSecondRunGoesOn checks that a run that watched another one for longer than
// --lock-timeout takes its place when that one ends.
func TestSecondRunGoesOn(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, shortBoot)
	first := launch(t, env, "run")
	launch(t, env, "start", "lab", "ws-1").exit(0)
	first.until("ws-1")
	second := launch(t, env, "--lock-timeout", "2s", "run", "--until-idle")
	launch(t, env, "start", "lab", "ws-2").exit(0)
	first.until("ws-2")
	time.Sleep(2500 * time.Millisecond) // longer than --lock-timeout
	first.interrupt()
	first.exit(0)
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	second.exit(0)
	if text := second.errOut.String(); !strings.Contains(text, "2 SUCCEEDED; 0 active") {
		t.Errorf("the second run says %s", text)
	}
}

// TestOutputThatCannotBeWritten checks that a command whose output is lost does not exit
// with 0.
func TestOutputThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("this system has no /dev/full: %v", err)
	}
	defer func() { _ = full.Close() }()
	var stderr bytes.Buffer
	db := filepath.Join(t.TempDir(), "rouse.db")
	if got := run(t.Context(), []string{"--db", db, "start", "lab", "ws-1"}, full, &stderr); got != 1 {
		t.Errorf("exit status %d, want 1; it says %s", got, &stderr)
	}
}

// TestInterrupted checks that a command that was interrupted before it began says so.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	db := filepath.Join(t.TempDir(), "rouse.db")
	for _, args := range [][]string{{"start", "lab", "ws-1"}, {"ls"}, {"show", "lab", "ws-1"}} {
		var stderr bytes.Buffer
		if got := run(ctx, append([]string{"--db", db}, args...), io.Discard, &stderr); got != 1 || !strings.Contains(stderr.String(), "rouse: interrupted") {
			t.Errorf("rouse %q: exit status %d: %s", args, got, &stderr)
		}
	}
}
