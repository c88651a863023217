package bolt

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store"
)

// TestReleaseWhileItIsChanged: another caller changes an operation while its claimer
// releases it, after the versions were compared. The operation is due as that change says.
func TestReleaseWhileItIsChanged(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"a first time": false, "and its holder did before": true} {
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
			held, again := o, o
			held.DueAt = testTime().Add(15 * time.Minute)
			owner := own(t, s).(*claims)
			stale, err := owner.stale(t.Context(), []store.Operation{held})
			if err != nil {
				t.Fatal(err)
			}
			again.DueAt = testTime().Add(time.Second)
			apply(again)
			if err := owner.release(t.Context(), []store.Operation{held}, stale); err != nil {
				t.Fatal(err)
			}
			if got := claimDue(t, s, again.DueAt); len(got) != 1 {
				t.Errorf("%d are due when it was changed to be, want 1", len(got))
			}
		})
	}
}

// claimDue claims what is due.
func claimDue(t *testing.T, s *Store, now time.Time) []store.Operation {
	t.Helper()
	c, err := own(t, s).Claim(t.Context(), store.ClaimRequest{Now: now, Lanes: []store.LaneSlots{{Lane: "s", Sends: 9, Reads: 9}}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Operations
}

// TestReleaseAgain: what a call that failed would have found out, the next one does.
func TestReleaseAgain(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	put(t, s, "a")
	held := claimDue(t, s, testTime())
	other := held[0]
	other.DueAt = testTime().Add(time.Second)
	if errs, err := s.Apply(t.Context(), []store.Change{{Operation: other}}); err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	held[0].DueAt = testTime().Add(15 * time.Minute)
	if err := own(t, s).Release(burning(t.Context(), 1), held); err == nil {
		t.Fatal("it did not fail")
	}
	if err := own(t, s).Release(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	if got := claimDue(t, s, other.DueAt); len(got) != 1 {
		t.Errorf("%d are due when it was changed to be, want 1", len(got))
	}
}
