package bolt

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// TestCorruptRecords checks that a damaged value is quarantined and named, and that the rest
// works.
func TestCorruptRecords(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	var ops []store.Operation
	for i := range 5 {
		ops = append(ops, put(t, s, numbered(i)))
	}
	head, _ := s.Head(t.Context())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	key, _ := format.ParseID(ops[2].ID)
	flipBit(t, path, format.BucketOperations, key[:])
	flipBit(t, path, format.BucketEvents, format.SeqKey(4))

	for range 2 { // the damage is there at every opening
		s = openTest(t, path, Config{noSync: true})
		stats, err := s.Stats(t.Context())
		if err != nil || stats.Quarantined != 2 || stats.Operations[fsm.PhaseQueued] != 4 {
			t.Errorf("stats %+v, %v, want 2 in quarantine and 4 queued", stats, err)
		}
		_, err = s.Operation(t.Context(), ops[2].ID)
		var ce *format.CorruptError
		if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &ce) || ce.Bucket != format.BucketOperations || ce.Key != string(ops[2].ID) || ce.Path != path {
			t.Errorf("the corrupt operation: %v", err)
		}
		if _, err := s.ByToken(t.Context(), ops[2].ClientToken); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("by its token: %v", err)
		}
		again := testOp("elsewhere")
		again.ClientToken = ops[2].ClientToken
		rs, err := s.Enqueue(t.Context(), []store.Operation{again, ops[1]})
		if err != nil || !errors.Is(rs[0].Err, store.ErrCorrupt) || rs[1].Err != nil {
			t.Errorf("enqueued by its token, and another: %+v, %v", rs, err)
		}
		c, err := own(t, s).Claim(t.Context(), store.ClaimRequest{Now: testTime(), Lanes: []store.LaneSlots{{Lane: "s", Sends: 99}}})
		if err != nil || len(c.Operations) != 4 {
			t.Errorf("claimed %d, %v, want the 4 others", len(c.Operations), err)
		}
		all, err := listed(t.Context(), s)
		if err != nil || len(all) != 4 {
			t.Errorf("listed %d, %v", len(all), err)
		}
		events, err := s.Events(t.Context(), "", 99)
		if err != nil || len(events) != 5 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		for i, ev := range events {
			if corrupt := ev.Reason == store.ReasonCorrupt; ev.Seq != uint64(i+1) || corrupt != (i == 3) {
				t.Errorf("event %d: %+v", i+1, ev)
			}
			rest, err := s.Events(t.Context(), ev.Cursor, 99)
			if err != nil || len(rest) != 4-i {
				t.Errorf("after event %d: %d, %v", i+1, len(rest), err)
			}
		}
		if now, _ := s.Head(t.Context()); now != head {
			t.Errorf("head %q, want %q", now, head)
		}
		r, err := s.Check(t.Context())
		if err != nil || len(r.Problems) != 2 || r.Problems[0].Key != string(ops[2].ID) || r.Problems[1].Key != "4" {
			t.Errorf("Check: %v, %v", r.Problems, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	asides := 0
	edit(t, path, func(b *format.Writer) error {
		return b.Qu.ForEach(func(_, _ []byte) error { asides++; return nil })
	})
	if asides != 2 {
		t.Errorf("%d records in the quarantine, want 2", asides)
	}
}

// TestCorruptWhileOpen damages a record of an open store. A claim finds the damage and
// claims the other operations.
func TestCorruptWhileOpen(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	bad := put(t, s, "bad")
	put(t, s, "good")
	key, _ := format.ParseID(bad.ID)
	err := s.commit(t.Context(), 1, func(b *batch) error { return b.Ops.Put(key[:], []byte("corrupt")) })
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0} {
		c, err := own(t, s).Claim(t.Context(), store.ClaimRequest{Now: testTime(), Lanes: []store.LaneSlots{{Lane: "s", Sends: 9}}})
		if err != nil || len(c.Operations) != want || !c.Lanes[0].Send.IsZero() {
			t.Errorf("claim %d: %+v, %v, want %d", i, c, err, want)
		}
	}
	if stats, err := s.Stats(t.Context()); err != nil || stats.Quarantined != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
	errs, err := s.Apply(t.Context(), []store.Change{{Operation: bad}})
	if err != nil || !errors.Is(errs[0], store.ErrCorrupt) {
		t.Errorf("a change of it: %v, %v", errs, err)
	}
}

