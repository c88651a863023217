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
	"strings"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// content is all that a store tells through its port.
type content struct {
	id       string
	ops      map[store.ID]store.Operation
	byToken  map[string]store.ID
	sessions map[transport.Ref]store.ID // the active, else the latest
	events   []store.Event
	lanes    []store.Lane
}

// contentOf reads a store, and of the errors that a damaged one gives the first.
func contentOf(t testing.TB, s *Store) (content, error) {
	c := content{ops: map[store.ID]store.Operation{}, byToken: map[string]store.ID{}, sessions: map[transport.Ref]store.ID{}}
	stats, first := s.Stats(t.Context())
	c.id = stats.StoreID
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	for o, err := range s.List(t.Context(), store.Filter{}) {
		if err != nil {
			keep(err)
			break
		}
		c.ops[o.ID] = o
	}
	for _, o := range c.ops {
		by, err := s.ByToken(t.Context(), o.ClientToken)
		keep(err)
		c.byToken[o.ClientToken] = by.ID
		by, err = s.BySession(t.Context(), o.Ref)
		keep(err)
		c.sessions[o.Ref] = by.ID
	}
	for after := store.Cursor(""); ; {
		page, err := s.Events(t.Context(), after, 500)
		keep(err)
		if err != nil || len(page) == 0 {
			break
		}
		c.events, after = append(c.events, page...), page[len(page)-1].Cursor
	}
	var err error
	c.lanes, err = s.Lanes(t.Context())
	keep(err)
	return c, first
}

// differs names the first thing in which two stores differ; "": none.
func (c content) differs(from content) string {
	for id, o := range from.ops {
		if !reflect.DeepEqual(c.ops[id], o) {
			return fmt.Sprintf("operation %s is %+v, want %+v", id, c.ops[id], o)
		}
	}
	for id := range c.ops {
		if _, ok := from.ops[id]; !ok {
			return fmt.Sprintf("operation %s is there", id)
		}
	}
	switch {
	case c.id != from.id:
		return "the store's id"
	case !reflect.DeepEqual(c.events, from.events):
		return fmt.Sprintf("the feed: %d events, want %d", len(c.events), len(from.events))
	case !reflect.DeepEqual(c.byToken, from.byToken):
		return "what tokens lead to"
	case !reflect.DeepEqual(c.sessions, from.sessions):
		return "what sessions lead to"
	case !reflect.DeepEqual(c.lanes, from.lanes):
		return "the lanes"
	}
	return ""
}

// sample makes a store of n operations in all states, in many commits, with what
// was pruned, and returns the bytes of its file and what it holds.
func sample(t testing.TB, n int) ([]byte, content) {
	t.Helper()
	images, want := history(t, n)
	return images[len(images)-1], want
}

