package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// childPath is set in the environment of a process that TestMain makes of this
// test binary: it opens that file and writes to it until it is killed.
const childPath = "ROUSE_TEST_CHILD"

// childLimited is set if that process is to fill its file to a limit instead.
const childLimited = "ROUSE_TEST_LIMITED"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		run := child
		if os.Getenv(childLimited) != "" {
			run = fillLimited
		}
		if err := run(path, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// child starts operations, and ends some, from several goroutines, and prints a
// line for each that was acknowledged.
func child(path string, out io.Writer) error {
	s, err := Open(path, Config{})
	if err != nil {
		return err
	}
	ctx := context.Background()
	var mu sync.Mutex
	say := func(id store.ID, p fsm.Phase) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintln(out, id, p)
	}
	errs := make(chan error)
	for range 4 {
		go func() {
			for n := 0; ; n++ {
				o := testOp("")
				o.Ref.SessionID = string(o.ID)
				rs, err := s.Enqueue(ctx, []store.Operation{o})
				if err != nil {
					errs <- err
					return
				}
				say(o.ID, fsm.Queued)
				if n%3 > 0 {
					continue
				}
				o = rs[0].Operation
				o.Phase, o.FinishedAt = fsm.Succeeded, testTime()
				ev := store.Event{Operation: o.ID, Ref: o.Ref, From: fsm.Queued, To: o.Phase, At: testTime()}
				if _, err := s.Apply(ctx, []store.Change{{Operation: o, Events: []store.Event{ev}}}); err != nil {
					errs <- err
					return
				}
				say(o.ID, fsm.Succeeded)
			}
		}()
	}
	return <-errs
}

// start runs this test binary as a child on path and returns its output.
func startChild(t *testing.T, path string, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(append(os.Environ(), childPath+"="+path), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

// TestKill kills a process in the middle of its writing, again and again. What it
// was told is stored is there. (That says nothing of a power cut.)
func TestKill(t *testing.T) {
	t.Parallel()
	cycles := map[string]int{"": 20, "short": 20, "ci": 50, "long": 2000}[os.Getenv("ROUSE_TEST")]
	path := testPath(t)
	acked := map[store.ID]fsm.Phase{}
	unseen := 0
	for cycle := range cycles {
		cmd, lines := startChild(t, path)
		for n := 1 + rand.IntN(60); lines.Scan(); n-- { //nolint:gosec // a test's
			note(t, acked, lines.Text())
			if n == 0 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed, and says so
		s := openTest(t, path, Config{})
		all, err := listed(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for id, phase := range acked {
			if o := all[string(id)]; o.ID != id || phase == fsm.Succeeded && o.Phase != phase {
				t.Fatalf("cycle %d: %s was acknowledged as %s and is %q", cycle, id, phase, o.Phase)
			}
		}
		unseen += len(all) - len(acked)
		for id, o := range all {
			acked[store.ID(id)] = o.Phase
		}
		clean(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d cycles, %d operations, %d of them stored and not acknowledged", cycles, len(acked), unseen)
	if len(acked) < cycles {
		t.Errorf("%d operations in %d cycles: the test is too kind", len(acked), cycles)
	}
}

func note(t *testing.T, acked map[store.ID]fsm.Phase, line string) {
	id, phase, ok := strings.Cut(line, " ")
	if !ok || !fsm.Phase(phase).Known() {
		return // cut short by the kill
	}
	if _, ok := parseID(store.ID(id)); !ok {
		t.Fatalf("the child printed %q", line)
	}
	acked[store.ID(id)] = fsm.Phase(phase)
}

// TestLockedByAnotherProcess: who comes second is told who holds the file, and
// gets it when that one is gone, however it went.
func TestLockedByAnotherProcess(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	cmd, lines := startChild(t, path)
	if !lines.Scan() {
		t.Fatal("the child said nothing")
	}
	_, err := Open(path, Config{LockTimeout: -1})
	var le *LockedError
	if !errors.Is(err, ErrLocked) || !errors.As(err, &le) || le.PID != cmd.Process.Pid {
		t.Fatalf("%v, want a *LockedError of pid %d", err, cmd.Process.Pid)
	}
	host, _ := os.Hostname()
	for _, want := range []string{path, fmt.Sprint(cmd.Process.Pid), host, "since"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // to the end, so that Wait may close the pipe
	}
	_ = cmd.Wait()
	openTest(t, path, Config{})
}
