//go:build unix

package hook

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/child"
)

// script writes a program that sh runs.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := child.WriteProgram(path, []byte("#!/bin/sh\n"+text)); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCommand: a command gets the JSON on its standard input, the variables, and its
// arguments as they are.
func TestCommand(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	argv := []string{script(t, `cat > "$1/stdin"; env > "$1/env"; printf %s "$2" > "$1/arg"`), out, "$(false); a b"}
	d := sample()
	d.Event = &engine.Event{Operation: "op-1", Ref: engine.Ref{StudioID: "lab", SessionID: "ws-1"}}
	if err := newSender(Hook{Name: "chat", Command: argv}).send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var m message
	if err := json.Unmarshal([]byte(read("stdin")), &m); err != nil || m.ID != d.id || m.Event.Ref.SessionID != "ws-1" {
		t.Errorf("standard input: %+v, %v", m, err)
	}
	if got := read("arg"); got != argv[2] {
		t.Errorf("argument: %q", got)
	}
	env := strings.Split(read("env"), "\n")
	for name, want := range map[string]string{
		"ROUSE_HOOK": "chat", "ROUSE_DELIVERY": d.id, "ROUSE_TOPIC": "failed", "ROUSE_TEXT": "lab/ws-1 FAILED", "ROUSE_STUDIO": "lab",
		"ROUSE_SESSION": "ws-1", "ROUSE_OPERATION": "op-1", "ROUSE_LANE": "", "PATH": os.Getenv("PATH"),
	} {
		if !slices.Contains(env, name+"="+want) {
			t.Errorf("%s=%s is not in the environment", name, want)
		}
	}
}

// TestCommandFails: how a command fails is said, without secrets.
func TestCommandFails(t *testing.T) {
	t.Setenv("CHAT_TOKEN", "planted-secret")
	for name, test := range map[string]struct {
		argv []string
		want string // part of the error; "": success
	}{
		"exit status":              {[]string{script(t, `cat >/dev/null; echo "no such channel: $CHAT_TOKEN" >&2; exit 4`)}, "exit status 4: no such channel: [secret]"},
		"leaves its input unread":  {[]string{script(t, "exit 0")}, ""},
		"closes its input":         {[]string{script(t, "exec <&-; exit 0")}, ""},
		"does not exist":           {[]string{filepath.Join(t.TempDir(), "missing")}, "no such file"},
		"is killed":                {[]string{script(t, "kill -9 $$")}, "killed"},
		"prints without end":       {[]string{script(t, `yes; exit 0`)}, "did not end in time"},
		"leaves a process running": {[]string{script(t, `sleep 30 & exit 0`)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := sample()
			d.Text = strings.Repeat("long ", 20_000) // more than a pipe holds
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			began := time.Now()
			err := newSender(Hook{Name: "chat", Command: test.argv}).send(ctx, shortEnv(d))
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			switch {
			case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			case err != nil && strings.Contains(err.Error(), "planted-secret"):
				t.Errorf("it shows a secret: %v", err)
			}
		})
	}
}

// shortEnv moves a long text where only the body has it.
func shortEnv(d *delivery) *delivery {
	d.Event = &engine.Event{Error: d.Text}
	d.Text = "short"
	return d
}

// TestCommandForksAndHangs: a command that does not end is killed with its children.
func TestCommandForksAndHangs(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	argv := []string{script(t, `sleep 300 & echo $! > "$1"; sh -c 'echo $$ >> "$1"; sleep 300' sh "$1"`), pids}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	began := time.Now()
	err := newSender(Hook{Name: "chat", Command: argv}).send(ctx, sample())
	if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 10*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	text, err := os.ReadFile(pids)
	if err != nil || len(strings.Fields(string(text))) != 2 {
		t.Fatalf("pids %q, %v", text, err)
	}
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); running(pid); {
			if time.Now().After(deadline) {
				t.Fatalf("process %d goes on", pid)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// running reports whether a process exists and is no zombie.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}
