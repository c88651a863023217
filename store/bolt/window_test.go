package bolt

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// TestNothingIsShownBeforeItIsSynced stops a commit when bbolt shows it and it may not be
// durable, and reads in every way. TestPatchedWindow stops in the sync itself.
func TestNothingIsShownBeforeItIsSynced(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	nothingIsShown(t, s, func(stop func()) { s.committed = func(error) { stop() } })
}

// nothingIsShown reads s in every way while a commit is under way. during gets the function
// to call in the middle of the next commit.
func nothingIsShown(t *testing.T, s *Store, during func(stop func())) {
	first := put(t, s, "first")
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	inside, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	during(func() {
		once.Do(func() {
			close(inside)
			<-leave
		})
	})
	second := testOp("second")
	written := make(chan error, 1)
	go func() {
		_, err := s.Enqueue(t.Context(), []store.Operation{second})
		written <- err
	}()
	<-inside

	// A plain View must show the commit. Otherwise this test would test nothing.
	shown := false
	err = s.db.View(func(tx *bbolt.Tx) error {
		b, err := format.In(tx)
		if err == nil {
			key, _ := format.ParseID(second.ID)
			_, err = b.Operation(key)
			shown = err == nil
		}
		return err
	})
	if err != nil || !shown {
		t.Fatalf("bbolt does not show the commit (%v), so this test must stop it at another point", err)
	}

	for name, read := range readers(s, first, second, head) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if seen, err := read(ctx); seen || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: saw it %v, %v, want it to wait for the end of the commit", name, seen, err)
		}
		cancel()
	}
	// Calls that read no file must not show it either.
	if now, err := s.Head(t.Context()); err != nil || now != head {
		t.Errorf("Head moved: %v", err)
	}
	if n := s.index.Len(); n != 1 {
		t.Errorf("%d active in memory, want 1", n)
	}
	select {
	case err := <-written:
		t.Fatalf("Enqueue returned %v before the end of the commit", err)
	default:
	}

	close(leave)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	for name, read := range readers(s, first, second, head) {
		if seen, err := read(t.Context()); !seen || err != nil {
			t.Errorf("%s: saw it %v, %v, after the end of the commit", name, seen, err)
		}
	}
}

// readers are the ways to see the second operation.
func readers(s *Store, first, second store.Operation, head store.Cursor) map[string]func(context.Context) (bool, error) {
	found := func(o store.Operation, err error) (bool, error) { return o.ID == second.ID, err }
	return map[string]func(context.Context) (bool, error){
		"Operation": func(ctx context.Context) (bool, error) { return found(s.Operation(ctx, second.ID)) },
		"BySession": func(ctx context.Context) (bool, error) { return found(s.BySession(ctx, second.Ref)) },
		"ByToken":   func(ctx context.Context) (bool, error) { return found(s.ByToken(ctx, second.ClientToken)) },
		"Events": func(ctx context.Context) (bool, error) {
			events, err := s.Events(ctx, head, 9)
			return len(events) == 1, err
		},
		"Await": func(ctx context.Context) (bool, error) {
			err := s.Await(ctx, head)
			return err == nil, err
		},
		"List": func(ctx context.Context) (bool, error) {
			all, err := listed(ctx, s)
			return all["second"].ID == second.ID, err
		},
		"first": func(ctx context.Context) (bool, error) {
			o, err := s.Operation(ctx, first.ID)
			return o.ID == first.ID, err
		},
	}
}

// TestTwoPutsAStart counts the keys that a plain start adds to the file.
func TestTwoPutsAStart(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	count := func() map[string]int {
		out := map[string]int{}
		err := s.db.View(func(tx *bbolt.Tx) error {
			for _, name := range format.BucketNames() {
				out[name] = tx.Bucket([]byte(name)).Stats().KeyN
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := count()
	put(t, s, "a")
	after := count()
	for name, n := range after {
		want := 0
		if name == format.BucketOperations || name == format.BucketEvents {
			want = 1
		}
		if n-before[name] != want {
			t.Errorf("bucket %s: %d new keys, want %d", name, n-before[name], want)
		}
	}
}

// TestOneCommitForAllThatWait checks that callers that arrive during a commit share the next
// one.
func TestOneCommitForAllThatWait(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	commits := 0
	inside, leave := make(chan struct{}), make(chan struct{})
	s.committed = func(error) {
		if commits++; commits == 1 {
			close(inside)
			<-leave
		}
	}
	const n = 50
	done := make(chan error, n+1)
	enqueue := func(session string) {
		_, err := s.Enqueue(t.Context(), []store.Operation{testOp(session)})
		done <- err
	}
	go enqueue("first")
	<-inside
	for i := range n {
		go enqueue(numbered(i))
	}
	for waiting := 0; waiting < n; {
		s.queue.mu.Lock()
		waiting = len(s.queue.waiting)
		s.queue.mu.Unlock()
	}
	close(leave)
	for range n + 1 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if commits != 2 {
		t.Errorf("%d commits for %d callers that arrived during the first, want 1", commits-1, n)
	}
}
