//go:build boltfault

package bolt

import (
	"testing"

	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/internal/scale"
)

// TestPatchedSync lets each sync of a workload go wrong, with a bbolt that was
// patched for it: see everysync_test.go. One that fails was made or was not; which
// of the two, nobody who got the error can know.
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
