package bolt

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// TestTruncatedWhileOpen truncates the file of an open store. Pages fault, some of them
// while bbolt holds its own locks. Every call ends with an error, and Close ends.
func TestTruncatedWhileOpen(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be cut off on this system")
	}
	path := t.TempDir() + "/rouse.db"
	s, err := Open(path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	o := put(t, s, "a")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(ctx context.Context) error{
		"Operation": func(ctx context.Context) error { _, err := s.Operation(ctx, o.ID); return err },
		"Events":    func(ctx context.Context) error { _, err := s.Events(ctx, "", 9); return err },
		"Enqueue": func(ctx context.Context) error {
			_, err := s.Enqueue(ctx, []store.Operation{testOp("b")})
			return err
		},
		"Operation again": func(ctx context.Context) error { _, err := s.Operation(ctx, o.ID); return err },
	}
	for _, name := range []string{"Operation", "Events", "Enqueue", "Operation again"} {
		ends(t, name, func() {
			if err := calls[name](t.Context()); err == nil {
				t.Errorf("%s of a file that was cut off: no error", name)
			}
		})
	}
	ends(t, "Close", func() {
		if err := s.Close(); errors.Is(err, store.ErrClosed) {
			t.Errorf("Close = %v", err)
		}
	})
}

// ends fails if f hangs. It waits in real time, because f uses a real disk.
func ends(t *testing.T, name string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s hangs", name)
	}
}

// TestFaultWhileOpening makes a fault that leaves bbolt's locks held, in the beginning of a
// transaction. The next Open does not wait for them.
func TestFaultWhileOpening(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be cut off on this system")
	}
	path := testPath(t)
	if err := openTest(t, path, Config{noSync: true}).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := format.OpenBolt(path, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	ends(t, "closing", func() {
		err := format.Inside(path, db, false, func(*bbolt.Tx) error { return nil })
		if !errors.Is(err, store.ErrCorrupt) || !format.IsStuck(err) {
			t.Errorf("%v, want a fault that left the locks held", err)
		}
		_ = format.CloseDB(db, err)
	})
}

// TestFaultInBbolt makes bbolt fault on a file that ends too soon. Open returns an error and
// closes the file, so that the next Open does not wait for its lock.
func TestFaultInBbolt(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("mapping beyond the end of a file makes it longer on this system")
	}
	path := testPath(t)
	if err := openTest(t, path, Config{noSync: true}).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 2*int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := format.OpenBolt(path, &bbolt.Options{Timeout: time.Second}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%v, want ErrCorrupt", err)
		}
	}
}
