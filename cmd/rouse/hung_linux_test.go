package main

import (
	"strings"
	"syscall"
	"testing"
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
