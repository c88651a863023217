package bolt

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/internal/index"
	bbolt "go.etcd.io/bbolt"
)

// trouble makes operations of one kind on the file (writes, syncs, growths) fail. It
// fails the nth after it is armed and, with again, every later one until it is disarmed.
type trouble struct {
	fault
	err   error // bbolt keeps only the text of some errors
	n     int
	count int
	armed bool
}

// strikes counts an operation, and reports whether it fails.
func (x *trouble) strikes() bool {
	if !x.armed {
		return false
	}
	x.count++
	return x.count == x.n || x.count > x.n && x.again
}

// writes makes the writes to a file fail.
func (x *trouble) writes(db *bbolt.DB) {
	hookWrites(db, func(write writeAt) writeAt {
		return func(b []byte, off int64) (int, error) {
			if !x.strikes() {
				return write(b, off)
			}
			done := 0
			if w := x.wrote(len(b)); w > 0 {
				done, _ = write(b[:w], off)
			}
			return done, x.err
		}
	})
}

// tally counts how runs ended.
type tally struct{ runs, kept, full, unknown, failed, mastered atomic.Int64 }

func (y *tally) String() string {
	return fmt.Sprintf("%d runs: %d full, %d unknown, %d closed, %d without an error for a caller; %d commits kept",
		y.runs.Load(), y.full.Load(), y.unknown.Load(), y.failed.Load(), y.mastered.Load(), y.kept.Load())
}

// TestEveryWriteFails makes each write of a workload fail, in four ways, for lack of space
// and for an unknown reason. Nothing that was acknowledged is lost. Nothing else is stored,
// except possibly the call that met the fault, and a repeated call shows whether it was.
func TestEveryWriteFails(t *testing.T) {
	t.Parallel()
	seed := scale.Seed(t)
	w := newWorkload(t, seed, scale.Of(t, 60, 150, 600))
	stride := scale.Of(t, 31, 1, 1)
	everyFault(t, w, stride, true, faults(), func(x *trouble, c *Config) { c.opened = x.writes })
}

// TestEveryGrowthFails is TestEveryWriteFails for the growths of the file, which the
// committer makes before bbolt has to.
func TestEveryGrowthFails(t *testing.T) {
	t.Parallel()
	seed := scale.Seed(t)
	w := newWorkload(t, seed, scale.Of(t, 30, 150, 600))
	stride := scale.Of(t, 7, 1, 1)
	kinds := []fault{faults()[0], faults()[1], faults()[3]}
	everyFault(t, w, stride, false, kinds, func(x *trouble, c *Config) {
		c.growBy = 1 // the least that is possible
		c.growing = func(do func() error) error {
			if !x.strikes() {
				return do()
			}
			if x.wrote(1) == 1 {
				_ = do()
			}
			return x.err
		}
	})
}

// everyFault runs the workload with one operation of a kind failing, a stride apart. The
// flag commits says that some of them come after a commit's meta page is written.
func everyFault(t *testing.T, w *workload, stride int, commits bool, kinds []fault, hook func(*trouble, *Config)) {
	var all tally
	t.Cleanup(func() {
		t.Log(all.String())
		if stride > 1 {
			return
		}
		if all.full.Load() == 0 || all.failed.Load() == 0 || commits && (all.kept.Load() == 0 || all.unknown.Load() == 0) {
			t.Error("some result never occurred")
		}
	})
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		for _, f := range kinds {
			t.Run(fmt.Sprintf("%v, %s", errno, f.name), func(t *testing.T) {
				t.Parallel()
				run := faultRun{T: t, workload: w, tally: &all, path: quickPath(t)}
				for n, reached := 1, true; reached; n += stride {
					run.trouble = &trouble{fault: f, err: &os.PathError{Op: "write", Path: "x", Err: errno}, n: n}
					run.config = Config{noSync: true}
					hook(run.trouble, &run.config)
					run.what = fmt.Sprintf("%v, %s, at %d", errno, f.name, n)
					reached = run.once()
				}
			})
		}
	}
}

// faultRun is one run of a workload with one fault.
type faultRun struct {
	*testing.T
	*workload
	*trouble
	*tally
	path   string
	config Config
	what   string
}

// once reports whether the run reached the fault.
func (r *faultRun) once() bool {
	for _, name := range []string{r.path, r.path + disk.SuspectSuffix} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			r.Fatal(err)
		}
	}
	s := openTest(r, r.path, r.config)
	r.armed = true
	for k, st := range r.steps {
		_, err := st.do(r.Context(), s)
		if err == nil {
			continue
		}
		r.runs.Add(1)
		if errors.Is(err, store.ErrFailed) {
			r.shut(s, k, err)
		} else {
			r.goesOn(s, k, err)
		}
		return true
	}
	reached := r.count >= r.n
	if reached {
		r.runs.Add(1)
		r.mastered.Add(1)
		if !errors.Is(r.err, syscall.ENOSPC) {
			r.Errorf("%s: no caller got the error", r.what)
		}
	}
	r.at(r, s, len(r.steps), r.what+", at the end")
	r.close(s)
	return reached
}

