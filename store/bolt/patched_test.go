//go:build boltfault

package bolt

import (
	"sync"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/internal/scale"
)

// TestPatchedSync makes each sync of a workload fail, with a bbolt that was patched for it:
// see everysync_test.go. A failed sync may have been made or not, and its caller cannot know
// which.
func TestPatchedSync(t *testing.T) {
	t.Parallel()
	w := newWorkload(t, scale.Seed(t), scale.Of(t, 30, 150, 600))
	everyFault(t, w, 1, true, []fault{faults()[0], faults()[1], faults()[3]}, func(x *trouble, c *Config) {
		c.noSync = false
		c.opened = func(db *bbolt.DB) {
			bbolt.Faults.Store(db, func(do func() error) error {
				if !x.strikes() {
					return do()
				}
				if x.wrote(1) == 1 {
					_ = do()
				}
				return x.err
			})
		}
	})
}

// TestPatchedWindow stops a commit between the write of its meta page and the end of the
// sync that makes it durable.
func TestPatchedWindow(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var stop func()
	syncs := 0
	c := Config{opened: func(db *bbolt.DB) {
		bbolt.Faults.Store(db, func(do func() error) error {
			mu.Lock()
			stop := stop
			if stop != nil {
				syncs++
			}
			second := syncs == 2 // the first sync is of the data pages
			mu.Unlock()
			if second {
				stop()
			}
			return do()
		})
	}}
	nothingIsShown(t, openTest(t, testPath(t), c), func(f func()) {
		mu.Lock()
		defer mu.Unlock()
		stop = f
	})
}
