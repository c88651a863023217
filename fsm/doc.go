// Package fsm has the two life cycles that all other packages follow: the life cycle of a
// session at its provider, and the life cycle of an operation, a request to start a session.
//
// Each is one table of events. looplab/fsm runs the tables, and its machines stay inside this
// package. A caller passes a state and gets the next state or an error.
//
//	err := fsm.Advance(fsm.PhaseQueued, fsm.PhaseStarting)          // may an operation do this?
//	next, err := fsm.Fire(fsm.StateStopped, fsm.EventStart)         // a provider's own step
//	err = fsm.Observe(fsm.StateStopped, fsm.StateReady)             // a poll missed a state: fine
//	err = fsm.Observe(fsm.StateDeleted, fsm.StateReady)             // no path leads there: an error
//
// # Observations
//
// A program that polls a remote session sees some of its states and misses others. [Observe]
// accepts every state to which some path of the table leads. The paths are computed from the
// table. If there is no path, it returns a [TransitionError] that names both states. The
// provider is still right: the engine uses the state that it read, and says in an event that
// it was not expected.
//
// # Concurrency
//
// All functions are pure and safe for concurrent use. No session or operation has a machine of
// its own. A machine is taken from a pool, set to the given state for one step, and put back.
// After an error it is dropped, because a looplab machine may then be stuck in a transition
// forever.
package fsm
