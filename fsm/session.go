package fsm

// State is a session's state, spelled as on the wire. A state that is not one
// of the eleven below is kept as read: see [State.Known].
type State string

// The eleven states of the public API model, version 2020-08-01. They are
// persisted: append only.
const (
	CreateInProgress State = "CREATE_IN_PROGRESS"
	DeleteInProgress State = "DELETE_IN_PROGRESS"
	Ready            State = "READY"
	Deleted          State = "DELETED"
	CreateFailed     State = "CREATE_FAILED"
	DeleteFailed     State = "DELETE_FAILED"
	StopInProgress   State = "STOP_IN_PROGRESS"
	StartInProgress  State = "START_IN_PROGRESS"
	Stopped          State = "STOPPED"
	StopFailed       State = "STOP_FAILED"
	StartFailed      State = "START_FAILED"
)

// States lists the eleven known states in the order of the public API model.
func States() []State {
	return []State{
		CreateInProgress, DeleteInProgress, Ready, Deleted, CreateFailed, DeleteFailed,
		StopInProgress, StartInProgress, Stopped, StopFailed, StartFailed,
	}
}

// Known reports whether s is one of the eleven states of the API model.
func (s State) Known() bool { return sessions.has(string(s)) }

// Event is what happens to a session.
type Event string

// The events of a session's life. Start, Stop and Delete are requests; the
// others are what becomes of them.
const (
	Created     Event = "created"
	CreateFails Event = "create fails"
	Start       Event = "start"
	Started     Event = "started"
	StartFails  Event = "start fails"
	Stop        Event = "stop"
	StopDone    Event = "stopped"
	StopFails   Event = "stop fails"
	Delete      Event = "delete"
	DeleteDone  Event = "deleted"
	DeleteFails Event = "delete fails"
)

var sessions = newTable(string(CreateInProgress), []step{
	{string(Created), states(CreateInProgress), string(Ready)},
	{string(CreateFails), states(CreateInProgress), string(CreateFailed)},
	{string(Stop), states(Ready, StartFailed, StopFailed), string(StopInProgress)},
	{string(StopDone), states(StopInProgress), string(Stopped)},
	{string(StopFails), states(StopInProgress), string(StopFailed)},
	{string(Start), states(Stopped), string(StartInProgress)},
	{string(Started), states(StartInProgress), string(Ready)},
	{string(StartFails), states(StartInProgress), string(StartFailed)},
	{string(Delete), states(Ready, Stopped, CreateFailed, StartFailed, StopFailed, DeleteFailed), string(DeleteInProgress)},
	{string(DeleteDone), states(DeleteInProgress), string(Deleted)},
	{string(DeleteFails), states(DeleteInProgress), string(DeleteFailed)},
})

// Fire returns the state that a session in state from is in after e. A
// *TransitionError says that e is not possible there, and from is returned.
func Fire(from State, e Event) (State, error) {
	to, err := sessions.fire(string(from), string(e))
	if err != nil {
		return from, err
	}
	return State(to), nil
}

// Observe says whether a session last seen in state from may now be seen in
// state to, however many states between them were missed. The same state again
// is fine, and so is anything from or to a state that is not known (the empty
// state included: nothing was seen yet). Else it returns a *TransitionError.
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
