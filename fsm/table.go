package fsm

import (
	"context"
	"fmt"
	"strings"
	"sync"

	looplab "github.com/looplab/fsm"
)

// TransitionError says that the table has no such step or, for an observation, no such path.
// Match it with errors.As.
type TransitionError struct {
	From  string // the state or phase before
	To    string // the state or phase after; "" if an event was fired
	Event string // the event that was fired; "" if a state was given
}

func (e *TransitionError) Error() string {
	if e.Event != "" {
		return fmt.Sprintf("fsm: %q is not possible in %s", e.Event, e.From)
	}
	return fmt.Sprintf("fsm: nothing leads from %s to %s", e.From, e.To)
}

// step is one row of a table: an event, the states in which it is possible, and the state to
// which it leads.
type step struct {
	event string
	from  []string
	to    string
}

// table runs one life cycle. It is immutable. The machines in its pool are disposable: one is
// set to the caller's state for a single event.
type table struct {
	initial string
	steps   []step
	known   map[string]bool
	pool    sync.Pool // of *looplab.FSM at rest
}

// A machine has three kinds of event: the table's own, "step X" (some event leads to X) and
// "see X" (some path leads to X). The last two are derived, so the rules are written in the
// table alone.
const (
	stepTo = "step "
	seeAt  = "see "
)

func newTable(initial string, steps []step) *table {
	t := &table{initial: initial, steps: steps, known: map[string]bool{}}
	next := map[string][]string{}
	into := map[string][]string{}
	for _, s := range steps {
		t.known[s.to] = true
		for _, from := range s.from {
			t.known[from] = true
			next[from] = append(next[from], s.to)
			into[s.to] = append(into[s.to], from)
		}
	}
	events := t.own()
	for to, froms := range into {
		events = append(events, looplab.EventDesc{Name: stepTo + to, Src: froms, Dst: to})
	}
	for from := range next {
		for to := range reachable(next, from) {
			events = append(events, looplab.EventDesc{Name: seeAt + to, Src: []string{from}, Dst: to})
		}
	}
	t.pool.New = func() any { return looplab.NewFSM(initial, events, nil) }
	return t
}

// own returns the table in the form of looplab's events.
func (t *table) own() []looplab.EventDesc {
	events := make([]looplab.EventDesc, len(t.steps))
	for i, s := range t.steps {
		events[i] = looplab.EventDesc{Name: s.event, Src: s.from, Dst: s.to}
	}
	return events
}

// reachable returns every state to which some path of one or more steps leads from start.
func reachable(next map[string][]string, start string) map[string]bool {
	seen := map[string]bool{}
	for todo := next[start]; len(todo) > 0; {
		s := todo[0]
		todo = todo[1:]
		if !seen[s] {
			seen[s] = true
			todo = append(todo[:len(todo):len(todo)], next[s]...)
		}
	}
	return seen
}

func (t *table) has(state string) bool { return t.known[state] }

// fire sets a machine to from, fires one event, and returns the state after it. Only here do
// looplab's errors become errors of this package.
func (t *table) fire(from, event string) (string, error) {
	if !t.has(from) {
		return "", &TransitionError{From: from, Event: event}
	}
	m := t.pool.Get().(*looplab.FSM)
	m.SetState(from)
	// Do not pass a caller's context: a cancelled one would leave the machine stuck.
	if err := m.Event(context.Background(), event); err != nil {
		return "", &TransitionError{From: from, Event: event} // m is dropped
	}
	to := m.Current()
	t.pool.Put(m)
	return to, nil
}

func (t *table) step(from, to string) error  { return t.to(from, stepTo, to) }
func (t *table) reach(from, to string) error { return t.to(from, seeAt, to) }

func (t *table) to(from, kind, to string) error {
	if _, err := t.fire(from, kind+to); err != nil {
		return &TransitionError{From: from, To: to}
	}
	return nil
}

// SessionDiagram returns the life cycle of a session as a Mermaid state diagram.
func SessionDiagram() string { return sessions.diagram() }

// OperationDiagram returns the life cycle of an operation as a Mermaid state diagram.
func OperationDiagram() string { return operations.diagram() }

func (t *table) diagram() string {
	m := looplab.NewFSM(t.initial, t.own(), nil)
	out, err := looplab.VisualizeForMermaidWithGraphType(m, looplab.StateDiagram)
	if err != nil {
		panic(err) // the graph type is a constant that looplab knows
	}
	return strings.TrimSpace(out)
}
