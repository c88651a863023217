package bolt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	bbolt "go.etcd.io/bbolt"
)

// In addition to the first golden file, which does not store what it holds:
//
//   - good_schema1_all.db has every kind of record and of row, a pruned feed, a
//     record that was set aside, and says what it holds;
//   - good_schema1_backup.db is a backup of it;
//   - good_schema1_records.db has the times since boot, and small records;
//   - good_schema1_more.db has the fields that were added since those were written;
//   - fail_….db are files that must be refused.
//
// ROUSE_GOLDEN=write makes them again, as it does the first; ROUSE_GOLDEN=more
// writes good_schema1_more.db alone, and ROUSE_GOLDEN=records
// good_schema1_records.db.
const (
	goldenAll     = "testdata/good_schema1_all.db"
	goldenBackup  = "testdata/good_schema1_backup.db"
	goldenMore    = "testdata/good_schema1_more.db"
	goldenRecords = "testdata/good_schema1_records.db"
	goldenMachine = "golden"
)

// goldenAllOps returns the operations of goldenAll, as they are read.
func goldenAllOps() []store.Operation {
	ops := goldenOps()
	ops[0].SentProviderTime = testTime().Add(11 * time.Minute)
	ops[0].Version = 1
	ops[1].Version, ops[1].Phase, ops[1].EndReason, ops[1].FinishedAt = 2, fsm.PhaseFailed, store.ReasonTimeout, testTime()
	return ops
}

