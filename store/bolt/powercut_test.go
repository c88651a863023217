package bolt

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
)

// TestPowerCut cuts the power in the middle of every commit of some workloads. The file then
// opens, holds what was acknowledged and nothing else, and works.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	seed := scale.Seed(t)
	steps, each := scale.Of(t, 20, 150, 300), scale.Of(t, 8, 28, 42)
	var images atomic.Int64
	t.Cleanup(func() { t.Logf("%d images", images.Load()) })
	for i := range scale.Times(t, 2, 12, 400) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			w := newWorkload(t, seed+uint64(i), steps) //nolint:gosec // small
			var growBy int64
			if i%2 == 0 {
				growBy = 8192 // so that the file grows again and again
			}
			p := w.tape(t, growBy)
			share := runtime.GOMAXPROCS(0)
			for first := range share {
				t.Run(fmt.Sprint(first), func(t *testing.T) {
					t.Parallel()
					c := cutter{T: t, workload: w, tape: p, path: quickPath(t), Rand: scale.Rand(seed + uint64(first))} //nolint:gosec // small
					images.Add(c.cut(first, share, each))
				})
			}
		})
	}
}

// cutter opens images of a workload's file.
type cutter struct {
	*testing.T
	*workload
	*tape
	*rand.Rand
	path string
}

// cut cuts the power in every share-th step, beginning with first.
func (c *cutter) cut(first, share, each int) (images int64) {
	base := &image{slices.Clone(c.base), int64(len(c.base))}
	for k := range c.commits {
		if k%share == first {
			c.commits[k].cuts(c.Rand, base, base.used(c.pageSize), each, func(m *image, whole bool, kind string) {
				images++
				c.open(m, k, whole, fmt.Sprintf("step %d (%s), %s", k, c.steps[k].name, kind), c.IntN(8) == 0)
			})
		}
		c.commits[k].apply(base)
	}
	return images
}

// tape runs the workload and returns what was written, with one commit for each step.
func (w *workload) tape(t *testing.T, growBy int64) *tape {
	path := quickPath(t)
	openTest(t, path, Config{}).Close()
	p, opened := record(t, path)
	s := openTest(t, path, Config{opened: opened, growBy: growBy})
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

// open opens what a cut in step k left. With again it makes the step once more.
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
			c.Fatalf("%s, repeated: %v", what, err)
		}
		c.at(c, s, k+1, what+", repeated")
	}
}

// TestPowerCutWhileABackupIsOpened cuts the power during the first opening of a backup,
// which makes it a store of its own. If that was cut off, the next opening does it.
func TestPowerCutWhileABackupIsOpened(t *testing.T) {
	t.Parallel()
	seed := scale.Seed(t)
	w := newWorkload(t, seed, 40)
	original := openTest(t, quickPath(t), Config{noSync: true})
	for k, st := range w.steps {
		if _, err := st.do(t.Context(), original); err != nil {
			t.Fatalf("step %d (%s): %v", k, st.name, err)
		}
	}
	path := quickPath(t)
	if err := original.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	p, opened := record(t, path)
	s := openTest(t, path, Config{opened: opened})
	want := sumOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if want == w.states[len(w.steps)].sum || len(p.commits) == 0 {
		t.Fatal("opening the backup has changed nothing")
	}
	base, images := &image{p.base, int64(len(p.base))}, 0
	for i := range p.commits {
		c := &p.commits[i]
		c.cuts(scale.Rand(seed), base, base.used(p.pageSize), scale.Of(t, 40, 400, 4000), func(m *image, _ bool, kind string) {
			images++
			if err := m.save(path); err != nil {
				t.Fatal(err)
			}
			s := openTest(t, path, Config{noSync: true})
			clean(t, s)
			if s.id == original.id || sumOf(t, s) != want {
				t.Errorf("commit %d of the opening, %s: the content is not that of an opened backup", i, kind)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		c.apply(base)
	}
	t.Logf("%d images of %d commits", images, len(p.commits))
}
