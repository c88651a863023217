package bolt

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// golden is a file of schema 1. Every later version must read it as this test does.
// ROUSE_GOLDEN=write makes it again, which is allowed only while no release has it.
const golden = "testdata/good_schema1.db"

func goldenOps() []store.Operation {
	at := func(n int) time.Time { return testTime().Add(time.Duration(n) * time.Minute) }
	first := store.Operation{
		ID: "019a0000-0000-7000-8000-000000000001", ClientToken: "token-1", Ref: transport.Ref{StudioID: "studio", SessionID: "first"},
		Lane: "lane", Labels: map[string]string{"show": "x"}, RequestedBy: "mo", Source: "api", Reason: "dailies",
		RetryOf: "019a0000-0000-7000-8000-000000000000", Phase: fsm.PhaseQueued, Session: fsm.StateStopped, Sent: store.SentUnknown,
		CancelBy: "jo", CancelAt: at(1), LastError: "no capacity", LastKind: transport.KindCapacity, LastErrorAt: at(2),
		Attempts: 3, Interval: time.Second, NotBefore: at(3), DueAt: at(4), ExpiresAt: at(5), CreatedAt: at(0),
		SentAt: at(6), LastSentAt: at(7), AcceptedAt: at(8), BootDeadline: at(9), StartedSeen: at(10),
	}
	second := store.Operation{
		ID: "019a0000-0000-7000-8000-000000000002", ClientToken: "019a0000-0000-7000-8000-000000000002",
		Ref: transport.Ref{StudioID: "studio", SessionID: "second"}, Lane: "studio", Phase: fsm.PhaseQueued,
		NotBefore: at(0), DueAt: at(0), ExpiresAt: at(60), CreatedAt: at(0),
	}
	return []store.Operation{first, second}
}

func writeGolden(t *testing.T) {
	t.Helper()
	path := testPath(t)
	s := openTest(t, path, Config{})
	rs, err := s.Enqueue(t.Context(), goldenOps())
	if err != nil {
		t.Fatal(err)
	}
	o := rs[1].Operation
	o.Phase, o.EndReason, o.FinishedAt = fsm.PhaseFailed, store.ReasonTimeout, testTime()
	ev := store.Event{Operation: o.ID, Ref: o.Ref, From: fsm.PhaseQueued, To: fsm.PhaseFailed, Session: fsm.StateReady, Reason: store.ReasonTimeout, By: "mo", At: testTime()}
	if _, err := s.Apply(t.Context(), []store.Change{{Operation: o, Events: []store.Event{ev}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPaused(t.Context(), "lane", true, "mo", testTime()); err != nil {
		t.Fatal(err)
	}
	if err := s.SetRetryAfter(t.Context(), "lane", testTime(), testTime()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(golden, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	if os.Getenv("ROUSE_GOLDEN") == "write" {
		writeGolden(t)
	}
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, path, Config{noSync: true})
	want := goldenOps()
	want[0].Version = 1
	want[1].Version, want[1].Phase, want[1].EndReason, want[1].FinishedAt = 2, fsm.PhaseFailed, store.ReasonTimeout, testTime()
	for _, w := range want {
		if o, err := s.ByToken(t.Context(), w.ClientToken); err != nil || !reflect.DeepEqual(o, w) {
			t.Errorf("%+v, %v, want %+v", o, err, w)
		}
		if o, err := s.BySession(t.Context(), w.Ref); err != nil || o.ID != w.ID {
			t.Errorf("session %s: %+v, %v", w.Ref, o, err)
		}
	}
	events, err := s.Events(t.Context(), "", 9)
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	last := store.Event{
		Seq: 3, Cursor: events[2].Cursor, Operation: want[1].ID, Ref: want[1].Ref, From: fsm.PhaseQueued, To: fsm.PhaseFailed,
		Session: fsm.StateReady, Reason: store.ReasonTimeout, By: "mo", At: testTime(),
	}
	if events[2] != last {
		t.Errorf("event %+v, want %+v", events[2], last)
	}
	lanes, err := s.Lanes(t.Context())
	lane := store.Lane{Name: "lane", Paused: true, PausedBy: "mo", PausedAt: testTime(), RetryAfter: testTime(), RetryAfterHeard: testTime()}
	if err != nil || len(lanes) != 1 || lanes[0] != lane {
		t.Errorf("lanes %+v, %v", lanes, err)
	}
	clean(t, s)
}
