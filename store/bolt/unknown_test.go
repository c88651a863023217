package bolt

import (
	"errors"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// TestUnknownKeepsTheClaim checks a change that ends a claim, is stored, and returns
// ErrUnknown. Until the caller has found out, no other worker gets the operation.
func TestUnknownKeepsTheClaim(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	put(t, s, "a")
	claim := func() []store.Operation {
		c, err := own(t, s).Claim(t.Context(), store.ClaimRequest{Now: testTime(), Lanes: []store.LaneSlots{{Lane: "s", Sends: 9, Reads: 9}}})
		if err != nil {
			t.Fatal(err)
		}
		return c.Operations
	}
	o := claim()[0]
	o.Phase, o.Sent = fsm.PhaseStarting, store.SentAccepted
	change := []store.Change{{Operation: o, Release: true}}

	failMeta(s, faults()[3], syscall.ENOSPC)
	if _, err := s.Apply(t.Context(), change); !errors.Is(err, store.ErrUnknown) {
		t.Fatalf("Apply: %v, want ErrUnknown", err)
	}
	if now, err := s.Operation(t.Context(), o.ID); err != nil || now.Phase != fsm.PhaseStarting {
		t.Fatalf("the change was not stored (%s, %v)", now.Phase, err)
	}
	if got := claim(); len(got) > 0 {
		t.Errorf("%s was claimed by another worker before its holder found out", got[0].ID)
	}
	errs, err := s.Apply(t.Context(), change)
	if err != nil || !errors.Is(errs[0], store.ErrFenced) {
		t.Fatalf("the same change again: %v, %v, want ErrFenced", errs, err)
	}
	change[0].Operation.Version++
	if errs, err := s.Apply(t.Context(), change); err != nil || errs[0] != nil {
		t.Fatalf("a change of what was stored: %v, %v", errs, err)
	}
	if got := claim(); len(got) != 1 {
		t.Errorf("%d claimed after the claim ended, want 1", len(got))
	}
}

// failMeta makes the next write of a meta page fail, once.
func failMeta(s *Store, f fault, err error) {
	done := false
	hookWrites(s.db, func(write writeAt) writeAt {
		return func(b []byte, off int64) (int, error) {
			if done || !isMeta(s.db, off) {
				return write(b, off)
			}
			done = true
			n, _ := write(b[:f.wrote(len(b))], off)
			return n, err
		}
	})
}
