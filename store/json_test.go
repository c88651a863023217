package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// wireForm shows a full example of each type in JSON. ROUSE_GOLDEN=write writes it. Read
// the difference before you commit it.
const wireForm = "testdata/wire.json"

func moment(minute int) time.Time { return time.Date(2026, 11, 30, 8, minute, 0, 0, time.UTC) }

// fullOperation has every member that is written, and none that is left out.
func fullOperation() store.Operation {
	return store.Operation{
		ID: "019a0000-0000-7000-8000-000000000001", Ref: transport.Ref{StudioID: "lab", SessionID: "ws-1"}, Lane: "lab",
		ClientToken: "2026-11-30-ws-1", Labels: map[string]string{"show": "aurora"}, RequestedBy: "kim", Source: "cli",
		Reason: "dailies <before> 9 & after", RetryOf: "019a0000-0000-7000-8000-000000000000",
		Phase: fsm.PhaseFailed, Session: fsm.StateStartInProgress, StatusCode: "PROBE_UNANSWERED", StatusMessage: "running, but port 22 does not answer",
		Probe:    transport.ProbeResult{Target: "port 22 (ssh) of 10.0.0.5", Message: "connection refused", At: moment(21)},
		StatusAt: moment(22), Sent: store.SentAccepted, EndReason: store.ReasonTimeout, CancelBy: "lee", CancelAt: moment(23),
		LastError: "unreachable: no route to host", LastKind: transport.KindUnreachable, LastErrorAt: moment(24), ErrorSince: moment(25),
		Attempts: 2, NotBefore: moment(1), DueAt: moment(2), ExpiresAt: moment(59), CreatedAt: moment(0), SentAt: moment(3), LastSentAt: moment(4),
		AcceptedAt: moment(5), BootDeadline: moment(35), FinishedAt: moment(36),
		Later: &store.LaterRequest{
			ID: "019a0000-0000-7000-8000-000000000002", At: moment(30), Labels: map[string]string{"show": "borealis"}, RequestedBy: "ali",
			Source: "api", Reason: "review", NotBefore: moment(31), ExpiresAt: moment(58),
		},
	}
}

func fullEvent() store.Event {
	return store.Event{
		Seq: 17, Cursor: "17.6f2a", Operation: "019a0000-0000-7000-8000-000000000001", Ref: transport.Ref{StudioID: "lab", SessionID: "ws-1"},
		From: fsm.PhaseStarting, To: fsm.PhaseFailed, Session: fsm.StateStartInProgress, Reason: store.ReasonTimeout, By: "lee", At: moment(36),
		Error: "unreachable: no route to host",
	}
}

func queuedOperation() store.Operation {
	return store.Operation{
		ID: "019a0000-0000-7000-8000-000000000003", Ref: transport.Ref{StudioID: "lab", SessionID: "ws-2"}, Lane: "lab",
		ClientToken: "019a0000-0000-7000-8000-000000000003", Phase: fsm.PhaseQueued, CreatedAt: moment(0), DueAt: moment(0), ExpiresAt: moment(59),
	}
}

// receipts has one of each outcome.
func receipts() []store.Receipt {
	created, holder := queuedOperation(), fullOperation()
	asked, void := store.Operation{Ref: created.Ref}, created
	void.ExpiresAt = created.CreatedAt
	return []store.Receipt{
		{ID: created.ID, Operation: created, Created: true},
		{ID: holder.Later.ID, Operation: holder},
		{ID: holder.ID, Operation: holder, Old: true},
		{Operation: asked, Err: &store.ConflictError{Err: store.ErrActive, Holder: created}},
		{Operation: asked, Err: &store.ExpiryError{Operation: void}},
		{Operation: asked, Err: &transport.Error{Kind: transport.KindInvalid, Message: "labels have 2000 bytes: at most 1024 are allowed"}},
	}
}

