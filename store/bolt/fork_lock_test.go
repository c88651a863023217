package bolt

import (
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestOpenWhileProcessesStart opens a store while processes are started. A process that is
// being started has every file of its parent open for a moment. It then keeps the lock of a
// file that its parent only closed. In a bubble no time passes in which the process could
// end that lock.
func TestOpenWhileProcessesStart(t *testing.T) {
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
