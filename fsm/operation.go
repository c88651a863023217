package fsm

// Phase is where an operation, a request to start one session, is in its life cycle.
type Phase string

// The phases of an operation. They are persisted, so append only.
const (
	PhaseQueued    Phase = "QUEUED"    // stored; the provider has not accepted a start
	PhaseStarting  Phase = "STARTING"  // the provider has accepted the start; the session boots
	PhaseSucceeded Phase = "SUCCEEDED" // the session was seen READY
	PhaseFailed    Phase = "FAILED"    // this operation will not make the session READY; the end reason says why
	PhaseCanceled  Phase = "CANCELED"  // withdrawn, and nothing was started
	PhaseExpired   Phase = "EXPIRED"   // not started by its expiry, and never will be
)

// Phases returns all phases, in the order of a life.
func Phases() []Phase {
	return []Phase{PhaseQueued, PhaseStarting, PhaseSucceeded, PhaseFailed, PhaseCanceled, PhaseExpired}
}

// Ended reports whether p is an end: no operation leaves such a phase.
func (p Phase) Ended() bool {
	return p == PhaseSucceeded || p == PhaseFailed || p == PhaseCanceled || p == PhaseExpired
}

// Known reports whether p is one of the six phases.
func (p Phase) Known() bool { return operations.has(string(p)) }

var operations = newTable(string(PhaseQueued), []step{
	{"accept", phases(PhaseQueued), string(PhaseStarting)},
	{"ready", phases(PhaseQueued, PhaseStarting), string(PhaseSucceeded)},
	{"fail", phases(PhaseQueued, PhaseStarting), string(PhaseFailed)},
	{"cancel", phases(PhaseQueued), string(PhaseCanceled)},
	{"expire", phases(PhaseQueued), string(PhaseExpired)},
})

// Advance returns nil if an operation may go from phase from to phase to in one step. It
// also returns nil if both are the same known phase. Otherwise it returns a
// *TransitionError.
func Advance(from, to Phase) error {
	if from == to && from.Known() {
		return nil
	}
	return operations.step(string(from), string(to))
}

func phases(ps ...Phase) []string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = string(p)
	}
	return out
}
