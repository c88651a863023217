package fsm

// State is a session's state, spelled as in the Nimble protocol. A state that is not one
// of the eleven below is kept unchanged; see [State.Known].
type State string

// The eleven states of the public API model, version 2020-08-01. They are persisted, so
// append only.
const (
	StateCreateInProgress State = "CREATE_IN_PROGRESS"
	StateDeleteInProgress State = "DELETE_IN_PROGRESS"
	StateReady            State = "READY"
	StateDeleted          State = "DELETED"
	StateCreateFailed     State = "CREATE_FAILED"
	StateDeleteFailed     State = "DELETE_FAILED"
	StateStopInProgress   State = "STOP_IN_PROGRESS"
	StateStartInProgress  State = "START_IN_PROGRESS"
	StateStopped          State = "STOPPED"
	StateStopFailed       State = "STOP_FAILED"
	StateStartFailed      State = "START_FAILED"
)

// States lists the eleven known states in the order of the public API model.
func States() []State {
	return []State{
		StateCreateInProgress, StateDeleteInProgress, StateReady, StateDeleted, StateCreateFailed, StateDeleteFailed,
		StateStopInProgress, StateStartInProgress, StateStopped, StateStopFailed, StateStartFailed,
	}
}

// Known reports whether s is one of the eleven states of the API model.
func (s State) Known() bool { return sessions.has(string(s)) }

// Event is something that happens to a session.
type Event string

// The events of a session's life. EventStart, EventStop and EventDelete are requests; the
// others are their results.
const (
	EventCreated     Event = "created"
	EventCreateFails Event = "create fails"
	EventStart       Event = "start"
	EventStarted     Event = "started"
	EventStartFails  Event = "start fails"
	EventStop        Event = "stop"
	EventStopDone    Event = "stopped"
	EventStopFails   Event = "stop fails"
	EventDelete      Event = "delete"
	EventDeleteDone  Event = "deleted"
	EventDeleteFails Event = "delete fails"
)

var sessions = newTable(string(StateCreateInProgress), []step{
	{string(EventCreated), states(StateCreateInProgress), string(StateReady)},
	{string(EventCreateFails), states(StateCreateInProgress), string(StateCreateFailed)},
	{string(EventStop), states(StateReady, StateStartFailed, StateStopFailed), string(StateStopInProgress)},
	{string(EventStopDone), states(StateStopInProgress), string(StateStopped)},
	{string(EventStopFails), states(StateStopInProgress), string(StateStopFailed)},
	{string(EventStart), states(StateStopped), string(StateStartInProgress)},
	{string(EventStarted), states(StateStartInProgress), string(StateReady)},
	{string(EventStartFails), states(StateStartInProgress), string(StateStartFailed)},
	{string(EventDelete), states(StateReady, StateStopped, StateCreateFailed, StateStartFailed, StateStopFailed, StateDeleteFailed), string(StateDeleteInProgress)},
	{string(EventDeleteDone), states(StateDeleteInProgress), string(StateDeleted)},
	{string(EventDeleteFails), states(StateDeleteInProgress), string(StateDeleteFailed)},
})

// Fire returns the state of a session in state from after the event e. If e is not
// possible there, it returns from and a *TransitionError.
func Fire(from State, e Event) (State, error) {
	to, err := sessions.fire(string(from), string(e))
	if err != nil {
		return from, err
	}
	return State(to), nil
}

// Observe returns nil if a session that was last seen in state from may be in state to.
// Any number of states between them may have been missed. It also returns nil for the
// same state, and if one of the two is not known. An example is the empty state of a
// session that was never seen. Otherwise it returns a *TransitionError.
func Observe(from, to State) error {
	if from == to || !from.Known() || !to.Known() {
		return nil
	}
	return sessions.reach(string(from), string(to))
}

func states(ss ...State) []string {
	out := make([]string, len(ss))
	for i, s := range ss {
		out[i] = string(s)
	}
	return out
}
