// Package fsm holds the two life cycles that everything else obeys: that of a
// streaming session at its provider, and that of an operation, a request to
// start a session, here.
//
// Each is one table of events. looplab/fsm runs the tables, and its machines
// stay inside this package: a caller gives a state and gets a verdict.
//
//	err := fsm.Advance(fsm.PhaseQueued, fsm.PhaseStarting)          // may an operation do this?
//	next, err := fsm.Fire(fsm.StateStopped, fsm.EventStart)         // a provider's own step
//	err = fsm.Observe(fsm.StateStopped, fsm.StateReady)             // a poll missed a state: fine
//	err = fsm.Observe(fsm.StateDeleted, fsm.StateReady)             // no path leads there: an error
//
// # Observations
//
// Who polls a remote session sees some of its states and misses others.
// [Observe] accepts every state that some path of the table leads to; the
// paths are computed from the table, not listed. No path is a
// [TransitionError] that names both states. The remote is right even so: the
// engine takes over what it saw and says in an event that it was not expected.
//
// # Concurrency
//
// All functions are pure and safe for concurrent use. No machine is kept for a
// session or an operation: one is taken from a pool, set to the given state for
// one step and put back, or dropped after any error, because a looplab machine
// can be stuck in a transition for good after one.
package fsm