// history is sample with what the file was after commits before, the oldest
// first.
func history(t testing.TB, n int) (images [][]byte, want content) {
	t.Helper()
	path := testPath(t)
	look := func() {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, data)
	}
	s := openTest(t, path, Config{noSync: true})
	for first := 0; first < n; first += 7 {
		var ops []store.Operation
		for i := first; i < min(first+7, n); i++ {
			o := testOp(numbered(i))
			o.ID = store.ID(fmt.Sprintf("019a0000-%04x-7000-8000-000000000000", i)) // so that a seed repeats a run
			o.ClientToken = string(o.ID)
			o.CreatedAt = testTime().Add(time.Duration(i) * time.Second)
			if i%3 == 0 {
				o.ClientToken = "token-" + numbered(i)
			}
			if i%4 == 0 {
				o.Labels = map[string]string{"show": strings.Repeat("x", i%40)}
			}
			ops = append(ops, o)
		}
		rs, err := s.Enqueue(t.Context(), ops)
		if err != nil {
			t.Fatal(err)
		}
		var changes []store.Change
		for i, r := range rs {
			o := r.Operation
			if i%2 == 0 { // what was sent is no event
				o.Sent, o.SentAt, o.Attempts = store.SentUnknown, o.CreatedAt, 1
			}
			var events []store.Event
			if i%3 > 0 {
				from := o.Phase
				o.Phase = fsm.Starting
				if i%3 == 2 {
					o.Phase, o.Reason, o.FinishedAt = fsm.Failed, store.Timeout, o.CreatedAt.Add(time.Minute)
				}
				events = append(events, store.Event{Operation: o.ID, Ref: o.Ref, From: from, To: o.Phase, Reason: o.Reason, At: o.CreatedAt.Add(time.Minute)})
			}
			changes = append(changes, store.Change{Operation: o, Events: events})
		}
		if _, err := s.Apply(t.Context(), changes); err != nil {
			t.Fatal(err)
		}
		if first >= n-35 {
			look()
		}
	}
	for _, lane := range []string{"lab", "attic"} {
		if err := s.SetPaused(t.Context(), lane, true, "mo", testTime()); err != nil {
			t.Fatal(err)
		}
		look()
	}
	if _, err := s.Prune(t.Context(), store.Keep{EndedSince: testTime().Add(2 * time.Minute), Events: n}); err != nil {
		t.Fatal(err)
	}
	look()
	last := testOp("the last")
	last.ID = "019a0001-0000-7000-8000-000000000000"
	last.ClientToken = string(last.ID)
	if _, err := s.Enqueue(t.Context(), []store.Operation{last}); err != nil {
		t.Fatal(err)
	}
	want, err := contentOf(t, s)
	if err != nil {
		t.Fatal(err)
	}
	clean(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	look()
	return images, want
}

// pagesOf lists the pages of an image that are of a kind and in use, now and
// before the last commit.
func pagesOf(t testing.TB, data []byte, kind uint16) []uint64 {
	t.Helper()
	metas, _, err := readMetas(bytes.NewReader(data))
	if err != nil || len(metas) != 2 {
		t.Fatalf("%d first pages, %v", len(metas), err)
	}
	img := snapshot{data: data, pageSize: int(metas[0].pageSize)}
	now, before := findInUse(img, metas[0]), findInUse(img, metas[1])
	if now.broken || now.free == nil {
		t.Fatal("the sample is not whole")
	}
	var out []uint64
	for id, ok := range now.reached {
		if _, flags, _, _ := img.header(uint64(id)); ok && before.reached[id] && flags == kind {
			out = append(out, uint64(id))
		}
	}
	return out
}

// freelistOf is the page of an image's list of free pages.
func freelistOf(t testing.TB, data []byte) uint64 {
	t.Helper()
	metas, _, err := readMetas(bytes.NewReader(data))
	if err != nil || len(metas) == 0 {
		t.Fatalf("%d first pages, %v", len(metas), err)
	}
	return metas[0].freelist
}

