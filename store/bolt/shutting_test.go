package bolt

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// looked is a context that runs a function when a caller checks whether it has ended, or
// begins to wait for its end.
type looked struct {
	context.Context
	err, done func()
}

func (l looked) Err() error {
	if l.err != nil {
		l.err()
	}
	return l.Context.Err()
}

func (l looked) Done() <-chan struct{} {
	if l.done != nil {
		l.done()
	}
	return l.Context.Done()
}

// TestClosedMeanwhile closes the store just after a call has seen that it is open, and while
// a reader waits for a commit under way.
func TestClosedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(ctx context.Context, s *Store) error{
		"a write": func(ctx context.Context, s *Store) error {
			_, err := s.Enqueue(ctx, []store.Operation{testOp("b")})
			return err
		},
		"a reading": func(ctx context.Context, s *Store) error { _, err := s.Stats(ctx); return err },
	} {
		s := openTest(t, testPath(t), Config{noSync: true})
		ctx := looked{Context: t.Context(), err: func() { _ = s.Close() }}
		if err := call(ctx, s); !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
	s := openTest(t, testPath(t), Config{noSync: true})
	var err error
	s.committed = func(error) {
		_, err = s.Stats(looked{Context: t.Context(), done: func() { s.shut(store.ErrClosed) }})
	}
	put(t, s, "a")
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("a reading that waits: %v, want ErrClosed", err)
	}
}

// hearing is a log handler that runs a function.
type hearing struct {
	slog.Handler
	on func(message string)
}

func (h hearing) Enabled(context.Context, slog.Level) bool { return true }

func (h hearing) Handle(_ context.Context, r slog.Record) error {
	h.on(r.Message)
	return nil
}

// TestNoSpaceAndThen fills the disk, and then the file cannot be opened or written again.
// The store closes, and a reader gets an error even before the cause is set.
func TestNoSpaceAndThen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fault  fault
		before func(s *Store) error // called while the write fails
		opened bool                 // the file fails after it is open again
		want   error
	}{
		{"another file is there", faults()[0], func(s *Store) error {
			return errors.Join(os.Rename(s.path, s.path+".away"), os.WriteFile(s.path, make([]byte, 1<<16), 0o600))
		}, false, store.ErrCorrupt},
		{"writes fail", faults()[3], func(*Store) error { return nil }, true, syscall.EIO},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s *Store
			var read, before error
			full := false
			s = openTest(t, testPath(t), Config{
				noSync: true,
				Logger: slog.New(hearing{on: func(message string) {
					if message == "store failed" && !c.opened {
						_, read = s.Stats(t.Context())
					}
				}}),
				opened: func(db *bbolt.DB) {
					if !full {
						return
					}
					hookWrites(db, func(writeAt) writeAt { return func([]byte, int64) (int, error) { return 0, syscall.EIO } })
				},
			})
			put(t, s, "a")
			hookWrites(s.db, func(write writeAt) writeAt {
				return func(b []byte, off int64) (int, error) {
					if !isMeta(s.db, off) {
						return write(b, off)
					}
					full = c.opened
					if c.opened {
						_, _ = write(b, off)
					}
					before = c.before(s)
					return 0, syscall.ENOSPC
				}
			})
			_, err := s.Enqueue(t.Context(), []store.Operation{testOp("b")})
			if before != nil || !errors.Is(err, store.ErrFailed) || !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, c.want) {
				t.Errorf("%v, want ErrFailed, no space, and %v (%v)", err, c.want, before)
			}
			if !c.opened && !errors.Is(read, store.ErrFailed) {
				t.Errorf("a reading before the cause is set: %v, want ErrFailed", read)
			}
		})
	}
}

// TestBucketMissing removes a bucket of an open file. The store then reads nothing and
// writes nothing.
func TestBucketMissing(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	err := format.Inside(s.path, s.db, true, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(format.BucketLanes)) })
	s.mu.Lock()
	s.synced++
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Operation(t.Context(), testOp("a").ID); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("Operation: %v, want ErrCorrupt", err)
	}
	if _, err := s.Enqueue(t.Context(), []store.Operation{testOp("a")}); !errors.Is(err, store.ErrCorrupt) || !errors.Is(err, store.ErrFailed) {
		t.Errorf("Enqueue: %v, want ErrCorrupt and ErrFailed", err)
	}
}

// TestNotOpen checks that no call begins a transaction of a file that bbolt has closed.
func TestNotOpen(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.compactIfSparse(); err == nil {
		t.Error("compacting: no error")
	}
	if _, err := s.Enqueue(t.Context(), []store.Operation{testOp("a")}); !errors.Is(err, store.ErrFailed) {
		t.Errorf("Enqueue: %v, want ErrFailed", err)
	}
}
