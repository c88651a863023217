//go:build unix

package probe_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
)

// listening returns a port of 127.0.0.1 that accepts connections.
func listening(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func asking(port int, args ...string) probe.Probe {
	return probe.Probe{Kind: probe.KindTCP, Port: port, Timeout: 20 * time.Second, Command: &probe.Command{Args: args}}
}

// dcv returns a command that reads the output of "dcv list-sessions -j" as the documentation
// does.
func dcv(text string) []string {
	return []string{"sh", "-c", `printf '%s' "$1" | grep -q '"id"'`, "sh", text}
}

// TestCommand checks that a machine whose port answers is READY if its command exits with
// 0. Without a command only the port decides.
func TestCommand(t *testing.T) {
	t.Parallel()
	port := listening(t)
	ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}
	for name, row := range map[string]struct {
		p       probe.Probe
		state   fsm.State
		message string
	}{
		"no command":       {probe.Probe{Kind: probe.KindTCP, Port: port}, fsm.StateReady, ""},
		"exit status 0":    {asking(port, "true"), fsm.StateReady, ""},
		"its host":         {asking(port, "test", "{host}", "=", "127.0.0.1"), fsm.StateReady, ""},
		"a DCV session":    {asking(port, dcv(`[{"id":"console","owner":"ana"}]`)...), fsm.StateReady, ""},
		"no DCV session":   {asking(port, dcv(`[]`)...), fsm.StateStartInProgress, "exit status 1"},
		"says why":         {asking(port, "sh", "-c", "echo first >&2; echo no session >&2; exit 7"), fsm.StateStartInProgress, "exit status 7: first no session"},
		"empty first line": {asking(port, "sh", "-c", "echo; echo no session; exit 7"), fsm.StateStartInProgress, "exit status 7: no session"},
		"no such program":  {asking(port, "/no/such/program"), fsm.StateStartInProgress, "no such file"},
		"killed":           {asking(port, "sh", "-c", "kill -9 $$"), fsm.StateStartInProgress, "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := row.p.CheckSession(t.Context(), transport.Session{Ref: ref}, "127.0.0.1")
			if err != nil || got.State != row.state || !strings.Contains(got.StatusMessage, row.message) {
				t.Fatalf("%+v, %v, want %s, %q", got, err, row.state, row.message)
			}
			if len(got.Endpoints) != 1 || got.Probe.OK != (row.state == fsm.StateReady) || got.Probe.Target == "" {
				t.Errorf("%+v, %+v", got.Endpoints, got.Probe)
			}
			if row.state != fsm.StateReady && (got.StatusCode != probe.CodeCommandFailed || !strings.Contains(got.Probe.Message, row.message) ||
				got.StatusMessage != "running, but "+got.Probe.Target+" does not find it ready: "+got.Probe.Message ||
				got.Probe.Target != "the probe command "+row.p.Command.Args[0]+" for 127.0.0.1") {
				t.Errorf("%q, %+v", got.StatusCode, got.Probe)
			}
		})
	}
}

// TestCommandIsNotAsked checks that a command runs only for a host whose port answers and
// whose name is a word of a command.
func TestCommandIsNotAsked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const closed = 1 // another test may get a port that was just closed
	ran := filepath.Join(dir, "ran")
	for host, port := range map[string]int{"127.0.0.1": closed, "-oProxyCommand=id": listening(t), "ws;id": listening(t)} {
		err := asking(port, "touch", ran).Check(t.Context(), host)
		if err == nil {
			t.Errorf("%s: no error", host)
		}
		if _, err := os.Stat(ran); err == nil {
			t.Errorf("%s: the command ran", host)
		}
	}
	if err := asking(listening(t), "touch", filepath.Join(dir, "{host}")).Check(t.Context(), "127.0.0.1"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "127.0.0.1")); err != nil {
		t.Errorf("a host whose port answers: the command did not run: %v", err)
	}
}

// TestCommandEnds checks that a command ends when its time is over or its caller's
// context ends. Its children end with it.
func TestCommandEnds(t *testing.T) {
	t.Parallel()
	p := asking(listening(t), "sh", "-c", "sleep 1000 & wait")
	p.Timeout = 100 * time.Millisecond
	err := p.Check(t.Context(), "127.0.0.1")
	var failed *probe.CommandError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "no answer within 100ms") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if probe.Silent(err) || probe.Offline(err) {
		t.Errorf("%v: Silent is true for a machine whose port answered", err)
	}
	p.Timeout = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.CheckSession(ctx, transport.Session{}, "127.0.0.1"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, transport.KindUnknown) {
		t.Errorf("%v", err)
	}
}

func TestCommandHidesSecrets(t *testing.T) {
	t.Setenv("SSHPASS", "hunter2-pass")
	t.Setenv("BMC_LOGIN", "hunter2-login")
	for _, to := range []string{"", " >&2"} {
		p := asking(listening(t), "sh", "-c", `printf "login as $BMC_LOGIN with $SSHPASS failed: hun\000ter2-pass\n"`+to+`; exit 1`)
		p.Command.Secrets = []string{"BMC_LOGIN"}
		got, err := p.CheckSession(t.Context(), transport.Session{}, "127.0.0.1")
		if err != nil || strings.Contains(got.StatusMessage+got.Probe.Message, "hunter2") ||
			!strings.Contains(got.Probe.Message, "login as [secret] with [secret] failed") {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestCommandValid(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]probe.Probe{
		"a command without a kind":     {Command: &probe.Command{Args: []string{"true"}}},
		"names no program":             asking(22),
		"depends on the host":          asking(22, "./{host}"),
		"{session} in \"x-{session}\"": asking(22, "true", "x-{session}"),
	} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := p.Check(t.Context(), "127.0.0.1"); err == nil {
			t.Errorf("%s: Check returns nil", want)
		}
	}
	if got := asking(8443, "ssh", "--", "{host}").String(); got != "tcp:8443 and ssh" {
		t.Errorf("%q", got)
	}
}