func writeGoldenAll(t *testing.T) {
	t.Helper()
	path := testPath(t)
	s := openTest(t, path, Config{Machine: goldenMachine})
	ops := goldenAllOps()
	old := testOp("pruned")
	old.ID, old.ClientToken = "019a0000-0000-7000-8000-000000000000", "token-0"
	second := goldenOps()[1]
	if _, err := s.Enqueue(t.Context(), []store.Operation{old, ops[0], second}); err != nil {
		t.Fatal(err)
	}
	for _, o := range []store.Operation{old, second} {
		o.Version, o.Phase, o.EndReason, o.FinishedAt = 1, fsm.PhaseFailed, store.ReasonTimeout, testTime()
		if o.ID == old.ID {
			o.FinishedAt = testTime().Add(-time.Hour)
		}
		ev := store.Event{Operation: o.ID, Ref: o.Ref, From: fsm.PhaseQueued, To: fsm.PhaseFailed, Session: fsm.StateReady, Reason: store.ReasonTimeout, By: "mo", At: testTime()}
		if _, err := s.Apply(t.Context(), []store.Change{{Operation: o, Events: []store.Event{ev}}}); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(
		s.SetPaused(t.Context(), "lane", true, "mo", testTime()),
		s.SetRetryAfter(t.Context(), "lane", testTime(), testTime()),
	)
	if _, perr := s.Prune(t.Context(), store.Retention{EndedSince: testTime().Add(-time.Minute), Events: 3}); err != nil || perr != nil {
		t.Fatal(err, perr)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(b *format.Writer) error {
		m := thisMachine(goldenMachine)
		m.Host = "workstation"
		b.PutMeta(format.MetaMachine, format.Encoded(m))
		return b.Qu.Put([]byte(format.BucketOperations+"\x00key"), []byte("as it was found"))
	})
	keepGolden(t, path, goldenAll)
	s = openTest(t, path, Config{Machine: goldenMachine})
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	keepGolden(t, copied, goldenBackup)
	writeFailing(t)
}

// keepGolden writes a file without the content of its free pages.
func keepGolden(t *testing.T, path, to string) {
	t.Helper()
	from, err := format.OpenBolt(path, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(to)
	db, err := format.OpenBolt(to, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(bbolt.Compact(db, from, 0), format.Inside(to, db, true, nothing), db.Close(), from.Close())
	if err != nil {
		t.Fatal(err)
	}
}

// goldenAdded returns an operation, an event and a lane with every field that was added
// after goldenAll was written.
func goldenAdded() (store.Operation, store.Event, store.Lane) {
	at := func(n int) time.Time { return testTime().Add(time.Duration(n) * time.Minute) }
	o := goldenOps()[0]
	o.Version = 1
	o.StatusCode, o.StatusMessage, o.StatusAt = "running", "running, but port 22 does not answer", at(11)
	o.Probe = transport.ProbeResult{Target: "port 22 (ssh) of 10.0.0.5", OK: true, Message: "connection refused", At: at(12)}
	o.ErrorSince, o.Shortages = at(13), 2
	o.Later = &store.LaterRequest{
		ID: "019a0000-0000-7000-8000-000000000003", At: at(17), AtUp: store.Uptime{Boot: 3, At: time.Minute}, Labels: map[string]string{"show": "y"}, RequestedBy: "al",
		Source: "cli", Reason: "again", NotBefore: at(18), ExpiresAt: at(19),
	}
	ev := store.Event{
		Operation: o.ID, Ref: o.Ref, From: o.Phase, To: o.Phase, Reason: store.ReasonNoCapacity, At: at(14), Error: "no capacity",
	}
	l := store.Lane{Name: "lane", Block: store.Block{
		Reason: "offline", Since: at(15), Error: "no route to host", Kind: transport.KindUnreachable, At: at(16),
	}}
	return o, ev, l
}

func writeGoldenMore(t *testing.T) {
	t.Helper()
	path := testPath(t)
	s := openTest(t, path, Config{Machine: goldenMachine})
	o, ev, l := goldenAdded()
	o.Version = 0
	_, err := s.Enqueue(t.Context(), []store.Operation{o})
	o.Version = 1
	_, aerr := s.Apply(t.Context(), []store.Change{{Operation: o, Events: []store.Event{ev}}})
	if err = errors.Join(err, aerr, s.SetBlock(t.Context(), l.Name, l.Block), s.Close()); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(b *format.Writer) error { // the name of the writing machine must not be in it
		m := thisMachine(goldenMachine)
		m.Host = "workstation"
		b.PutMeta(format.MetaMachine, format.Encoded(m))
		return nil
	})
	keepGolden(t, path, goldenMore)
}

// goldenRecord returns an operation with times since boot, and a small record.
func goldenRecord() (store.Operation, store.Record) {
	o := goldenOps()[0]
	o.Version = 1
	o.CreatedUp, o.SentUp = store.Uptime{Boot: 7, At: time.Hour}, store.Uptime{Boot: 1<<32 - 1, At: 80 * 24 * time.Hour}
	return o, store.Record{Kind: "clock", Name: "name", Value: []byte("value")}
}

func TestGoldenRecords(t *testing.T) {
	want, record := goldenRecord()
	if os.Getenv("ROUSE_GOLDEN") == "records" {
		path := testPath(t)
		s := openTest(t, path, Config{Machine: goldenMachine})
		o := want
		o.Version = 0
		_, err := s.Enqueue(t.Context(), []store.Operation{o})
		if err = errors.Join(err, s.PutRecord(t.Context(), record), s.Close()); err != nil {
			t.Fatal(err)
		}
		edit(t, path, func(b *format.Writer) error { // the name of the writing machine must not be in it
			m := thisMachine(goldenMachine)
			m.Host = "workstation"
			b.PutMeta(format.MetaMachine, format.Encoded(m))
			return nil
		})
		keepGolden(t, path, goldenRecords)
	}
	s := openTest(t, goldenCopy(t, goldenRecords), Config{noSync: true, Machine: goldenMachine})
	if o, err := s.Operation(t.Context(), want.ID); err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, %v, want %+v", o, err, want)
	}
	if r, err := s.Records(t.Context(), record.Kind); err != nil || len(r) != 1 || !reflect.DeepEqual(r[0], record) {
		t.Errorf("records %+v, %v, want %+v", r, err, record)
	}
	clean(t, s)
}

func TestGoldenMore(t *testing.T) {
	if os.Getenv("ROUSE_GOLDEN") == "more" {
		writeGoldenMore(t)
	}
	s := openTest(t, goldenCopy(t, goldenMore), Config{noSync: true, Machine: goldenMachine})
	want, event, lane := goldenAdded()
	want.Version = 2
	if o, err := s.Operation(t.Context(), want.ID); err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, %v, want %+v", o, err, want)
	}
	if o, err := s.Operation(t.Context(), want.Later.ID); err != nil || o.ID != want.ID {
		t.Errorf("the later request's id leads to %+v, %v", o, err)
	}
	events, err := s.Events(t.Context(), "", 9)
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	event.Seq, event.Cursor = 2, events[1].Cursor
	if events[1] != event {
		t.Errorf("event %+v, want %+v", events[1], event)
	}
	if l, err := s.Lane(t.Context(), lane.Name); err != nil || l != lane {
		t.Errorf("lane %+v, %v, want %+v", l, err, lane)
	}
	clean(t, s)
}

