package fsm_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
)

func TestAdvance(t *testing.T) {
	t.Parallel()
	allowed := map[fsm.Phase][]fsm.Phase{
		fsm.PhaseQueued:   {fsm.PhaseQueued, fsm.PhaseStarting, fsm.PhaseSucceeded, fsm.PhaseFailed, fsm.PhaseCanceled, fsm.PhaseExpired},
		fsm.PhaseStarting: {fsm.PhaseStarting, fsm.PhaseSucceeded, fsm.PhaseFailed},
	}
	for _, from := range fsm.Phases() {
		if from.Ended() {
			allowed[from] = []fsm.Phase{from}
		}
		for _, to := range fsm.Phases() {
			want := false
			for _, a := range allowed[from] {
				want = want || a == to
			}
			err := fsm.Advance(from, to)
			if (err == nil) != want {
				t.Errorf("Advance(%s, %s) = %v, want allowed %v", from, to, err, want)
			}
			var te *fsm.TransitionError
			if err != nil && (!errors.As(err, &te) || te.From != string(from) || te.To != string(to)) {
				t.Errorf("Advance(%s, %s) = %v: does not name both", from, to, err)
			}
		}
	}
	if err := fsm.Advance("NONSENSE", "NONSENSE"); err == nil {
		t.Error("Advance between phases that do not exist: no error")
	}
}

func TestFire(t *testing.T) {
	t.Parallel()
	life := []struct {
		event fsm.Event
		want  fsm.State
	}{
		{fsm.EventCreated, fsm.StateReady}, {fsm.EventStop, fsm.StateStopInProgress}, {fsm.EventStopDone, fsm.StateStopped},
		{fsm.EventStart, fsm.StateStartInProgress}, {fsm.EventStarted, fsm.StateReady}, {fsm.EventDelete, fsm.StateDeleteInProgress},
		{fsm.EventDeleteDone, fsm.StateDeleted},
	}
	s := fsm.StateCreateInProgress
	for _, l := range life {
		var err error
		if s, err = fsm.Fire(s, l.event); err != nil || s != l.want {
			t.Fatalf("Fire %q: %s, %v, want %s", l.event, s, err, l.want)
		}
	}
	if s, err := fsm.Fire(fsm.StateDeleted, fsm.EventStart); err == nil || s != fsm.StateDeleted {
		t.Errorf("Fire(DELETED, start) = %s, %v, want DELETED and an error", s, err)
	}
	if _, err := fsm.Fire("FROM_THE_FUTURE", fsm.EventStart); err == nil {
		t.Error("Fire in a state that is not known: no error")
	}
}

// TestObserveIsReachability compares Observe with a search of its own over Fire. A change
// of the table changes both, and a special case in Observe only one.
func TestObserveIsReachability(t *testing.T) {
	t.Parallel()
	events := []fsm.Event{
		fsm.EventCreated, fsm.EventCreateFails, fsm.EventStart, fsm.EventStarted, fsm.EventStartFails, fsm.EventStop,
		fsm.EventStopDone, fsm.EventStopFails, fsm.EventDelete, fsm.EventDeleteDone, fsm.EventDeleteFails,
	}
	for _, from := range fsm.States() {
		reach := map[fsm.State]bool{from: true}
		for todo := []fsm.State{from}; len(todo) > 0; todo = todo[1:] {
			for _, e := range events {
				if to, err := fsm.Fire(todo[0], e); err == nil && !reach[to] {
					reach[to] = true
					todo = append(todo, to)
				}
			}
		}
		for _, to := range fsm.States() {
			if err := fsm.Observe(from, to); (err == nil) != reach[to] {
				t.Errorf("Observe(%s, %s) = %v, want reachable %v", from, to, err, reach[to])
			}
		}
		if err := errors.Join(fsm.Observe("", from), fsm.Observe(from, "FROM_THE_FUTURE")); err != nil {
			t.Errorf("a state that is not known must be accepted: %v", err)
		}
	}
	if fsm.Observe(fsm.StateStopped, fsm.StateReady) != nil {
		t.Error("STOPPED to READY, a missed START_IN_PROGRESS, must be accepted")
	}
	err := fsm.Observe(fsm.StateDeleted, fsm.StateReady)
	if err == nil || !strings.Contains(err.Error(), "DELETED") || !strings.Contains(err.Error(), "READY") {
		t.Errorf("Observe(DELETED, READY) = %v, want an error that names both", err)
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	if n := len(fsm.States()); n != 11 {
		t.Errorf("%d states, want the 11 of the API model", n)
	}
	for _, s := range fsm.States() {
		if !s.Known() {
			t.Errorf("%s is not known", s)
		}
	}
	if fsm.State("").Known() || fsm.State("ready").Known() {
		t.Error("an unlisted state is known")
	}
}

// TestConcurrent is for the race detector. It also checks that a machine that met an
// error is not used again.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if fsm.Advance(fsm.PhaseSucceeded, fsm.PhaseQueued) == nil || fsm.Advance(fsm.PhaseQueued, fsm.PhaseStarting) != nil {
					t.Error("wrong verdict")
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestNoMachineKept checks that steps for very many sessions leave no machine behind. One
// machine has about 2.4 KB.
func TestNoMachineKept(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 100_000
	for range n {
		if err := fsm.Observe(fsm.StateStopped, fsm.StateReady); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > n {
		t.Errorf("%d steps keep %d bytes: more than one each", n, kept)
	}
}

func TestDiagrams(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, diagram := range map[string]string{"session": fsm.SessionDiagram(), "operation": fsm.OperationDiagram()} {
		if !strings.Contains(string(page), "```mermaid\n"+diagram+"\n```") {
			t.Errorf("docs/architecture.md does not show the %s diagram as the table draws it; it should be:\n```mermaid\n%s\n```", name, diagram)
		}
	}
}

func BenchmarkAdvance(b *testing.B) {
	for b.Loop() {
		if fsm.Advance(fsm.PhaseQueued, fsm.PhaseStarting) != nil {
			b.Fatal("refused")
		}
	}
}

func ExampleObserve() {
	fmt.Println(fsm.Observe(fsm.StateStopped, fsm.StateReady))
	fmt.Println(fsm.Observe(fsm.StateDeleted, fsm.StateReady))
	// Output:
	// <nil>
	// fsm: nothing leads from DELETED to READY
}
