package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHungHolder: a process that has the database open and does not answer acknowledges
// nothing, and a command says so after five seconds.
func TestHungHolder(t *testing.T) {
	t.Parallel()
	_, env := fixture(t, shortBoot)
	launch(t, env, "start", "lab", "ws-1").exit(0)
	holder := launch(t, env, "run")
	holder.until("cannot be reached")
	if err := holder.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p := launch(t, env, "start", "lab", "ws-2")
	p.exit(3)
	if text := p.errOut.String(); !strings.Contains(text, "did not answer within 5s") || !strings.Contains(text, "ask again") {
		t.Errorf("it says %s", text)
	}
	if err := holder.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	launch(t, env, "start", "lab", "ws-2").exit(0)
	holder.interrupt()
	holder.exit(0)
}

// TestForeignSocket: a user who may not use the socket reads who may.
func TestForeignSocket(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can run a process as another user")
	}
	dir := t.TempDir()
	env := append(environment(dir), "AWS_ENDPOINT_URL_NIMBLE=http://127.0.0.1:1")
	holder := launch(t, env, "run")
	holder.until("made a new database")
	rouse := unprivileged(t, dir)
	within(t, 20*time.Second, "the socket", func() bool { return exists(filepath.Join(dir, "rouse.db.sock")) })
	status, text := rouse("--db", filepath.Join(dir, "rouse.db"), "start", "lab", "ws-1")
	if status != 1 || !strings.Contains(text, "socket_group in its settings") {
		t.Errorf("status %d: %s", status, text)
	}
	holder.interrupt()
	holder.exit(0)
}