// failing are the golden files that are not sound.
var failing = []struct {
	name     string
	make     func(t *testing.T, path string)
	open     error // nil: a record is quarantined, and the rest is read
	repaired error // of Repair
}{
	{"fail_newer_schema.db", func(t *testing.T, path string) { setSchema(t, path, 99) }, format.ErrNewer, format.ErrNewer},
	{"fail_cut_short.db", func(t *testing.T, path string) {
		if err := os.Truncate(path, 3*4096); err != nil {
			t.Fatal(err)
		}
	}, store.ErrCorrupt, nil},
	{"fail_first_page.db", func(t *testing.T, path string) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[format.PageHeader+20] ^= 1
		writeAll(t, path, data)
	}, store.ErrCorrupt, nil},
	{"fail_rotten_record.db", func(t *testing.T, path string) {
		key, _ := format.ParseID(goldenOps()[0].ID)
		flipBit(t, path, format.BucketOperations, key[:])
	}, nil, nil},
	{"fail_old_record.db", func(t *testing.T, path string) {
		key, _ := format.ParseID(goldenOps()[0].ID)
		spoil(t, path, func(b *format.Writer) error { // a page with the content of before, as on a disk that lost it
			o := goldenOps()[0]
			o.Sent = store.SentNo
			_, record, err := format.EncodeOperation(key, &o)
			return errors.Join(err, b.Ops.Put(key[:], record))
		})
	}, store.ErrCorrupt, nil},
	{"fail_foreign.db", func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		db, err := bbolt.Open(path, 0o600, nil)
		if err == nil {
			err = errors.Join(db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket([]byte("theirs"))
				return errors.Join(err, b.Put([]byte("k"), []byte("v")))
			}), db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}, disk.ErrForeign, disk.ErrForeign},
}

func writeFailing(t *testing.T) {
	t.Helper()
	for _, f := range failing {
		data, err := os.ReadFile(goldenAll)
		if err != nil {
			t.Fatal(err)
		}
		path := writeTemp(t, data)
		f.make(t, path)
		if data, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		writeAll(t, filepath.Join("testdata", f.name), data)
	}
}

