package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/transport"
)

// content is everything that a store returns through its port.
type content struct {
	id       string
	ops      map[store.ID]store.Operation
	byToken  map[string]store.ID
	sessions map[transport.Ref]store.ID // the active, else the latest
	events   []store.Event
	lanes    []store.Lane
	records  []store.Record // of kind clock
}

// contentOf reads a store. Of a damaged store it also returns the first error.
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
		if o.Later != nil {
			by, err = s.ByToken(t.Context(), string(o.Later.ID))
			keep(err)
			c.byToken[string(o.Later.ID)] = by.ID
		}
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
	c.records, err = s.Records(t.Context(), "clock")
	keep(err)
	return c, first
}

// differs names the first difference between two stores, or "" if there is none.
func (c content) differs(from content) string {
	for id, o := range from.ops {
		if !reflect.DeepEqual(c.ops[id], o) {
			return fmt.Sprintf("operation %s is %+v, want %+v", id, c.ops[id], o)
		}
	}
	for id := range c.ops {
		if _, ok := from.ops[id]; !ok {
			return fmt.Sprintf("operation %s is there and should not be", id)
		}
	}
	switch {
	case c.id != from.id:
		return "the store's id"
	case !reflect.DeepEqual(c.events, from.events):
		return fmt.Sprintf("the feed: %d events, want %d", len(c.events), len(from.events))
	case !reflect.DeepEqual(c.byToken, from.byToken):
		return "the operations by token"
	case !reflect.DeepEqual(c.sessions, from.sessions):
		return "the operations by session"
	case !reflect.DeepEqual(c.lanes, from.lanes):
		return "the lanes"
	case !reflect.DeepEqual(c.records, from.records):
		return "the small records"
	}
	return ""
}

// sample makes a store of n operations in all states, in many commits, with a pruned feed.
// It returns the bytes of its file and its content.
func sample(t testing.TB, n int) ([]byte, content) {
	t.Helper()
	images, want := history(t, n)
	return images[len(images)-1], want
}

// history is sample that also returns the file after earlier commits, the oldest first.
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
	if err := s.PutRecord(t.Context(), store.Record{Kind: "clock", Value: []byte("a small record")}); err != nil {
		t.Fatal(err)
	}
	for first := 0; first < n; first += 7 {
		var ops []store.Operation
		for i := first; i < min(first+7, n); i++ {
			o := testOp(numbered(i))
			o.ID = store.ID(fmt.Sprintf("019a0000-%04x-7000-8000-000000000000", i)) // so that a seed repeats a test run
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
			if i%2 == 0 { // a send has no event
				o.Sent, o.SentAt, o.Attempts = store.SentUnknown, o.CreatedAt, 1
			}
			var events []store.Event
			if i%3 > 0 {
				from := o.Phase
				o.Phase = fsm.PhaseStarting
				if i%3 == 2 {
					o.Phase, o.EndReason, o.FinishedAt = fsm.PhaseFailed, store.ReasonTimeout, o.CreatedAt.Add(time.Minute)
				}
				events = append(events, store.Event{Operation: o.ID, Ref: o.Ref, From: from, To: o.Phase, Reason: o.EndReason, At: o.CreatedAt.Add(time.Minute)})
			}
			changes = append(changes, store.Change{Operation: o, Events: events})
		}
		if _, err := s.Apply(t.Context(), changes); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(rs); i += 6 { // one keeps its later request, one ends and the later request follows it
			requestAgain(t, s, rs[i].Operation, store.ID(fmt.Sprintf("019a0000-%04x-7000-8000-000000000001", first+i)), i > 0)
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
	if _, err := s.Prune(t.Context(), store.Retention{EndedSince: testTime().Add(2 * time.Minute), Events: n}); err != nil {
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

// requestAgain makes a later request for an operation that was sent. With becomes, the later
// request becomes an operation.
func requestAgain(t testing.TB, s *Store, o store.Operation, id store.ID, becomes bool) {
	t.Helper()
	again := testOp(o.Ref.SessionID)
	again.ID, again.ClientToken, again.Ref, again.CreatedAt, again.RequestedBy = id, string(id), o.Ref, o.CreatedAt.Add(time.Second), "jo"
	rs, err := s.Enqueue(t.Context(), []store.Operation{again})
	if err != nil || rs[0].ID != id || !rs[0].Operation.Later.Pending() {
		t.Fatalf("requested again: %+v, %v, want a later request", rs, err)
	}
	if !becomes {
		return
	}
	o = rs[0].Operation
	w, at, from := o.Later, o.CreatedAt.Add(2*time.Minute), o.Phase
	o.Phase, o.EndReason, o.FinishedAt, o.Later = fsm.PhaseFailed, store.ReasonReturnedToStopped, at, w.Done()
	errs, err := s.Apply(t.Context(), []store.Change{{Operation: o, Next: w.Operation(&o, o.Lane, at), Events: []store.Event{
		{Operation: o.ID, Ref: o.Ref, From: from, To: o.Phase, Reason: o.EndReason, At: at},
	}}})
	if err = errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
}

// pagesOf returns the pages of a kind that an image uses, in its newest state and in the one
// before.
func pagesOf(t testing.TB, data []byte, kind uint16) []uint64 {
	t.Helper()
	metas, _, err := format.ReadMetas(bytes.NewReader(data))
	if err != nil || len(metas) != 2 {
		t.Fatalf("%d first pages, %v", len(metas), err)
	}
	img := format.Image{Data: data, PageSize: int(metas[0].PageSize)}
	now, before := format.FindInUse(img, metas[0]), format.FindInUse(img, metas[1])
	if now.Broken || now.Free == nil {
		t.Fatal("the sample is not whole")
	}
	var out []uint64
	for id, ok := range now.Reached {
		if _, flags, _, _ := img.Header(uint64(id)); ok && before.Reached[id] && flags == kind {
			out = append(out, uint64(id))
		}
	}
	return out
}

// freelistOf returns the page with an image's list of free pages.
func freelistOf(t testing.TB, data []byte) uint64 {
	t.Helper()
	metas, _, err := format.ReadMetas(bytes.NewReader(data))
	if err != nil || len(metas) == 0 {
		t.Fatalf("%d first pages, %v", len(metas), err)
	}
	return metas[0].Freelist
}

func writeTemp(t testing.TB, data []byte) string {
	t.Helper()
	path := testPath(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeAll(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
