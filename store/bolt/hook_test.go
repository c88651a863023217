package bolt

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/google/uuid"
	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/ram"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// writeAt is the type of the function with which bbolt writes to its file.
type writeAt = func(b []byte, off int64) (int, error)

// hookWrites wraps a private function of bbolt. It panics if a new version has no such
// function: these tests would then test nothing and must be changed.
func hookWrites(db *bbolt.DB, wrap func(writeAt) writeAt) {
	f := reflect.ValueOf(db).Elem().FieldByName("ops").FieldByName("writeAt")
	p := (*writeAt)(unsafe.Pointer(f.UnsafeAddr())) //nolint:gosec // what the test is about
	*p = wrap(*p)
}

// testTime returns when the operations of these tests are made.
func testTime() time.Time { return time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC) }

// testOp returns a plain request for a session.
func testOp(session string) store.Operation {
	id := uuid.Must(uuid.NewV7()).String()
	return store.Operation{
		ID: store.ID(id), ClientToken: id, Ref: transport.Ref{StudioID: "s", SessionID: session}, Lane: "s",
		Phase: fsm.PhaseQueued, CreatedAt: testTime(), NotBefore: testTime(), DueAt: testTime(), ExpiresAt: testTime().Add(24 * time.Hour),
	}
}

func openTest(t testing.TB, path string, c Config) *Store {
	t.Helper()
	s, err := Open(path, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// own returns the test's ownership of s, which lasts as long as the test.
func own(t testing.TB, s *Store) store.Claims {
	t.Helper()
	s.mu.Lock()
	owner := s.owner
	s.mu.Unlock()
	if owner != nil && owner.ctx.Err() == nil {
		return owner
	}
	c, err := s.Own(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testPath(t testing.TB) string { return filepath.Join(t.TempDir(), "rouse.db") }

// put enqueues one operation, which must be created.
func put(t testing.TB, s *Store, session string) store.Operation {
	t.Helper()
	rs, err := s.Enqueue(t.Context(), []store.Operation{testOp(session)})
	if err != nil || !rs[0].Created {
		t.Fatalf("Enqueue: %+v, %v", rs, err)
	}
	return rs[0].Operation
}

// listed reads all operations by session.
func listed(ctx context.Context, s *Store) (map[string]store.Operation, error) {
	out := map[string]store.Operation{}
	for o, err := range s.List(ctx, store.Filter{}) {
		if err != nil {
			return out, err
		}
		out[o.Ref.SessionID] = o
	}
	return out, nil
}

// clean fails unless every record of s is sound. It returns the number of operations.
func clean(t testing.TB, s *Store) int {
	t.Helper()
	r, err := s.Check(t.Context())
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("Check: %v, %v", r.Problems, err)
	}
	return r.Operations
}

func numbered(i int) string { return fmt.Sprintf("session-%04d", i) }

// isMeta reports whether a write at off is to one of bbolt's two first pages, which is where
// a commit takes effect.
func isMeta(db *bbolt.DB, off int64) bool { return off < 2*int64(db.Info().PageSize) }

// quickPath is testPath in memory, on a machine that has such a folder.
func quickPath(t testing.TB) string { return filepath.Join(ram.Dir(t), "rouse.db") }