func goldenCopy(t *testing.T, name string) string {
	t.Helper()
	if os.Getpagesize() != 4096 {
		t.Skip("the golden files have pages of 4096 bytes")
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return writeTemp(t, data)
}

func TestGoldenAll(t *testing.T) {
	if os.Getenv("ROUSE_GOLDEN") == "write" {
		writeGoldenAll(t)
	}
	path := goldenCopy(t, goldenAll)
	if r, err := repair.Check(t.Context(), path, repair.CheckConfig{}); err != nil || len(r.Problems) > 0 || r.Operations != 2 || r.Events != 3 || r.Tokens != 1 || r.Lanes != 1 {
		t.Errorf("Verify: %+v, %v", r, err)
	}
	s := openTest(t, path, Config{noSync: true, Machine: goldenMachine})
	want := goldenAllOps()
	got, err := contentOf(t, s)
	if err != nil || len(got.ops) != len(want) {
		t.Fatalf("%d operations, %v", len(got.ops), err)
	}
	for _, w := range want {
		if o := got.ops[w.ID]; !reflect.DeepEqual(o, w) || got.byToken[w.ClientToken] != w.ID || got.sessions[w.Ref] != w.ID {
			t.Errorf("%+v, want %+v", o, w)
		}
	}
	// Each field of an operation is set in one of the golden files. So must be a new field.
	more, _, _ := goldenAdded()
	up, _ := goldenRecord()
	for i := range reflect.TypeFor[store.Operation]().NumField() {
		if !slices.ContainsFunc(append(want, more, up), func(o store.Operation) bool { return !reflect.ValueOf(o).Field(i).IsZero() }) {
			t.Errorf("no operation of a golden file has a %s", reflect.TypeFor[store.Operation]().Field(i).Name)
		}
	}
	stats, err := s.Stats(t.Context())
	if err != nil || stats.First != 3 || stats.Head != 5 || stats.Foreign != nil {
		t.Errorf("stats %+v, %v", stats, err)
	}
	last := store.Event{
		Seq: 5, Cursor: got.events[2].Cursor, Operation: want[1].ID, Ref: want[1].Ref, From: fsm.PhaseQueued, To: fsm.PhaseFailed,
		Session: fsm.StateReady, Reason: store.ReasonTimeout, By: "mo", At: testTime(),
	}
	if got.events[2] != last {
		t.Errorf("event %+v, want %+v", got.events[2], last)
	}
	lane := store.Lane{Name: "lane", Paused: true, PausedBy: "mo", PausedAt: testTime(), RetryAfter: testTime(), RetryAfterHeard: testTime()}
	if len(got.lanes) != 1 || got.lanes[0] != lane {
		t.Errorf("lanes %+v", got.lanes)
	}
	if _, err := s.ByToken(t.Context(), "token-0"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the token of what was pruned: %v", err)
	}
	clean(t, s)
	put(t, s, "one more")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(b *format.Writer) error {
		if v := b.Qu.Get([]byte(format.BucketOperations + "\x00key")); string(v) != "as it was found" {
			t.Errorf("quarantined: %q", v)
		}
		return nil
	})
	s = openTest(t, path, Config{noSync: true, Machine: "another"})
	if stats, err := s.Stats(t.Context()); err != nil || stats.Foreign == nil || stats.Foreign.Home != "workstation" {
		t.Errorf("on another machine: %+v, %v", stats.Foreign, err)
	}
}

// TestGoldenBackup checks that a backup takes an id of its own, and that its active
// operations count as outcome unknown.
func TestGoldenBackup(t *testing.T) {
	all := openTest(t, goldenCopy(t, goldenAll), Config{noSync: true, Machine: goldenMachine})
	s := openTest(t, goldenCopy(t, goldenBackup), Config{noSync: true, Machine: goldenMachine})
	was, err := contentOf(t, all)
	is, err2 := contentOf(t, s)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if is.id == was.id || len(is.ops) != 2 || len(is.events) != 3 {
		t.Errorf("%s with %d operations, %d events", is.id, len(is.ops), len(is.events))
	}
	for _, o := range is.ops {
		if o.Active() && o.Sent == store.SentNo {
			t.Errorf("%+v counts as never sent", o)
		}
	}
	clean(t, s)
}

// TestGoldenFailures checks that Open refuses each file and leaves it unchanged, or
// quarantines the damage. Check reports each file, and Repair makes those sound that are
// this package's.
func TestGoldenFailures(t *testing.T) {
	for _, f := range failing {
		t.Run(f.name, func(t *testing.T) {
			path := goldenCopy(t, filepath.Join("testdata", f.name))
			before, _ := os.ReadFile(path)
			r, verr := repair.Check(t.Context(), path, repair.CheckConfig{})
			if verr == nil && len(r.Problems) == 0 || verr != nil && !errors.Is(verr, f.open) {
				t.Errorf("Verify: %v, %v", r.Problems, verr)
			}
			s, err := Open(path, Config{noSync: true, Machine: goldenMachine})
			if !errors.Is(err, f.open) {
				t.Fatalf("Open: %v, want %v", err, f.open)
			}
			if err == nil {
				if stats, err := s.Stats(t.Context()); err != nil || stats.Quarantined != 1 {
					t.Errorf("stats %+v, %v", stats, err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			} else if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			if r, err := repair.Repair(t.Context(), path, repair.Config{}); !errors.Is(err, f.repaired) || err == nil && len(r.Was.Problems) == 0 {
				t.Fatalf("Repair: %+v, %v, want %v", r, err, f.repaired)
			}
			if f.repaired != nil {
				return
			}
			clean(t, openTest(t, path, Config{noSync: true, Machine: goldenMachine}))
		})
	}
}