func writeTemp(t testing.TB, data []byte) string {
	t.Helper()
	path := testPath(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

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
		method Method
		loses  int // operations, at most
		forked bool
	}{
		{"nothing", func([]byte) {}, "", 0, false},
		{"the list of free pages", func(d []byte) { zero(d, freelistOf(t, d)) }, Rebuild, 0, false},
		{"a bit of a branch's own key", func(d []byte) {
			id := pagesOf(t, d, pageBranch)[0]
			at := binary.NativeEndian.Uint32(d[id*page+pageHeader:])
			d[id*page+pageHeader+uint64(at)+7] ^= 1
		}, Salvage, 0, false},
		{"the header of a leaf", func(d []byte) { d[pagesOf(t, d, pageLeaf)[3]*page+1] ^= 1 }, Salvage, 0, false},
		{"a branch", func(d []byte) { zero(d, pagesOf(t, d, pageBranch)[0]) }, Salvage, 0, false},
		{"all branches", func(d []byte) {
			for id := uint64(2); id < uint64(len(d)/page); id++ {
				if d[id*page+8] == pageBranch {
					zero(d, id)
				}
			}
		}, Salvage, 0, false},
		{"a leaf", func(d []byte) {
			copy(d, scrub(t, d))
			for _, id := range pagesOf(t, data, pageLeaf) {
				if key, err := firstKey(id, d[id*page:(id+1)*page]); err == nil && len(key) == 16 { // of operations
					zero(d, id)
					return
				}
			}
		}, Salvage, 40, true},
		{"the elements of a leaf", func(d []byte) { // what leads to its records
			copy(d, scrub(t, d))
			for _, id := range pagesOf(t, data, pageLeaf) {
				p := d[id*page : (id+1)*page]
				if key, err := firstKey(id, p); err == nil && len(key) == 16 {
					clear(p[pageHeader : pageHeader+elementSize*int(binary.NativeEndian.Uint16(p[10:]))])
					return
				}
			}
		}, Salvage, 0, false},
		{"a first page", func(d []byte) { zero(d, 0) }, Salvage, 0, true},
		{"the other first page", func(d []byte) { zero(d, 1) }, Salvage, 0, true},
		{"both first pages", func(d []byte) { zero(d, 0); zero(d, 1) }, Salvage, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			damaged := bytes.Clone(data)
			c.damage(damaged)
			path := writeTemp(t, damaged)
			before, err := Verify(t.Context(), path, VerifyConfig{})
			if err != nil && !errors.Is(err, ErrForeign) || (len(before.Problems) == 0 && err == nil) != (c.method == "") {
				t.Fatalf("Verify: %v, %v", before.Problems, err)
			}
			dry, err := Repair(t.Context(), path, RepairConfig{DryRun: true})
			if err != nil || dry.Method != c.method || dry.Original != "" {
				t.Fatalf("dry: %+v, %v", dry, err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
				t.Fatal("it was altered")
			}
			r, err := Repair(t.Context(), path, RepairConfig{})
			if err != nil || r.Method != c.method || r.Mended.Forked != c.forked {
				t.Fatalf("by %q, forked %v, lost %v, doubtful %v, failed %v, %v", r.Method, r.Mended.Forked, r.Mended.Lost, r.Mended.Doubtful, r.Failed, err)
			}
			if !reflect.DeepEqual(r.Mended, dry.Mended) {
				t.Errorf("dry: %+v, then %+v", dry.Mended, r.Mended)
			}
			if c.method == "" {
				return
			}
			if kept, err := os.ReadFile(r.Original); err != nil || !bytes.Equal(kept, damaged) {
				t.Errorf("the damaged file is not at %q: %v", r.Original, err)
			}
			after, err := Verify(t.Context(), path, VerifyConfig{})
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
			judgeRepaired(t, whole, got, r.Mended, c.loses)
			t.Logf("%d lost, %d doubtful, %d perhaps sent; lost %v, doubtful %v", len(r.Mended.Lost), len(r.Mended.Doubtful), r.Mended.PerhapsSent, few(r.Mended.Lost), few(r.Mended.Doubtful))
			if left, _ := filepath.Glob(path + "*temp*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// judgeRepaired fails unless what is lost of want is named, what is not named is
// as it was, and what is active counts as perhaps sent.
func judgeRepaired(t testing.TB, want, got content, m Mended, mayLose int) (lost int) {
	t.Helper()
	named, doubtful, events := map[store.ID]bool{}, map[store.ID]bool{}, map[uint64]bool{}
	told := map[store.ID]bool{}
	for _, e := range got.events {
		told[e.Operation] = true
	}
	page, vague := false, false // what else it held, or whatever else, is said to be lost
	for _, l := range m.Lost {
		vague = vague || l.vague()
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
		t.Error("it has the id of the feed that it no longer is")
	}
	for id, w := range want.ops {
		o, ok := got.ops[id]
		switch {
		case !ok && !named[id] && (told[id] && !w.Phase.Ended() || !page):
			t.Errorf("operation %s (%s) is gone, and is not named", id, w.Phase)
		case !ok:
			lost++
		case doubtful[id]:
			if w.Phase.Ended() && o.Active() || o.Active() && o.Sent == store.SentNo {
				t.Errorf("operation %s was %s, and is %s, sent %s", id, w.Phase, o.Phase, o.Sent)
			}
		case vague && (!o.Active() || o.Sent != store.SentNo): // it may be an old record
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
		// A number that nothing is left of may tell of something else now.
		if e, ok := have[w.Seq]; e != w && !events[w.Seq] && !(page && (!ok || doubtful[e.Operation])) {
			t.Errorf("event %d is %+v, want %+v, and is not named", w.Seq, e, w)
		}
	}
	return lost
}

func few(all []Loss) []Loss { return all[:min(3, len(all))] }

// TestRepairLeavesAlone: what is no database of this version is refused, and not
// a byte of it is changed.
func TestRepairLeavesAlone(t *testing.T) {
	t.Parallel()
	data, _ := sample(t, 30)
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want error
	}{
		"an empty file": {func(t *testing.T, path string) { writeAll(t, path, nil) }, ErrForeign},
		"a text":        {func(t *testing.T, path string) { writeAll(t, path, bytes.Repeat([]byte("hello "), 5000)) }, ErrForeign},
		"a newer schema": {func(t *testing.T, path string) {
			writeAll(t, path, data)
			setSchema(t, path, schema+1)
		}, ErrNewer},
		"a newer schema, damaged": {func(t *testing.T, path string) {
			writeAll(t, path, data)
			setSchema(t, path, schema+1)
			d, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			id := freelistOf(t, d)
			clear(d[int(id)*os.Getpagesize() : int(id+1)*os.Getpagesize()])
			writeAll(t, path, d)
		}, ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			c.make(t, path)
			before, _ := os.ReadFile(path)
			if r, err := Repair(t.Context(), path, RepairConfig{}); !errors.Is(err, c.want) {
				t.Errorf("%+v, %v, want %v", r, err, c.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was altered")
			}
			if left, _ := filepath.Glob(path + ".*"); len(left) > 0 && left[0] != path+lockSuffix {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	t.Run("one that is open", func(t *testing.T) {
		t.Parallel()
		path := writeTemp(t, data)
		openTest(t, path, Config{noSync: true})
		if _, err := Repair(t.Context(), path, RepairConfig{LockTimeout: -1}); !errors.Is(err, ErrLocked) {
			t.Errorf("Repair: %v, want ErrLocked", err)
		}
		if _, err := Verify(t.Context(), path, VerifyConfig{LockTimeout: -1}); !errors.Is(err, ErrLocked) {
			t.Errorf("Verify: %v, want ErrLocked", err)
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		path := testPath(t)
		if _, err := Repair(t.Context(), path, RepairConfig{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Repair: %v", err)
		}
		if _, err := Verify(t.Context(), path, VerifyConfig{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Verify: %v", err)
		}
		if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
			t.Errorf("made: %v", left)
		}
	})
}

func writeAll(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRepairRecords mends what no page shows: records that are not as they were
// written, and rows that lead elsewhere.
func TestRepairRecords(t *testing.T) {
	t.Parallel()
	data, want := sample(t, 100)
	var some store.Operation // with a token of its own, and active
	for _, e := range want.events {
		if o := want.ops[e.Operation]; o.ClientToken != string(o.ID) && o.Active() {
			some = o
		}
	}
	key, _ := parseID(some.ID)
	last := want.events[len(want.events)-1].Seq
	for _, c := range []struct {
		name string
		do   func(b buckets) error
		lost []Loss // without their details
		old  bool   // old pages hold what was there before
	}{
		{"a row of a token", func(b buckets) error { return rotRow(b.tokens, []byte(some.ClientToken)) }, nil, false},
		{"a missing token", func(b buckets) error { return b.tokens.Delete([]byte(some.ClientToken)) }, nil, false},
		{"an operation", func(b buckets) error { return rotRow(b.ops, key[:]) }, []Loss{{Operation: some.ID, Ref: some.Ref}}, false},
		{"a missing operation", func(b buckets) error { return b.ops.Delete(key[:]) }, []Loss{{Operation: some.ID, Ref: some.Ref}, {}}, false},
		{"an event", func(b buckets) error { return rotRow(b.events, seqKey(last-7)) }, []Loss{{First: last - 7, Last: last - 7}}, false},
		{"the last event", func(b buckets) error { return rotRow(b.events, seqKey(last)) }, []Loss{{First: last, Last: last}}, false},
		{"missing events", func(b buckets) error {
			return errors.Join(b.events.Delete(seqKey(last-7)), b.events.Delete(seqKey(last-6)))
		}, []Loss{{First: last - 7, Last: last - 6}}, false},
		{"a lane", func(b buckets) error { return rotRow(b.lanes, []byte("lab")) }, []Loss{{Lane: "lab"}}, false},
		{"an event that an old page has", func(b buckets) error { return rotRow(b.events, seqKey(last-7)) }, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path, method := writeTemp(t, data), Rebuild
			spoil(t, path, c.do)
			if c.old {
				method = Salvage
			} else {
				spoil(t, path, func(buckets) error { return nil }) // no step back leads to before it
				d, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				writeAll(t, path, scrub(t, d))
			}
			r, err := Repair(t.Context(), path, RepairConfig{})
			if err != nil || r.Method != method || len(r.Was.Problems) == 0 || r.Mended.Forked != (c.lost != nil) {
				t.Fatalf("by %q, of %v, %+v, %v", r.Method, r.Was.Problems, r.Mended, err)
			}
			got := append([]Loss(nil), r.Mended.Lost...)
			for i := range got {
				got[i].Detail = ""
			}
			if !reflect.DeepEqual(got, c.lost) {
				t.Errorf("lost %v, want %v", r.Mended.Lost, c.lost)
			}
			s := openTest(t, path, Config{noSync: true})
			now, err := contentOf(t, s)
			if err != nil {
				t.Fatal(err)
			}
			clean(t, s)
			if c.lost == nil {
				if d := now.differs(want); d != "" {
					t.Error(d)
				}
				return
			}
			judgeRepaired(t, want, now, r.Mended, 1)
			for _, l := range c.lost {
				for seq := l.First; seq != 0 && seq <= l.Last; seq++ {
					e := now.events[seq-now.events[0].Seq]
					if e.Seq != seq || e.Reason != store.Rotten || e.Operation != "" {
						t.Errorf("the place of event %d is held by %+v", seq, e)
					}
				}
			}
		})
	}
}

// scrub is an image without what old pages held.
func scrub(t testing.TB, data []byte) []byte {
	t.Helper()
	data = bytes.Clone(data)
	metas, _, err := readMetas(bytes.NewReader(data))
	if err != nil || len(metas) != 2 {
		t.Fatal(err)
	}
	img := snapshot{data: data, pageSize: int(metas[0].pageSize)}
	for id, free := range findInUse(img, metas[0]).free {
		if free && id != int(metas[0].freelist) && id >= 2 {
			clear(data[id*img.pageSize : (id+1)*img.pageSize])
		}
	}
	return data
}

func rotRow(b *bbolt.Bucket, key []byte) error {
	v := append([]byte(nil), b.Get(key)...)
	v[len(v)/2] ^= 4
	return b.Put(key, v)
}

// TestRepairByAnother: every reading of a damaged page is a job that can be done
// elsewhere, and one that dies there is only one that failed.
func TestRepairByAnother(t *testing.T) {
	t.Parallel()
	data, _ := sample(t, 50)
	clear(data[:os.Getpagesize()])
	path := writeTemp(t, data)
	dies := errors.New("the process died of it")
	var jobs []Job
	do := func(ctx context.Context, j Job) (Done, error) {
		jobs = append(jobs, j)
		if j.Method == StepBack {
			return Done{}, dies
		}
		return j.Do(ctx, nil)
	}
	r, err := Repair(t.Context(), path, RepairConfig{Do: do})
	if err != nil || r.Method != Salvage || len(r.Failed) != 2 || !strings.Contains(r.Failed[1], dies.Error()) || r.Original == "" {
		t.Errorf("%+v, %v", r, err)
	}
	if len(jobs) != 4 || jobs[0].Method != "" || jobs[3].Path != path {
		t.Errorf("jobs: %+v", jobs)
	}
	if _, err := Verify(t.Context(), path, VerifyConfig{Do: func(context.Context, Job) (Done, error) { return Done{}, dies }}); !errors.Is(err, dies) {
		t.Errorf("Verify: %v", err)
	}
}
