package bolt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// fuse is a context that ends when it was looked at so many times.
type fuse struct {
	context.Context
	left *atomic.Int64
	end  context.CancelFunc
}

func burning(ctx context.Context, looks int) fuse {
	ctx, end := context.WithCancel(ctx)
	f := fuse{Context: ctx, left: new(atomic.Int64), end: end}
	f.left.Store(int64(looks))
	return f
}

func (f fuse) Err() error {
	if f.left.Add(-1) < 0 {
		f.end()
	}
	return f.Context.Err()
}

// TestInterrupted ends the context of each long call at its first look at it, its
// second, and so on until it does not look again: it says so, and leaves nothing
// behind, and the file as it was.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	for i := range 3 * pageSize {
		put(t, s, numbered(i))
	}
	folder := t.TempDir()
	backup := filepath.Join(folder, "copy.db")
	interrupt := func(name string, most int, call func(ctx context.Context) error) {
		for n := 0; ; n++ {
			err := call(burning(t.Context(), n))
			if err == nil {
				if n < 2 {
					t.Errorf("%s looks at its context %d times: this shows nothing", name, n)
				}
				return
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("%s, ended at look %d: %v", name, n, err)
			}
			if n > most {
				t.Fatalf("%s looks more than %d times", name, most)
			}
			for _, in := range []string{folder, filepath.Dir(path)} {
				if left, _ := filepath.Glob(filepath.Join(in, "*"+tempInfix+"*")); len(left) > 0 {
					t.Fatalf("%s, ended at look %d, leaves %q", name, n, left)
				}
			}
		}
	}
	interrupt("Backup", 1000, func(ctx context.Context) error { return s.Backup(ctx, backup) })
	interrupt("Check", 1000, func(ctx context.Context) error { _, err := s.Check(ctx); return err })
	interrupt("List", 1000, func(ctx context.Context) error { _, err := listed(ctx, s); return err })
	if n := clean(t, s); n != 3*pageSize {
		t.Errorf("%d operations, want %d", n, 3*pageSize)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	interrupt("Verify", 1000, func(ctx context.Context) error { _, err := Verify(ctx, path, VerifyConfig{}); return err })
	rot(t, path, bucketEvents, seqKey(7))
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	interrupt("Repair", 1000, func(ctx context.Context) error {
		_, err := Repair(ctx, path, RepairConfig{})
		if now, rerr := os.ReadFile(path); err != nil && (rerr != nil || !bytes.Equal(now, before)) {
			t.Errorf("an interrupted Repair altered the file: %v", rerr)
		}
		return err
	})
	clean(t, openTest(t, path, Config{noSync: true}))
}
