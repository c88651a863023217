package bolt

import (
	"errors"
	"os"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// TestLyingDisk simulates a disk that reports syncs that it has not made. Some pages of each
// commit are missing although the meta page is there, which no power cut leaves behind.
// Every difference from what was written is detected: by Open, in a quarantined record, or
// by Check.
//
// It also tests the tests of power cuts: their result for whole images counts only if they
// detect an image that is not whole.
func TestLyingDisk(t *testing.T) {
	t.Parallel()
	seed := scale.Seed(t)
	r := scale.Rand(seed)
	seen := map[string]int{}
	for i := range scale.Times(t, 1, 4, 100) {
		w := newWorkload(t, seed+uint64(i), scale.Of(t, 40, 150, 300)) //nolint:gosec // small
		p := w.tape(t, 0)
		path := quickPath(t)
		base := &image{p.base, int64(len(p.base))}
		for k := range p.commits {
			c := &p.commits[k]
			for n := range len(c.pages) + 4 { // each page alone, all of them, and some
				m := &image{append([]byte(nil), base.data...), c.length}
				for at, page := range c.pages {
					switch {
					case n < len(c.pages) && at == n, n == len(c.pages), n > len(c.pages) && r.IntN(2) == 0:
					default:
						m.put(page)
					}
				}
				m.put(c.meta)
				if err := m.save(path); err != nil {
					t.Fatal(err)
				}
				how := w.noticed(t, path, k+1)
				if seen[how]++; how == "" {
					t.Errorf("step %d (%s), loss %d of %d pages: the file differs from what was written, and no check detected it", k, w.steps[k].name, n, len(c.pages))
				}
				if how == "open" && r.IntN(4) == 0 {
					seen["active again"] += w.repaired(t, path, k+1)
					seen["repaired"]++
				}
			}
			c.apply(base)
		}
	}
	t.Log(seen)
	if seen["open"] == 0 || seen["repaired"] == 0 || seen["set aside"]+seen["check"] == 0 {
		t.Error("some result never occurred")
	}
	if seen["repaired"] > 200 && seen["active again"] == 0 {
		t.Error("no ended operation became active again, so the rule for these was not tested")
	}
}

// noticed returns what detects that the file at path is not as it was after k steps. A lost
// page may equal the page before or list free pages. Then the file holds everything and
// works on.
func (w *workload) noticed(t *testing.T, path string, k int) string {
	t.Helper()
	s, err := Open(path, Config{noSync: true})
	if errors.Is(err, store.ErrCorrupt) || errors.Is(err, disk.ErrForeign) {
		return "open"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if stats, err := s.Stats(t.Context()); err != nil || stats.Quarantined > 0 {
		return "set aside"
	}
	if r, err := s.Check(t.Context()); err != nil || len(r.Problems) > 0 {
		return "check"
	}
	if sumOf(t, s) != w.states[k].sum {
		return ""
	}
	end := min(k+5, len(w.steps))
	for _, st := range w.steps[k:end] {
		if _, err := st.do(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	w.at(t, s, end, "nothing was missing, and later")
	return "nothing was lost"
}

// repaired repairs the file at path. The repaired file may lack what the disk has lost. But
// it must not show an operation as never sent that was sent before step k, or had ended. So
// the engine reads the session first, and never sends blindly. repaired returns how many
// ended operations are active again.
func (w *workload) repaired(t *testing.T, path string, k int) (again int) {
	t.Helper()
	r, err := repair.Repair(t.Context(), path, repair.Config{})
	if err != nil {
		t.Errorf("before step %d: the repair fails: %v", k, err)
		return 0
	}
	defer func() { _ = os.Remove(r.Original) }()
	s := openTest(t, path, Config{noSync: true})
	defer func() { _ = s.Close() }()
	clean(t, s)
	now := stateOf(t, s).ops
	for id, was := range w.states[k].ops {
		is, ok := now[id]
		if !ok || !is.Active() {
			continue
		}
		if !was.Active() {
			again++
		}
		if is.Sent == store.SentNo && (was.Sent != store.SentNo || !was.Active()) {
			t.Errorf("before step %d: %s was %s (sent: %s), and the repaired file (%+v) shows it as never sent; the damage was %v",
				k, id, was.Phase, was.Sent, r.Outcome, r.Was.Problems)
		}
	}
	return again
}
