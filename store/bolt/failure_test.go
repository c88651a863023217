package bolt

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
)

// fault is how a write fails.
type fault struct {
	name  string
	again bool // every later write fails too
	wrote func(n int) int
}

func faults() []fault {
	return []fault{
		{"nothing written", false, func(int) int { return 0 }},
		{"nothing written from there on", true, func(int) int { return 0 }},
		{"half written", false, func(n int) int { return n / 2 }},
		{"all written", false, func(n int) int { return n }},
	}
}

// failNth makes the nth write from here on fail with err.
func failNth(s *Store, n int, f fault, err error) {
	count := 0
	hookWrites(s.db, func(write writeAt) writeAt {
		return func(b []byte, off int64) (int, error) {
			count++
			if count == n || count > n && f.again {
				done := 0
				if w := f.wrote(len(b)); w > 0 {
					done, _ = write(b[:w], off)
				}
				return done, err
			}
			return write(b, off)
		}
	})
}

// script makes writes of every kind until one fails. It returns what was acknowledged, and
// the session with an unknown outcome.
func script(t *testing.T, s *Store) (acked map[string]fsm.Phase, open string, err error) {
	acked = map[string]fsm.Phase{}
	for i := range 12 {
		session := numbered(i)
		rs, err := s.Enqueue(t.Context(), []store.Operation{testOp(session)})
		if err != nil {
			return acked, session, err
		}
		acked[session] = fsm.PhaseQueued
		if i%3 != 0 {
			continue
		}
		o := rs[0].Operation
		o.Phase, o.FinishedAt = fsm.PhaseFailed, testTime()
		ev := store.Event{Operation: o.ID, Ref: o.Ref, From: fsm.PhaseQueued, To: fsm.PhaseFailed, At: testTime()}
		if _, err := s.Apply(t.Context(), []store.Change{{Operation: o, Events: []store.Event{ev}}}); err != nil {
			return acked, session, err
		}
		acked[session] = fsm.PhaseFailed
	}
	return acked, "", nil
}

// afterFault checks a store that was opened after a fault, and reports whether the failed
// commit is in the file.
func afterFault(t *testing.T, s *Store, acked map[string]fsm.Phase, open, what string) (kept bool) {
	t.Helper()
	clean(t, s)
	now, err := listed(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for session, phase := range acked {
		if o, ok := now[session]; !ok || o.Phase != phase && session != open {
			t.Errorf("%s: %s was acknowledged as %s and is %q", what, session, phase, o.Phase)
		}
	}
	for session, o := range now {
		if phase, ok := acked[session]; !ok && session != open {
			t.Errorf("%s: %s was never asked for", what, session)
		} else if session == open && (!ok || phase != o.Phase) {
			kept = true
		}
	}
	return kept
}

// TestNoSpace makes each write of a script meet a full disk, once. The store reports whether
// the change was stored, goes on, and loses nothing.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	met := map[error]int{}
	for _, f := range faults() {
		if f.again {
			continue
		}
		for n := 1; n <= 30; n++ {
			errno := disk.NoSpace()[n%len(disk.NoSpace())]
			met[spaceRunsOut(t, fmt.Sprintf("%s at write %d", f.name, n), n, f, errno)]++
		}
	}
	if met[store.ErrFull] == 0 || met[store.ErrUnknown] == 0 {
		t.Errorf("%v: some error never occurred", met)
	}
}

// spaceRunsOut is one run. It returns which of the two errors the run met.
func spaceRunsOut(t *testing.T, what string, n int, f fault, errno error) error {
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "before")
	claim := func(sends int) []store.Operation {
		c, err := own(t, s).Claim(t.Context(), store.ClaimRequest{Now: testTime(), Lanes: []store.LaneSlots{{Lane: "s", Sends: sends}}})
		if err != nil {
			t.Fatalf("%s: Claim: %v", what, err)
		}
		return c.Operations
	}
	claimed := claim(1)
	failNth(s, n, f, &os.PathError{Op: "write", Path: "x", Err: errno})
	acked, open, err := script(t, s)
	_, gerr := s.BySession(t.Context(), testOp(open).Ref)
	_, ended := acked[open] // the failed write was the end and not the start
	met := store.ErrFull
	if errors.Is(err, store.ErrUnknown) {
		met = store.ErrUnknown
	}
	if !errors.Is(err, met) || !errors.Is(err, errno) {
		t.Fatalf("%s: %v", what, err)
	}
	if there := gerr == nil; there != (ended || met == store.ErrUnknown) {
		t.Errorf("%s: %v, but the look-up returns %v", what, err, gerr)
	}
	put(t, s, "after")
	for _, o := range claim(99) {
		if o.ID == claimed[0].ID {
			t.Errorf("%s: claimed twice", what)
		}
	}
	acked["before"], acked["after"] = fsm.PhaseQueued, fsm.PhaseQueued
	afterFault(t, s, acked, open, what)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = openTest(t, path, Config{noSync: true})
	afterFault(t, s, acked, open, what+", reopened")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return met
}

// TestFullWhileGrowing checks the text of an error, because bbolt keeps only the text if
// growing the file fails.
func TestFullWhileGrowing(t *testing.T) {
	t.Parallel()
	for _, errno := range disk.NoSpace() {
		err := fmt.Errorf("file resize error: %s", &os.PathError{Op: "truncate", Path: "x", Err: errno}) // as bbolt does
		if !disk.IsFull(err) {
			t.Errorf("%v is not recognised as a full disk", err)
		}
	}
	if disk.IsFull(&os.PathError{Op: "write", Path: "x", Err: syscall.EIO}) {
		t.Error("an input or output error is recognised as a full disk")
	}
}

// TestSuspectFileIsCopied checks that the file is a new one after a failure.
func TestSuspectFileIsCopied(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "a")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	failNth(s, 1, faults()[0], syscall.EIO)
	if _, err := s.Enqueue(t.Context(), []store.Operation{testOp("b")}); !errors.Is(err, store.ErrFailed) {
		t.Fatalf("Enqueue: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, path, Config{noSync: true})
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if os.SameFile(before, after) {
		t.Error("the file is the old one")
	}
	if _, err := os.Stat(path + disk.SuspectSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the marker is left behind: %v", err)
	}
	if n := clean(t, s); n != 1 {
		t.Errorf("%d operations, want 1", n)
	}
}
