// Package transport is the port to a session provider: whatever can start a
// stopped workstation and say how it is.
//
// # Usage
//
// A driver is a type with the two methods of [Transport]: Start asks for a
// session to be started, and Get looks at one. The package's example is a whole
// one, which passes the suite of package transporttest; begin with a copy of it.
//
// What else a driver can do it says by further interfaces, found by type
// assertion: [Describer] says what a repeated start does, [StartChecker] refuses
// ids before a start is queued, [BatchGetter] reads many sessions in one call,
// [BatchStarter] starts many in one call, [Lister] lists a studio. A [Mux]
// routes studios to transports and is one itself.
//
// # What a driver owes
//
//  1. Start begins with in.Check(), which checks the ref and the token, and Get
//     with ref.Check(): nobody else does it for the driver. Their error is
//     returned as it is.
//  2. Start asks for exactly one start. A repeat is the engine's decision, never
//     the driver's: it sends once and follows no redirect.
//  3. Every error is an [*Error]. A provider's refusal has the Kind that says
//     what it is; for everything else, an ended context too, return
//     transport.Classify(err), which knows whether the outcome is open.
//  4. NotSent is set only where it is certain that not one byte reached the
//     provider. A definite refusal is one of the kinds for which
//     [Kind.Refusal] is true.
//  5. OnlySession is set on an error that concerns one session alone, such as a
//     machine whose management controller does not answer. Without it the error
//     blocks every session of the lane.
//  6. No credential is part of an error's text.
//  7. A call ends when its context does. With a context that has ended already
//     it returns an error and has no effect: where the call below does not look
//     at its context, look at ctx.Err() first.
//  8. An answer is of the session that was asked for and has a State. Its times
//     are in UTC, so a time read from elsewhere is given as at.UTC(); its maps
//     and slices are shared with nobody.
//  9. The provider's reason for a state is in Session.StatusCode and
//     Session.StatusMessage. The result of a probe that the driver makes is in
//     Session.Probe, whether the machine answered or not.
//
// The suite transporttest states these as tests; every driver runs it.
//
// # Without a Describer
//
// Such a driver has the zero [Traits], with the defaults of [TraitsOf]: the most
// careful, and the slowest. Repeat is [RepeatNever], and the suite's tests of repeats
// are skipped. A start whose answer was lost, and whose session is STOPPED when
// the engine looks, is sent again only if Session.StartedAt shows that it had no
// effect; otherwise the operation ends FAILED, as ambiguous. Three things change
// this:
//
//   - [RepeatByToken] with a TokenMemory: the engine sends again, with the same token.
//   - [RepeatByState] with Authoritative: the engine sends again once a Get shows
//     STOPPED after the call's time-out and StaleFor. RepeatByState alone is not
//     enough: a machine that boots might be shown as STOPPED.
//   - Session.StartedAt, filled in by Get for a STOPPED session too, if the
//     provider knows it.
//
// StaleFor is 30 seconds: for so long after a start the engine doubts a Get that
// shows STOPPED.
// A session is looked at, and started, by a call of its own.
//
// # Concurrency
//
// The engine calls a transport from many goroutines at once: all methods are
// safe for concurrent use.
//
// # Errors
//
// Kinds are errors themselves: errors.Is(err, transport.KindThrottled) works on
// whatever wraps an *Error, and errors.As gives the *Error with its details. The
// engine takes an error that is no *Error, which no driver should return, for
// [KindUnknown]: it looks before it sends again.
package transport