// TestOtherEvents checks records of the feed that are no events of this version. A whole
// record keeps its place in the feed, as a damaged one does. A missing record is damage of
// the feed.
func TestOtherEvents(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	for i := range 6 {
		put(t, s, numbered(i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := func(b *format.Writer, seq uint64, change func(v []byte) []byte) error {
		v, ok := format.Unseal(format.SeqKey(seq), b.Events.Get(format.SeqKey(seq)))
		if !ok {
			return errors.New("the sample is damaged")
		}
		return b.Events.Put(format.SeqKey(seq), format.Seal(format.SeqKey(seq), change(append([]byte(nil), v...))))
	}
	edit(t, path, func(b *format.Writer) error {
		return errors.Join(
			other(b, 1, func(v []byte) []byte { v[0] = format.EventFormat + 1; return v }),
			other(b, 2, func(v []byte) []byte { return v[:format.EventHead-1] }),
			other(b, 3, func(v []byte) []byte { return append(v[:format.EventHead:format.EventHead], 0xa0) }), // an empty map
			b.Events.Delete(format.SeqKey(5)))
	})
	s = openTest(t, path, Config{noSync: true})
	events, err := s.Events(t.Context(), "", 4)
	if err != nil || len(events) != 4 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, ev := range events {
		if corrupt := ev.Reason == store.ReasonCorrupt; ev.Seq != uint64(i+1) || corrupt != (i < 3) {
			t.Errorf("event %d: %+v", i+1, ev)
		}
	}
	var ce *format.CorruptError
	if _, err := s.Events(t.Context(), events[3].Cursor, 4); !errors.As(err, &ce) || ce.Key != "5" || ce.Path != path {
		t.Errorf("after a gap: %v, want that event 5 is missing", err)
	}
}

// TestCheckFinds plants damage that no checksum detects.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(b *format.Writer, ops []store.Operation) error
		want string
	}{
		{"a missing event", func(b *format.Writer, _ []store.Operation) error { return b.Events.Delete(format.SeqKey(2)) }, "missing"},
		{"an event of another feed", func(b *format.Writer, _ []store.Operation) error {
			text, err := format.EventText(3, b.Events.Get(format.SeqKey(3)))
			if err != nil {
				return err
			}
			return b.Events.Put(format.SeqKey(3), format.SealEvent(3, format.Link{1}, append([]byte(nil), text...)))
		}, "does not follow event 2"},
		{"a value at another's key", func(b *format.Writer, ops []store.Operation) error {
			from, _ := format.ParseID(ops[0].ID)
			to, _ := format.ParseID(ops[1].ID)
			return b.Ops.Put(to[:], append([]byte(nil), b.Ops.Get(from[:])...))
		}, "checksum"},
		{"two active operations of a session", func(b *format.Writer, ops []store.Operation) error {
			o := ops[1]
			o.Ref = ops[0].Ref
			key, _ := format.ParseID(o.ID)
			_, record, err := format.EncodeOperation(key, &o)
			if err != nil {
				return err
			}
			return b.Ops.Put(key[:], record)
		}, "second active"},
		{"a token that points to nothing", func(b *format.Writer, _ []store.Operation) error {
			id := make([]byte, 16)
			return b.Tokens.Put([]byte("t"), format.Seal([]byte("t"), id))
		}, "no operation"},
		{"a session row that points to an active operation", func(b *format.Writer, ops []store.Operation) error {
			key, _ := format.ParseID(ops[0].ID)
			k := format.SessionKey(ops[0].Ref)
			return b.Ended.Put(k, format.Seal(k, append([]byte(nil), key[:]...)))
		}, "not an ended operation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			s := openTest(t, path, Config{noSync: true})
			var ops []store.Operation
			for i := range 3 {
				ops = append(ops, put(t, s, numbered(i)))
			}
			clean(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			edit(t, path, func(b *format.Writer) error { return c.do(b, ops) })
			s = openTest(t, path, Config{noSync: true})
			r, err := s.Check(t.Context())
			if err != nil || len(r.Problems) == 0 || !strings.Contains(r.Problems[0].Detail, c.want) || r.Problems[0].Bucket == "" || r.Problems[0].Key == "" {
				t.Errorf("%v, %v, want one that says %q", r.Problems, err, c.want)
			}
		})
	}
}

// TestCorruptAndReplaced checks that a new record can replace a damaged one. The note of the
// file then does not count the damaged one.
func TestCorruptAndReplaced(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	changes := func() {
		t.Helper()
		o := put(t, s, "a")
		o.Phase, o.FinishedAt = fsm.PhaseCanceled, testTime()
		errs, err := s.Apply(t.Context(), []store.Change{{Operation: o}})
		if err := errors.Join(append(errs, err, s.SetPaused(t.Context(), "s", true, "mo", testTime()), s.Close())...); err != nil {
			t.Fatal(err)
		}
	}
	changes()
	spoil(t, path, func(b *format.Writer) error {
		for _, b := range []*bbolt.Bucket{b.Ended, b.Lanes} {
			k, v := b.Cursor().Last()
			v = bytes.Clone(v)
			v[len(v)-1] ^= 4 // the byte is part of its weight
			if err := b.Put(k, v); err != nil {
				return err
			}
		}
		return nil
	})
	s = openTest(t, path, Config{noSync: true})
	changes()
	clean(t, openTest(t, path, Config{noSync: true}))
}
