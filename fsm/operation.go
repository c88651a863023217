package fsm

// Phase is how far an operation, a request to start one session, has come.
type Phase string

// The phases of an operation. They are persisted: append only.
const (
	PhaseQueued    Phase = "QUEUED"    // accepted by us; the provider has not confirmed a start
	PhaseStarting  Phase = "STARTING"  // the provider confirmed it; the session boots
	PhaseSucceeded Phase = "SUCCEEDED" // the session was seen READY
	PhaseFailed    Phase = "FAILED"    // it will not be READY by this operation; the reason says why
	PhaseCanceled  Phase = "CANCELED"  // withdrawn, and nothing was started
	PhaseExpired   Phase = "EXPIRED"   // not started by its expiry, and never will be
)

// Phases lists all phases, in the order of a life.
func Phases() []Phase {
	return []Phase{PhaseQueued, PhaseStarting, PhaseSucceeded, PhaseFailed, PhaseCanceled, PhaseExpired}
}

// Ended reports whether p is terminal: no operation ever leaves such a phase.
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

// Advance says whether an operation may go from one phase to the other in one
// step. Staying where it is is no step and fine. Else it returns a
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
