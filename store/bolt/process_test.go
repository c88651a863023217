package bolt

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"go.uber.org/goleak"
)

// childPath is set in the environment of a process that TestMain runs from this test binary.
// The process opens that file and writes to it until it is killed.
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

// TestLockedByAnotherProcess checks that the error of the second process names the process
// that holds the file. The second gets the file when the first has ended, in any way.
func TestLockedByAnotherProcess(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	wrote := make(chan struct{})
	first := sync.OnceFunc(func() { close(wrote) })
	p := child.Start(t, child.Self(t, childPath, path), func(string) { first() })
	select {
	case <-wrote:
	case <-p.Ended:
		t.Fatalf("the child ended: %v", p.Wait())
	}
	_, err := Open(path, Config{LockTimeout: -1})
	var le *disk.LockedError
	if !errors.Is(err, disk.ErrLocked) || !errors.As(err, &le) || le.PID != p.PID {
		t.Fatalf("%v, want a *LockedError of pid %d", err, p.PID)
	}
	host, _ := os.Hostname()
	for _, want := range []string{path, fmt.Sprint(p.PID), host, "since"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	p.Kill()
	openTest(t, path, Config{})
}
