package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"testing"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

func TestRepair(t *testing.T) {
	t.Parallel()
	const page = 4096
	if os.Getpagesize() != page {
		t.Skip("this test knows pages of 4096 bytes")
	}
	data, want := sample(t, 700)
	zero := func(d []byte, id uint64) { clear(d[id*page : (id+1)*page]) }
	whole := want
	for _, c := range []struct {
		name   string
		damage func(d []byte)
		loses  int // operations, at most
		forked bool
	}{
		{"nothing", func([]byte) {}, 0, false},
		{"the list of free pages", func(d []byte) { zero(d, freelistOf(t, d)) }, 0, false},
		{"a bit of a branch's own key", func(d []byte) {
			id := pagesOf(t, d, format.PageBranch)[0]
			at := binary.NativeEndian.Uint32(d[id*page+format.PageHeader:])
			d[id*page+format.PageHeader+uint64(at)+7] ^= 1
		}, 0, false},
		{"the header of a leaf", func(d []byte) { d[pagesOf(t, d, format.PageLeaf)[3]*page+1] ^= 1 }, 0, false},
		{"a branch", func(d []byte) { zero(d, pagesOf(t, d, format.PageBranch)[0]) }, 0, false},
		{"all branches", func(d []byte) {
			for id := uint64(2); id < uint64(len(d)/page); id++ {
				if d[id*page+8] == format.PageBranch {
					zero(d, id)
				}
			}
		}, 0, false},
		{"a leaf", func(d []byte) {
			copy(d, scrub(t, d))
			for _, id := range pagesOf(t, data, format.PageLeaf) {
				if key, err := format.FirstKey(id, d[id*page:(id+1)*page]); err == nil && len(key) == 16 { // a leaf of operations
					zero(d, id)
					return
				}
			}
		}, 40, true},
		{"the elements of a leaf", func(d []byte) { // the elements point to its records
			copy(d, scrub(t, d))
			for _, id := range pagesOf(t, data, format.PageLeaf) {
				p := d[id*page : (id+1)*page]
				if key, err := format.FirstKey(id, p); err == nil && len(key) == 16 {
					clear(p[format.PageHeader : format.PageHeader+format.ElementSize*int(binary.NativeEndian.Uint16(p[10:]))])
					return
				}
			}
		}, 0, false},
		{"a first page", func(d []byte) { zero(d, 0) }, 0, true},
		{"the second first page", func(d []byte) { zero(d, 1) }, 0, true},
		{"both first pages", func(d []byte) { zero(d, 0); zero(d, 1) }, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			damaged := bytes.Clone(data)
			c.damage(damaged)
			path := writeTemp(t, damaged)
			before, err := repair.Check(t.Context(), path, repair.CheckConfig{})
			if err != nil && !errors.Is(err, disk.ErrForeign) || (len(before.Problems) == 0 && err == nil) != (c.name == "nothing") {
				t.Fatalf("Verify: %v, %v", before.Problems, err)
			}
			dry, err := repair.Repair(t.Context(), path, repair.Config{DryRun: true})
			if err != nil || dry.Original != "" {
				t.Fatalf("dry: %+v, %v", dry, err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
				t.Fatal("the file was changed")
			}
			r, err := repair.Repair(t.Context(), path, repair.Config{})
			if err != nil || (len(r.Was.Problems) == 0) != (c.name == "nothing") || r.Outcome.Forked != c.forked {
				t.Fatalf("was %v, forked %v, lost %v, doubtful %v, %v", r.Was.Problems, r.Outcome.Forked, r.Outcome.Lost, r.Outcome.Doubtful, err)
			}
			if !reflect.DeepEqual(r.Outcome, dry.Outcome) {
				t.Errorf("dry: %+v, then %+v", dry.Outcome, r.Outcome)
			}
			if c.name == "nothing" {
				return
			}
			if kept, err := os.ReadFile(r.Original); err != nil || !bytes.Equal(kept, damaged) {
				t.Errorf("the damaged file is not at %q: %v", r.Original, err)
			}
			after, err := repair.Check(t.Context(), path, repair.CheckConfig{})
			if err != nil || len(after.Problems) > 0 {
				t.Fatalf("the repaired file: %v, %v", after.Problems, err)
			}
			s := openTest(t, path, Config{noSync: true})
			got, err := contentOf(t, s)
			if err != nil {
				t.Fatal(err)
			}
			if !c.forked {
				if d := got.differs(whole); d != "" {
					t.Error(d)
				}
				return
			}
			checkRepaired(t, whole, got, r.Outcome, c.loses)
			t.Logf("%d lost, %d doubtful, %d with unknown outcome; lost %v, doubtful %v", len(r.Outcome.Lost), len(r.Outcome.Doubtful), r.Outcome.OutcomeUnknown, few(r.Outcome.Lost), few(r.Outcome.Doubtful))
			if left, _ := filepath.Glob(path + "*temp*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// checkRepaired fails unless the losses from want are named, everything else is unchanged,
// and active operations count as outcome unknown.
func checkRepaired(t testing.TB, want, got content, m repair.Outcome, mayLose int) (lost int) {
	t.Helper()
	named, doubtful, events := map[store.ID]bool{}, map[store.ID]bool{}, map[uint64]bool{}
	told := map[store.ID]bool{}
	for _, e := range got.events {
		told[e.Operation] = true
	}
	ends := map[store.ID]uint64{} // the numbers of the events of the ends
	for _, e := range want.events {
		if e.To.Ended() && e.From != e.To {
			ends[e.Operation] = e.Seq
		}
	}
	page, vague := false, false // a whole page, or something unnamed, is reported as lost
	for _, l := range m.Lost {
		vague = vague || l.Vague()
		page = page || l.Page != 0 || vague
		named[l.Operation] = true
		for seq := l.First; seq != 0 && seq <= l.Last; seq++ {
			events[seq] = true
		}
	}
	for _, l := range m.Doubtful {
		doubtful[l.Operation] = true
	}
	if got.id == want.id {
		t.Error("it has the id of the earlier feed")
	}
	for id, w := range want.ops {
		o, ok := got.ops[id]
		switch {
		case !ok && !named[id] && (told[id] && !w.Phase.Ended() || !page):
			t.Errorf("operation %s (%s) is lost, and is not named", id, w.Phase)
		case !ok:
			lost++
		case doubtful[id]:
			if w.Phase.Ended() && o.Active() && !events[ends[id]] || o.Active() && o.Sent == store.SentNo {
				t.Errorf("operation %s was %s, and is %s, sent %s", id, w.Phase, o.Phase, o.Sent)
			}
		case vague && (!o.Active() || o.Sent != store.SentNo): // it may be an older record
		case o.Active() && w.Sent == store.SentNo:
			w.Sent, w.SentAt, w.LastSentAt = store.SentUnknown, w.CreatedAt, w.CreatedAt
			w.Version++
			if !reflect.DeepEqual(o, w) {
				t.Errorf("operation %s is %+v, want %+v", id, o, w)
			}
		case !reflect.DeepEqual(o, w):
			t.Errorf("operation %s is %+v, want %+v", id, o, w)
		}
		if ok && got.byToken[w.ClientToken] != id {
			t.Errorf("the token of operation %s leads to %q", id, got.byToken[w.ClientToken])
		}
	}
	for id := range got.ops {
		if _, ok := want.ops[id]; !ok && !doubtful[id] && !page {
			t.Errorf("operation %s is there again", id)
		}
	}
	if lost > mayLose {
		t.Errorf("%d operations are lost of %d, want at most %d", lost, len(want.ops), mayLose)
	}
	have := map[uint64]store.Event{}
	for _, e := range got.events {
		e.Cursor = ""
		have[e.Seq] = e
	}
	for _, w := range want.events {
		w.Cursor = ""
		// A number without any record may have become another event.
		if e, ok := have[w.Seq]; e != w && !events[w.Seq] && !(page && (!ok || doubtful[e.Operation])) {
			t.Errorf("event %d is %+v, want %+v, and the loss is not named", w.Seq, e, w)
		}
	}
	return lost
}

func few(all []repair.Loss) []repair.Loss { return all[:min(3, len(all))] }

// TestRepairLeavesAlone checks that a file that is no database of this version is refused,
// and no byte of it is changed.
func TestRepairLeavesAlone(t *testing.T) {
	t.Parallel()
	data, _ := sample(t, 30)
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want error
	}{
		"an empty file": {func(t *testing.T, path string) { writeAll(t, path, nil) }, disk.ErrForeign},
		"a text":        {func(t *testing.T, path string) { writeAll(t, path, bytes.Repeat([]byte("hello "), 5000)) }, disk.ErrForeign},
		"a newer schema": {func(t *testing.T, path string) {
			writeAll(t, path, data)
			setSchema(t, path, format.Schema+1)
		}, format.ErrNewer},
		"a newer schema, damaged": {func(t *testing.T, path string) {
			writeAll(t, path, data)
			setSchema(t, path, format.Schema+1)
			d, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			id := freelistOf(t, d)
			clear(d[int(id)*os.Getpagesize() : int(id+1)*os.Getpagesize()])
			writeAll(t, path, d)
		}, format.ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			c.make(t, path)
			before, _ := os.ReadFile(path)
			if r, err := repair.Repair(t.Context(), path, repair.Config{}); !errors.Is(err, c.want) {
				t.Errorf("%+v, %v, want %v", r, err, c.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			if left, _ := filepath.Glob(path + ".*"); len(left) > 0 && left[0] != path+disk.LockSuffix {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	t.Run("an open file", func(t *testing.T) {
		t.Parallel()
		path := writeTemp(t, data)
		openTest(t, path, Config{noSync: true})
		if _, err := repair.Repair(t.Context(), path, repair.Config{LockTimeout: -1}); !errors.Is(err, disk.ErrLocked) {
			t.Errorf("Repair: %v, want ErrLocked", err)
		}
		if _, err := repair.Check(t.Context(), path, repair.CheckConfig{LockTimeout: -1}); !errors.Is(err, disk.ErrLocked) {
			t.Errorf("Check: %v, want ErrLocked", err)
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		path := testPath(t)
		if _, err := repair.Repair(t.Context(), path, repair.Config{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Repair: %v", err)
		}
		if _, err := repair.Check(t.Context(), path, repair.CheckConfig{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Verify: %v", err)
		}
		if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
			t.Errorf("made: %v", left)
		}
	})
}

// TestRepairByAnotherProcess checks that every read of a damaged page is a job that another
// process can do. If that process dies, only the job has failed.
func TestRepairByAnotherProcess(t *testing.T) {
	t.Parallel()
	data, _ := sample(t, 50)
	clear(data[:os.Getpagesize()])
	path := writeTemp(t, data)
	dies := errors.New("the process died")
	var jobs []repair.Job
	do := func(ctx context.Context, j repair.Job) (repair.Done, error) {
		jobs = append(jobs, j)
		return j.Do(ctx, nil)
	}
	r, err := repair.Repair(t.Context(), path, repair.Config{Do: do})
	if err != nil || r.Original == "" || len(jobs) != 2 || jobs[0] != (repair.Job{Path: path}) || jobs[1].Path != path || jobs[1].Copy == "" {
		t.Errorf("%+v, %v, jobs %+v", r, err, jobs)
	}
	if _, err := repair.Check(t.Context(), path, repair.CheckConfig{Do: func(context.Context, repair.Job) (repair.Done, error) { return repair.Done{}, dies }}); !errors.Is(err, dies) {
		t.Errorf("Verify: %v", err)
	}
}

// TestRepairInconclusive checks that Repair changes nothing after a job that did not finish.
func TestRepairInconclusive(t *testing.T) {
	t.Parallel()
	data, _ := sample(t, 50)
	clear(data[:os.Getpagesize()])
	for _, at := range []string{"check", "repair"} {
		path := writeTemp(t, data)
		tried := ""
		_, err := repair.Repair(t.Context(), path, repair.Config{Do: func(ctx context.Context, j repair.Job) (repair.Done, error) {
			tried = "check"
			if j.Copy != "" {
				tried = "repair"
			}
			if tried == at {
				return repair.Done{}, fmt.Errorf("%w: killed", repair.ErrInconclusive)
			}
			return j.Do(ctx, nil)
		}})
		var damaged *format.CorruptError
		if !errors.Is(err, repair.ErrInconclusive) || errors.As(err, &damaged) || tried != at {
			t.Errorf("%q: %v, after %q", at, err, tried)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
			t.Errorf("%q: the file was changed: %v", at, err)
		}
		if left, _ := filepath.Glob(path + ".*[0-9]"); len(left) > 0 {
			t.Errorf("%q: left behind: %q", at, left)
		}
	}
}