// close closes s and checks that its tables in memory equal those that a new opening makes
// from the file.
func (r *faultRun) close(s *Store) {
	r.Helper()
	r.armed = false
	had := tablesOf(s)
	if err := s.Close(); err != nil {
		r.Errorf("%s: Close: %v", r.what, err)
	}
	s = openTest(r, r.path, r.config)
	if has := tablesOf(s); had != has {
		r.Fatalf("%s: the tables in memory were\n%s\nand from the file they are\n%s", r.what, had, has)
	}
	if err := s.Close(); err != nil {
		r.Errorf("%s: Close: %v", r.what, err)
	}
}

// shut checks a store that met an unknown error in step k. Every call returns that error,
// and the next opening copies the file.
func (r *faultRun) shut(s *Store, k int, err error) {
	r.failed.Add(1)
	if errors.Is(r.err, syscall.ENOSPC) && !r.again {
		r.Errorf("%s: a full disk closed the store: %v", r.what, err)
	}
	_, later := s.Operation(r.Context(), testOp("x").ID)
	for _, e := range []error{err, later, s.Await(r.Context(), "")} {
		if !errors.Is(e, store.ErrFailed) || !strings.Contains(e.Error(), r.err.Error()) {
			r.Errorf("%s: %v, want ErrFailed and the cause", r.what, e)
		}
	}
	r.armed = false
	if err := s.Close(); err != nil {
		r.Errorf("%s: Close: %v", r.what, err)
	}
	before, err := os.Stat(r.path)
	if err != nil {
		r.Fatal(err)
	}
	s = openTest(r, r.path, r.config)
	if after, err := os.Stat(r.path); err != nil || os.SameFile(before, after) {
		r.Errorf("%s: the file was not copied (%v)", r.what, err)
	}
	if _, err := os.Stat(r.path + disk.SuspectSuffix); !errors.Is(err, os.ErrNotExist) {
		r.Errorf("%s: the marker is left behind: %v", r.what, err)
	}
	kept := r.at(r, s, k, r.what)
	r.askAgain(s, k, kept)
}

// goesOn checks a store that ran out of space in step k.
func (r *faultRun) goesOn(s *Store, k int, err error) {
	kept := r.at(r, s, k, r.what)
	switch {
	case !errors.Is(r.err, syscall.ENOSPC) || !strings.Contains(err.Error(), r.err.Error()):
		r.Errorf("%s: the store goes on after %[3]v in step %[2]d", r.what, k, err)
	case errors.Is(err, store.ErrUnknown):
		if r.unknown.Add(1); !kept {
			r.Errorf("%s: step %d was not kept, but the error is %v", r.what, k, err)
		}
	case !errors.Is(err, store.ErrFull) || kept:
		r.Errorf("%s: step %d: kept %v, and the error is %v", r.what, k, kept, err)
	default:
		r.full.Add(1)
	}
	if r.again && !kept { // the disk is still full
		if _, err := r.steps[k].do(r.Context(), s); !errors.Is(err, store.ErrFull) || r.at(r, s, k, r.what) {
			r.Errorf("%s: step %d again on the full disk: %v", r.what, k, err)
		}
	}
	r.armed = false
	r.askAgain(s, k, kept)
}

// askAgain makes step k again, as a caller without an answer would, and some later steps.
func (r *faultRun) askAgain(s *Store, k int, kept bool) {
	if kept {
		r.kept.Add(1)
	}
	st := r.steps[k]
	stored, err := st.do(r.Context(), s)
	if tells := st.name == "start" || st.name == "move"; err != nil || tells && stored == kept {
		r.Errorf("%s: step %d (%s) was kept: %v; repeated, the store reports that it stored the step now: %v, %v", r.what, k, st.name, kept, stored, err)
	}
	end := min(k+10, len(r.steps))
	for i := k + 1; i < end; i++ {
		if _, err := r.steps[i].do(r.Context(), s); err != nil {
			r.Fatalf("%s: step %d, after the fault in step %d: %v", r.what, i, k, err)
		}
	}
	if r.at(r, s, max(end, k+1), r.what+", and later") {
		r.Errorf("%s: more was stored than was asked for", r.what)
	}
	r.close(s)
}

// tablesOf returns the tables in memory of a store as text.
func tablesOf(s *Store) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.index
	var rows []string
	for o := range x.All() {
		rows = append(rows, fmt.Sprint(format.RowID(o.ID).Id(), o, x.Has(index.Key{ID: o.ID, Session: o.Session}), x.LaneDue(o.Lane)))
	}
	slices.Sort(rows)
	counts := maps.Clone(s.counts)
	maps.DeleteFunc(counts, func(_ fsm.Phase, n int) bool { return n == 0 })
	d, _ := x.Dues(0)
	return fmt.Sprint(x.Len(), d.Deadline, counts, s.seq, s.link, s.pruned, "\n", strings.Join(rows, "\n"))
}
