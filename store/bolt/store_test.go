package bolt_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/store/storetest"
)

// copier is a store that the suite can copy.
type copier struct{ *bolt.Store }

// Copy implements storetest.Copier.
func (c copier) Copy(ctx context.Context, dir string) error {
	return c.Backup(ctx, filepath.Join(dir, "rouse.db"))
}

func TestStore(t *testing.T) {
	t.Parallel()
	var reopened, compacted atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d files were opened again, %d of them compacted", reopened.Load(), compacted.Load())
		if reopened.Load() > 2000 && compacted.Load() == 0 { // fewer are a part of the suite
			t.Error("the suite compacted no file")
		}
	})
	storetest.Run(t, func(t *testing.T, dir string) store.Store {
		path := filepath.Join(dir, "rouse.db")
		before, _ := os.Stat(path)
		s, err := bolt.Open(path, bolt.Quick())
		if err != nil {
			t.Fatal(err)
		}
		if before != nil {
			reopened.Add(1)
			if after, err := os.Stat(path); err == nil && !os.SameFile(before, after) {
				compacted.Add(1)
			}
		}
		return copier{s}
	})
}

func TestForeignStore(t *testing.T) {
	t.Parallel()
	on := func(machine string) storetest.Opener {
		return func(t *testing.T, dir string) store.Store {
			c := bolt.Quick()
			c.Machine = machine
			s, err := bolt.Open(filepath.Join(dir, "rouse.db"), c)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	storetest.RunForeign(t, on("farm-03"), on("farm-07"))
}
