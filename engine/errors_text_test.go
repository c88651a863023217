package engine

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// errorTexts has the texts of the errors of packages engine, store and transport for sample
// values. ROUSE_GOLDEN=write writes it: read the difference before you commit it.
const errorTexts = "testdata/errors.txt"

// TestErrorTexts renders the errors that a host meets.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	op := Operation{
		ID: "019a0000-0000-7000-8000-000000000001", Ref: Ref{StudioID: "lab", SessionID: "ws-1"}, Phase: fsm.PhaseQueued,
		CreatedAt: at, ExpiresAt: at.Add(-time.Hour),
	}
	early := op
	early.ExpiresAt, early.NotBefore = at.Add(time.Hour), at.Add(2*time.Hour)
	failed := op
	failed.Phase, failed.EndReason, failed.LastError = fsm.PhaseFailed, store.ReasonTimeout, "the session is START_IN_PROGRESS"
	var b bytes.Buffer
	for _, err := range []error{
		ErrRunning, ErrClosed, ErrUnknownLane, ErrNotEnded, &EndError{Operation: failed},
		Config{Keep: -time.Hour}.validate(), Config{KeepEvents: -1}.validate(),
		checkText("label show", "a\nb", maxLabels), checkText("reason", "aaaa", 3), checkText("by", "\xff", maxName),
		store.ErrNotFound, store.ErrFenced, store.ErrOwned, store.ErrUnknown, store.ErrFull, store.ErrFailed, store.ErrClosed, store.ErrCorrupt,
		&store.ConflictError{Err: store.ErrActive, Holder: op}, &store.ConflictError{Err: store.ErrTokenReused, Holder: op},
		&store.ExpiryError{Operation: op}, &store.ExpiryError{Operation: early},
		&store.CursorError{After: "17.6f2a", First: 20, Head: 90, Pruned: true},
		&store.CursorError{After: "17.6f2a", First: 1, Head: 9, Forked: true}, &store.CursorError{After: "x"},
		Ref{StudioID: "lab"}.Validate(), Ref{StudioID: "lab", SessionID: "a/b"}.Validate(), transport.CheckToken(""),
		&transport.Error{Kind: transport.KindThrottled, Code: "ThrottlingException", Message: "slow down", HTTPStatusCode: 429, RequestID: "r-1"},
	} {
		fmt.Fprintf(&b, "%T\n    %v\n", err, err)
	}
	if os.Getenv("ROUSE_GOLDEN") == "write" {
		if err := os.WriteFile(errorTexts, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(errorTexts)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the texts are\n\n%s\nand %s has\n\n%s", &b, errorTexts, want)
	}
}