// TestWireForm compares each type in JSON with the form that clients know.
func TestWireForm(t *testing.T) {
	t.Parallel()
	example := struct {
		Operation, Queued store.Operation
		Event             store.Event
		Receipts          []store.Receipt
		Sent              []store.Sent
		Kinds             []transport.Kind
	}{
		Operation: fullOperation(), Queued: queuedOperation(), Event: fullEvent(), Receipts: receipts(),
		Sent: []store.Sent{store.SentNo, store.SentUnknown, store.SentAccepted},
	}
	for k := transport.KindUnknown; k <= transport.KindUnreachable; k++ {
		example.Kinds = append(example.Kinds, k)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(example); err != nil {
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
}

// TestWireRoundTrip writes and reads values with some of their members.
func TestWireRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		op, ev := fullOperation(), fullEvent()
		some(rt, reflect.ValueOf(&op).Elem())
		some(rt, reflect.ValueOf(&ev).Elem())
		if op.LastError == "" {
			op.LastKind = 0
		}
		if op.Later != nil && rapid.Bool().Draw(rt, "fewer members of the later request") {
			later := *op.Later
			some(rt, reflect.ValueOf(&later).Elem())
			later.At = moment(30) // otherwise it is done, and left out
			op.Later = &later
		}
		again(rt, op)
		again(rt, ev)
		again(rt, store.Receipt{ID: op.ID, Operation: op, Created: true})
		again(rt, store.Receipt{ID: "later", Operation: op})
	})
}

// some sets a few fields of a struct to their zero value.
func some(rt *rapid.T, v reflect.Value) {
	for i := range v.NumField() {
		if rapid.Bool().Draw(rt, v.Type().Field(i).Name) {
			v.Field(i).SetZero()
		}
	}
}

// again writes a value, reads it, and compares the two.
func again[T any](t rapid.TB, v T) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got T
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !reflect.DeepEqual(got, v) {
		t.Fatalf("%s\nis read as  %+v\nand was     %+v", text, got, v)
	}
}

// TestWireLeavesOut names the fields of an operation that are not written. A new field
// must be written, or named here.
func TestWireLeavesOut(t *testing.T) {
	t.Parallel()
	out := map[string]bool{
		"Interval": true, "Shortages": true, "StartedSeen": true, "SentProviderTime": true, "CreatedUp": true, "SentUp": true, "Version": true,
	}
	v := reflect.ValueOf(fullOperation())
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() != out[name] {
			t.Errorf("field %s is written in full examples: %t; left out by rule: %t", name, !v.Field(i).IsZero(), out[name])
		}
	}
	op := fullOperation()
	op.Interval, op.Shortages, op.StartedSeen, op.SentProviderTime, op.Version = time.Minute, 3, moment(40), moment(41), 9
	op.CreatedUp, op.SentUp = store.Uptime{Boot: 1, At: 1}, store.Uptime{Boot: 1, At: 2}
	all, err := json.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	less, err := json.Marshal(fullOperation())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(all, less) {
		t.Errorf("it is %s, want %s", all, less)
	}
}

// TestRefusedReceipts checks that an error that was read has the sentinels of the error
// that was sent.
func TestRefusedReceipts(t *testing.T) {
	t.Parallel()
	for _, r := range receipts() {
		if r.Err == nil {
			again(t, r)
			continue
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var got store.Receipt
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got.Operation.Ref != r.Operation.Ref || got.Outcome() != "refused" || got.Err.Error() != r.Err.Error() {
			t.Errorf("%s is read as %+v", text, got)
		}
		for _, target := range []error{store.ErrActive, store.ErrTokenReused, store.ErrExpired, transport.KindInvalid} {
			if errors.Is(got.Err, target) != errors.Is(r.Err, target) {
				t.Errorf("%s: errors.Is(%v) is %t", text, target, errors.Is(got.Err, target))
			}
		}
		var was, is *store.ConflictError
		if errors.As(r.Err, &was) != errors.As(got.Err, &is) || was != nil && was.Holder.ID != is.Holder.ID {
			t.Errorf("%s: the operation in the way is %+v", text, is)
		}
	}
}

// TestUnknownWords reads what a newer version may send.
func TestUnknownWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"sent":"twice"}`:     `"twice"`,
		`{"sent":2}`:           "number",
		`{"createdAt":"noon"}`: "noon",
	} {
		if err := json.Unmarshal([]byte(text), new(store.Operation)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that has %s", text, err, want)
		}
	}
	if err := json.Unmarshal([]byte(`{"request":"postponed"}`), new(store.Receipt)); err == nil || !strings.Contains(err.Error(), `"postponed"`) {
		t.Errorf("a receipt with an unknown word: %v", err)
	}
	var op store.Operation
	text := `{"id":"x","phase":"STOPPING","sessionState":"ASLEEP","sent":"no","endReason":"superseded","lastError":"bad","lastKind":"preempted","more":[1]}`
	if err := json.Unmarshal([]byte(text), &op); err != nil {
		t.Fatal(err)
	}
	if op.Phase != "STOPPING" || op.Session != "ASLEEP" || op.EndReason != "superseded" || op.LastKind != transport.KindUnknown || op.LastError != "bad" {
		t.Errorf("%s is read as %+v", text, op)
	}
}
