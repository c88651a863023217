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

// edges reads the arrows off a table's diagram, which is drawn from it.
func edges(t *testing.T, diagram string) (all []edge) {
	t.Helper()
	for _, arrow := range regexp.MustCompile(`(\w+) --> (\w+)`).FindAllStringSubmatch(diagram, -1) {
		all = append(all, edge{arrow[1], arrow[2]})
	}
	if n := strings.Count(diagram, "-->") - 1; n < 1 || len(all) != n { // one leads to the first state from nowhere
		t.Fatalf("%d edges were read of this diagram:\n%s", len(all), diagram)
	}
	return all
}

// along shows sessions that go along one edge: a session's id is "CALL.FROM.TO".
// The first look after its start shows FROM, all later ones TO. Where CALL is
// look, the start's answer is lost; else it was accepted.
type along struct {
	second func(ref Ref, from string) // hears of the second look, before it is answered

	mu    sync.Mutex
	looks map[string]int // at each session that was started, since then
}

func (a *along) Start(_ context.Context, in transport.StartInput) (transport.Session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks[in.SessionID] = 0
	if strings.HasPrefix(in.SessionID, "look.") {
		return transport.Session{}, &transport.Error{Kind: transport.KindUnknown}
	}
	return transport.Session{Ref: in.Ref, State: fsm.StateStartInProgress}, nil
}

func (a *along) Get(_ context.Context, ref Ref) (transport.Session, error) {
	a.mu.Lock()
	_, started := a.looks[ref.SessionID]
	if started {
		a.looks[ref.SessionID]++
	}
	n := a.looks[ref.SessionID]
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

// TestEveryEdge takes operations along every edge of the session's table, by
// looks and by polls, and thereby along every edge of their own. READY ends an
// operation, so nobody sees where a session goes from there.
func TestEveryEdge(t *testing.T) {
	type end struct {
		phase  fsm.Phase
		reason store.Reason
	}
	var (
		ready   = end{fsm.PhaseSucceeded, ""}
		boots   = end{fsm.PhaseStarting, ""}
		waits   = end{fsm.PhaseQueued, ""}
		broken  = end{fsm.PhaseFailed, store.ReasonStartFailed}
		stopped = end{fsm.PhaseFailed, store.ReasonReturnedToStopped}
		unclear = end{fsm.PhaseFailed, store.ReasonAmbiguous} // neither a token nor a time of start tells
	)
	ends := map[fsm.State]map[string]end{ // what comes of an operation that is shown a state for good
		fsm.StateReady:            {"look": ready, "poll": ready},
		fsm.StateStartInProgress:  {"look": boots, "poll": boots},
		fsm.StateStopInProgress:   {"look": waits, "poll": boots},
		fsm.StateStopped:          {"look": unclear, "poll": stopped},
		fsm.StateStartFailed:      {"look": broken, "poll": broken},
		fsm.StateStopFailed:       {"look": broken, "poll": broken},
		fsm.StateCreateFailed:     {"look": broken, "poll": broken},
		fsm.StateDeleteFailed:     {"look": broken, "poll": broken},
		fsm.StateDeleteInProgress: {"look": broken, "poll": broken},
		fsm.StateDeleted:          {"look": broken, "poll": broken},
	}
	scenario(t, studio.Config{}, Config{Lane: fast}, func(b *bench) {
		provider := &along{looks: map[string]int{}, second: func(ref Ref, from string) {
			if op, err := b.Find(b.Context(), ref); err != nil || string(op.Session) != from {
				b.Errorf("%s: at the second look the operation has %q, %v", ref.SessionID, op.Session, err)
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
			for _, call := range []string{"look", "poll"} {
				name := call + "." + e.from + "." + e.to
				ids[name] = b.start(name)
			}
		}
		b.goRun()
		b.after(20 * time.Minute) // what looks expired is believed by then, and no boot is over
		b.end()

		for name, id := range ids {
			way := strings.Split(name, ".")
			call, shown, looks := way[0], fsm.State(way[2]), 2
			if fsm.State(way[1]) == fsm.StateReady {
				shown, looks = fsm.StateReady, 1
			}
			op := b.op(id)
			if got, want := (end{op.Phase, op.EndReason}), ends[shown][call]; got != want || op.Session != shown {
				b.Errorf("%s: %v with the session %s, want %v with %s", name, got, op.Session, want, shown)
			}
			if n := provider.looks[name]; n < looks || op.Phase == fsm.PhaseSucceeded && n != looks {
				b.Errorf("%s: %d looks, want %d", name, n, looks)
			}
		}
		met := map[edge]bool{}
		for ev := range b.Events(b.Context(), "") {
			met[edge{string(ev.From), string(ev.To)}] = true
			if way := strings.Split(ev.Ref.SessionID, "."); ev.Reason == store.ReasonUnexpectedState && string(ev.Session) != way[1] {
				b.Errorf("%s: %s was not expected, and it is what the table says", ev.Ref.SessionID, ev.Session)
			}
		}
		for _, e := range edges(t, fsm.OperationDiagram()) {
			if !met[e] {
				b.Errorf("no operation went from %s to %s", e.from, e.to)
			}
		}
	})
}
