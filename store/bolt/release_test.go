package bolt

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store"
)

// TestReleaseDuringAChange checks a change by another caller while the claimer releases the
// operation, after the versions were compared. The operation is due as that change says.
func TestReleaseDuringAChange(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"its holder did not release it before": false, "its holder released it before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, testPath(t), Config{noSync: true})
			put(t, s, "a")
			apply := func(o store.Operation) store.Operation {
				errs, err := s.Apply(t.Context(), []store.Change{{Operation: o}})
				if err != nil || errs[0] != nil {
					t.Fatal(errs, err)
				}
				o.Version++
				return o
			}
			o := claimDue(t, s, testTime())[0]
			if before {
				o = apply(o)
			}
			claimed, again := o, o
			claimed.DueAt = testTime().Add(15 * time.Minute)
			owner := own(t, s).(*claims)
			stale, err := owner.stale(t.Context(), []store.Operation{claimed})
			if err != nil {
				t.Fatal(err)
			}
			again.DueAt = testTime().Add(time.Second)
			apply(again)
			if err := owner.release(t.Context(), []store.Operation{claimed}, stale); err != nil {
				t.Fatal(err)
			}
			if got := claimDue(t, s, again.DueAt); len(got) != 1 {
				t.Errorf("%d are due at the changed time, want 1", len(got))
			}
		})
	}
}

// claimDue claims the due operations.
func claimDue(t *testing.T, s *Store, now time.Time) []store.Operation {
	t.Helper()
	c, err := own(t, s).Claim(t.Context(), store.ClaimRequest{Now: now, Lanes: []store.LaneSlots{{Lane: "s", Sends: 9, Reads: 9}}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Operations
}

// TestReleaseAgain checks that after a failed Release the next one finds out what the first
// did not.
func TestReleaseAgain(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	put(t, s, "a")
	claimed := claimDue(t, s, testTime())
	other := claimed[0]
	other.DueAt = testTime().Add(time.Second)
	if errs, err := s.Apply(t.Context(), []store.Change{{Operation: other}}); err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	claimed[0].DueAt = testTime().Add(15 * time.Minute)
	if err := own(t, s).Release(burning(t.Context(), 1), claimed); err == nil {
		t.Fatal("Release did not fail")
	}
	if err := own(t, s).Release(t.Context(), claimed); err != nil {
		t.Fatal(err)
	}
	if got := claimDue(t, s, other.DueAt); len(got) != 1 {
		t.Errorf("%d are due at the changed time, want 1", len(got))
	}
}
