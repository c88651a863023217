package bolt

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// childPath is set in the environment of a process that TestMain makes of this
// test binary: it opens that file and writes to it until it is killed.
const childPath = "ROUSE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		run := killed
		switch {
		case os.Getenv(childTraced) != "":
			run = traced
		case os.Getenv(childCall) != "":
			run = called
		}
		if err := run(path, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if dir := os.Getenv(childDamaged); dir != "" {
		if err := readDamaged(dir, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// startChild runs this test binary as a child on path and returns its output.
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
