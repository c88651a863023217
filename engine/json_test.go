package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// wireForm shows a full example of each type in JSON. ROUSE_GOLDEN=write writes it:
// read the difference before you commit it.
const wireForm = "testdata/wire.json"

func wireExamples() (explanations []Explanation, sessions []SessionStatus) {
	minute := func(n int) time.Time { return time.Date(2026, 11, 30, 8, n, 0, 0, time.UTC) }
	queued := Operation{
		ID: "019a0000-0000-7000-8000-000000000001", Ref: Ref{StudioID: "lab", SessionID: "ws-1"}, Lane: "lab",
		ClientToken: "019a0000-0000-7000-8000-000000000001", Phase: fsm.PhaseQueued, CreatedAt: minute(0), DueAt: minute(9), ExpiresAt: minute(59),
	}
	refused := queued
	refused.Attempts, refused.LastError, refused.LastKind, refused.LastErrorAt = 2, "capacity", transport.KindCapacity, minute(6)
	failed := refused
	failed.Phase, failed.EndReason, failed.FinishedAt = fsm.PhaseFailed, store.ReasonTimeout, minute(40)
	ready := failed
	ready.Phase, ready.EndReason = fsm.PhaseSucceeded, ""
	ended := func(o Operation) Explanation { return explained(o, situation{}) }
	probe := transport.ProbeResult{Target: "port 8443 (tls) of 10.0.0.3", Message: "connection refused", At: minute(7)}
	explanations = []Explanation{
		{
			Operation: refused, Waiting: WaitNotRunning, Since: minute(1), Next: minute(9), Unblock: "a Run of the engine",
			Error: "unreachable: no route to host", ErrorAt: minute(8), Also: WaitOffline, AlsoSince: minute(2), OnlySession: true,
			Seen: Seen{fsm.StateStartInProgress, "PROBE_UNANSWERED", "running, but not reachable", probe, minute(3), minute(7)},
			Text: "waits for a Run of the engine, since 2026-11-30T08:01:00Z",
		},
		ended(failed),
		ended(ready),
	}
	live := transport.Session{
		Ref: queued.Ref, State: fsm.StateReady, StatusCode: "NONE", StatusMessage: "up", OwnedBy: "kim", Tags: map[string]string{"role": "comp"}, StartedAt: minute(4), StoppedAt: minute(3),
		Endpoints: []transport.Endpoint{{Name: "dcv", Host: "10.0.0.3", Port: 8443}}, Probe: probe,
	}
	unanswered := &transport.Error{Kind: transport.KindUnreachable, Message: "no route to host"}
	return explanations, []SessionStatus{
		{Session: live, SeenAt: minute(8), Live: true, Active: &queued},
		{Session: transport.Session{Ref: queued.Ref, State: fsm.StateStopped}, SeenAt: minute(5), Err: unanswered},
		{Session: transport.Session{Ref: queued.Ref}, Err: errors.New("the context has ended")},
	}
}

func wireStats() []Stats {
	minute := func(n int) time.Time { return time.Date(2026, 11, 30, 8, n, 0, 0, time.UTC) }
	return []Stats{
		{
			Stats: store.Stats{
				StoreID: "5d1f", Operations: map[fsm.Phase]int{fsm.PhaseQueued: 3, fsm.PhaseSucceeded: 40}, First: 2, Head: 90, Bytes: 65536, FreeBytes: 4096,
				Full: store.ErrFull, Foreign: &store.Foreign{Home: "ws-7", Since: minute(1)}, Quarantined: 1,
			},
			Running: true, InFlight: 2,
			Lanes: []LaneStats{
				{
					Name: "comp", Paused: true, PausedBy: "kim", Blocked: WaitOffline, Since: minute(2), Next: minute(3), Error: "unreachable: no <route> & no host",
					RetryAfter: minute(4), Rate: 2.5, InFlight: 1,
				},
				{Name: "lab"},
			},
		},
		{Stats: store.Stats{StoreID: "5d1f", Operations: map[fsm.Phase]int{}, First: 1}},
	}
}

// TestWireForm compares each type in JSON with the form that clients know, and
// reads it again.
func TestWireForm(t *testing.T) {
	t.Parallel()
	explanations, sessions := wireExamples()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	stats := wireStats()
	cancellations := []Cancellation{CancellationNeverSent, CancellationOutcomeUnknown, CancellationAccepted, CancellationAlreadyEnded}
	if err := e.Encode(map[string]any{"Explanations": explanations, "Sessions": sessions, "Stats": stats, "Cancellations": cancellations}); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("ROUSE_GOLDEN") == "write" {
		if err := os.WriteFile(wireForm, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(wireForm)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the wire form is\n%s\nand %s has\n%s", &b, wireForm, want)
	}
	var read struct {
		Explanations  []Explanation
		Sessions      []SessionStatus
		Stats         []Stats
		Cancellations []Cancellation
	}
	if err := json.Unmarshal(want, &read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read.Explanations, explanations) {
		t.Errorf("read %+v\nwant %+v", read.Explanations, explanations)
	}
	for i := range read.Sessions {
		got, was := read.Sessions[i].Err, sessions[i].Err
		if (got == nil) != (was == nil) || got != nil && got.Error() != was.Error() {
			t.Errorf("session %d: the error is %v, want %v", i, got, was)
		}
		if errors.Is(got, transport.KindUnreachable) != errors.Is(was, transport.KindUnreachable) {
			t.Errorf("session %d: the error %v has another kind than %v", i, got, was)
		}
		read.Sessions[i].Err, sessions[i].Err = nil, nil
	}
	if !reflect.DeepEqual(read.Sessions, sessions) {
		t.Errorf("read %+v\nwant %+v", read.Sessions, sessions)
	}
	if full := read.Stats[0].Full; !errors.Is(full, ErrFull) || full.Error() != stats[0].Full.Error() {
		t.Errorf("the store is full by %v, want %v", full, stats[0].Full)
	}
	read.Stats[0].Full, stats[0].Full = nil, nil
	if !reflect.DeepEqual(read.Stats, stats) {
		t.Errorf("read %+v\nwant %+v", read.Stats, stats)
	}
	if !reflect.DeepEqual(read.Cancellations, cancellations) {
		t.Errorf("read %v, want %v", read.Cancellations, cancellations)
	}
	var c Cancellation
	if err := json.Unmarshal([]byte(`"undone"`), &c); err == nil || !strings.Contains(err.Error(), "undone") {
		t.Errorf("a word that is no result is read as %v with %v", c, err)
	}
}

// TestWireWithoutURLs keeps an endpoint's URL, which may hold a token, out of the
// wire form.
func TestWireWithoutURLs(t *testing.T) {
	t.Parallel()
	const token = "tok-1234"
	s := SessionStatus{Session: transport.Session{Endpoints: []transport.Endpoint{{Host: "10.0.0.3", URL: "https://10.0.0.3/?authToken=" + token}}}}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte(token)) {
		t.Errorf("the wire form is %s", text)
	}
}
