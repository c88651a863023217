package bolt

import (
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestOpenBesideNewProcesses: a process that is being started has every file of
// its parent open for a moment, and keeps the lock of one that was only closed. In
// a bubble no time passes in which it would let go of it.
func TestOpenBesideNewProcesses(t *testing.T) {
	t.Parallel()
	self, err := exec.LookPath("true")
	if err != nil {
		t.Skip("there is no program true here")
	}
	var over atomic.Bool
	var starting sync.WaitGroup
	for range 4 {
		starting.Go(func() {
			for !over.Load() {
				_ = exec.Command(self).Run() //nolint:gosec // found above
			}
		})
	}
	path := testPath(t)
	if err := openTest(t, path, Quick()).Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		for range 300 {
			s, err := Open(path, Quick())
			if err != nil {
				t.Error(err)
				break
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	over.Store(true)
	starting.Wait()
}
