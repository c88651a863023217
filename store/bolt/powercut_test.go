package bolt

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
)

// TestPowerCut cuts the power in the middle of every commit of some workloads.
// What is left opens, holds what was acknowledged and nothing else, and goes on.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	seed := scale.Seed(t)
	steps, each := scale.Of(t, 20, 150, 300), scale.Of(t, 8, 28, 42)
	var images atomic.Int64
	t.Cleanup(func() { t.Logf("%d images", images.Load()) })
	for i := range scale.Of(t, 2, 12, 400) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			w := newWorkload(t, seed+uint64(i), steps) //nolint:gosec // small
			alloc := 0
			if i%2 == 0 {
				alloc = 8192 // the file grows again and again
			}
			p := w.tape(t, alloc)
			c := cutter{T: t, workload: w, path: quickPath(t)}
			base := &image{p.base, int64(len(p.base))}
			r := scale.Rand(seed + uint64(i)) //nolint:gosec // small
			for k := range p.commits {
				high := base.used(p.pageSize)
				p.commits[k].cuts(r, base, high, each, func(m *image, whole bool, kind string) {
					images.Add(1)
					c.open(m, k, whole, fmt.Sprintf("step %d (%s), %s", k, w.steps[k].name, kind), r.IntN(8) == 0)
				})
				p.commits[k].apply(base)
			}
		})
	}
}

// tape runs the workload and returns what was written: a commit for each step.
func (w *workload) tape(t *testing.T, alloc int) *tape {
	path := quickPath(t)
	openTest(t, path, Config{}).Close()
	p, opened := record(t, path, alloc)
	s := openTest(t, path, Config{opened: opened})
	for k, st := range w.steps {
		if _, err := st.do(t.Context(), s); err != nil {
			t.Fatalf("step %d (%s): %v", k, st.name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(p.commits) != len(w.steps) {
		t.Fatalf("%d commits of %d steps", len(p.commits), len(w.steps))
	}
	return p
}

// cutter opens images of a workload's file.
type cutter struct {
	*testing.T
	*workload
	path string
}

// open opens what a cut in step k left. With again the step is made once more.
func (c *cutter) open(m *image, k int, whole bool, what string, again bool) {
	if err := m.save(c.path); err != nil {
		c.Fatal(err)
	}
	s, err := Open(c.path, Config{noSync: true})
	if err != nil {
		c.Fatalf("%s: %v", what, err)
	}
	defer func() { _ = s.Close() }()
	if kept := c.at(c, s, k, what); kept != whole {
		c.Fatalf("%s: the commit is there: %v, want %v", what, kept, whole)
	}
	if again {
		if _, err := c.steps[k].do(c.Context(), s); err != nil {
			c.Fatalf("%s, asked again: %v", what, err)
		}
		c.at(c, s, k+1, what+", asked again")
	}
}
