package engine

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// edge is one arrow of a life cycle.
type edge struct{ from, to string }

// edges returns the arrows of a table's diagram, which is drawn from the table.
func edges(t *testing.T, diagram string) (all []edge) {
	t.Helper()
	for _, arrow := range regexp.MustCompile(`(\w+) --> (\w+)`).FindAllStringSubmatch(diagram, -1) {
		all = append(all, edge{arrow[1], arrow[2]})
	}
	if n := strings.Count(diagram, "-->") - 1; n < 1 || len(all) != n { // the arrow to the first state has no beginning
		t.Fatalf("%d edges were read of this diagram:\n%s", len(all), diagram)
	}
	return all
}

// along is a provider whose sessions go along one edge. A session's id is "CALL.FROM.TO".
// The first read after its start shows FROM, and all later reads show TO. If CALL is
// confirm, the start's answer is lost. Otherwise the start is accepted.
type along struct {
	second func(ref Ref, from string) // is called before the second read of a session is answered

	mu    sync.Mutex
	reads map[string]int // at each session that was started, since then
}

func (a *along) Start(_ context.Context, in transport.StartInput) (transport.Session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reads[in.SessionID] = 0
	if strings.HasPrefix(in.SessionID, "confirm.") {
		return transport.Session{}, &transport.Error{Kind: transport.KindUnknown}
	}
	return transport.Session{Ref: in.Ref, State: fsm.StateStartInProgress}, nil
}

func (a *along) Get(_ context.Context, ref Ref) (transport.Session, error) {
	a.mu.Lock()
	_, started := a.reads[ref.SessionID]
	if started {
		a.reads[ref.SessionID]++
	}
	n := a.reads[ref.SessionID]
	a.mu.Unlock()
	way := strings.Split(ref.SessionID, ".")
	switch {
	case !started:
		return transport.Session{Ref: ref, State: fsm.StateStopped}, nil
	case n == 1:
		return transport.Session{Ref: ref, State: fsm.State(way[1])}, nil
	case n == 2:
		a.second(ref, way[1])
	}
	return transport.Session{Ref: ref, State: fsm.State(way[2])}, nil
}

// TestEveryEdge takes operations along every edge of the session's table, by confirms and
// by polls, and so along every edge of their own table. READY ends an operation, so edges
// from READY are left out.
func TestEveryEdge(t *testing.T) {
	type end struct {
		phase  fsm.Phase
		reason store.Reason
	}
	var (
		ready     = end{fsm.PhaseSucceeded, ""}
		boots     = end{fsm.PhaseStarting, ""}
		waits     = end{fsm.PhaseQueued, ""}
		broken    = end{fsm.PhaseFailed, store.ReasonStartFailed}
		stopped   = end{fsm.PhaseFailed, store.ReasonReturnedToStopped}
		ambiguous = end{fsm.PhaseFailed, store.ReasonAmbiguous} // neither a token nor a startedAt proves the effect
	)
	ends := map[fsm.State]map[string]end{ // by the last state that the session is shown in
		fsm.StateReady:            {"confirm": ready, "poll": ready},
		fsm.StateStartInProgress:  {"confirm": boots, "poll": boots},
		fsm.StateStopInProgress:   {"confirm": waits, "poll": boots},
		fsm.StateStopped:          {"confirm": ambiguous, "poll": stopped},
		fsm.StateStartFailed:      {"confirm": broken, "poll": broken},
		fsm.StateStopFailed:       {"confirm": broken, "poll": broken},
		fsm.StateCreateFailed:     {"confirm": broken, "poll": broken},
		fsm.StateDeleteFailed:     {"confirm": broken, "poll": broken},
		fsm.StateDeleteInProgress: {"confirm": broken, "poll": broken},
		fsm.StateDeleted:          {"confirm": broken, "poll": broken},
	}
	scenario(t, studio.Config{}, Config{Lane: fast}, func(b *bench) {
		provider := &along{reads: map[string]int{}, second: func(ref Ref, from string) {
			if op, err := b.Find(b.Context(), ref); err != nil || string(op.Session) != from {
				b.Errorf("%s: at the second read the operation has %q, %v", ref.SessionID, op.Session, err)
			}
		}}
		b.close()
		b.open(provider)
		if c, err := b.Cancel(b.Context(), b.start("canceled"), "ann"); err != nil || c != CancellationNeverSent {
			b.Fatal(c, err)
		}
		b.start("expired", func(r *Request) { r.ExpiresAt = b.now().Add(time.Minute) })
		b.after(time.Minute)
		ids := map[string]ID{}
		for _, e := range edges(t, fsm.SessionDiagram()) {
			for _, call := range []string{"confirm", "poll"} {
				name := call + "." + e.from + "." + e.to
				ids[name] = b.start(name)
			}
		}
		b.goRun()
		b.after(20 * time.Minute) // by then the clock is trusted, and no boot is over
		b.end()

		for name, id := range ids {
			way := strings.Split(name, ".")
			call, shown, reads := way[0], fsm.State(way[2]), 2
			if fsm.State(way[1]) == fsm.StateReady {
				shown, reads = fsm.StateReady, 1
			}
			op := b.op(id)
			if got, want := (end{op.Phase, op.EndReason}), ends[shown][call]; got != want || op.Session != shown {
				b.Errorf("%s: %v with the session %s, want %v with %s", name, got, op.Session, want, shown)
			}
			if n := provider.reads[name]; n < reads || op.Phase == fsm.PhaseSucceeded && n != reads {
				b.Errorf("%s: %d reads, want %d", name, n, reads)
			}
		}
		met := map[edge]bool{}
		for ev := range b.Events(b.Context(), "") {
			met[edge{string(ev.From), string(ev.To)}] = true
			if way := strings.Split(ev.Ref.SessionID, "."); ev.Reason == store.ReasonUnexpectedState && string(ev.Session) != way[1] {
				b.Errorf("%s: %s is reported as unexpected, but the table has that edge", ev.Ref.SessionID, ev.Session)
			}
		}
		for _, e := range edges(t, fsm.OperationDiagram()) {
			if !met[e] {
				b.Errorf("no operation went from %s to %s", e.from, e.to)
			}
		}
	})
}
