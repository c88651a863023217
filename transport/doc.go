// Package transport is the port to a session provider: a system that can start a
// stopped workstation and report its state.
//
// # Usage
//
// A driver is a type with the two methods of [Transport]. Start asks the provider to
// start a session, and Get reads one. The package's example is a whole driver, which
// passes the suite of package transporttest. Begin with a copy of it.
//
// A driver may implement further interfaces, which callers find by type assertion:
//
//   - [Describer] returns what a repeated start does.
//   - [StartChecker] refuses ids before a start is queued.
//   - [BatchGetter] reads many sessions in one call.
//   - [BatchStarter] starts many sessions in one call.
//   - [Lister] lists the sessions of a studio.
//
// A [Mux] routes studios to transports, and is a transport itself.
//
// # What a driver must do
//
//  1. Start begins with in.Validate(), which checks the ref and the token, and Get
//     begins with ref.Validate(). No caller does it for the driver. Return their
//     error unchanged.
//  2. Start asks for exactly one start. It sends once and follows no redirect. Only
//     the engine repeats a start, never the driver.
//  3. Every error is an [*Error]. A provider's refusal has the Kind for its cause. For
//     every other error, including an ended context, return transport.Classify(err),
//     which decides whether the outcome is unknown.
//  4. NotSent is set only where it is certain that not one byte reached the
//     provider. A definite refusal has a kind for which [Kind.Refusal] is true.
//  5. OnlySession is set on an error that concerns only one session, such as a
//     machine whose management controller does not answer. Without it the error
//     blocks every session of the lane.
//  6. No error's text contains a credential.
//  7. A call ends when its context does. With a context that has already ended it
//     returns an error and has no effect. If the call below does not check its
//     context, check ctx.Err() first.
//  8. An answer is about the session that was asked for and has a State. Its times
//     are in UTC. Return a time from elsewhere as at.UTC(). The caller may change its
//     maps and slices.
//  9. The provider's reason for a state is in Session.StatusCode and
//     Session.StatusMessage. The result of a port probe that the driver makes is
//     in Session.Probe, whether the machine answered or not.
//
// The suite transporttest tests these rules, and every driver runs it.
//
// # Without a Describer
//
// Such a driver has the zero [Traits] with the defaults of [TraitsOf], which are
// the most careful and the slowest. Repeat is [RepeatNever], and the suite skips
// its tests of repeats. If an answer is lost and the engine then reads the session
// as STOPPED, it sends again only if Session.StartedAt proves that the start had no
// effect. Otherwise the operation ends FAILED, as ambiguous. Three things change
// this:
//
//   - [RepeatByToken] with a TokenMemory: the engine sends again, with the same token.
//   - [RepeatByState] with Authoritative: the engine sends again once a Get shows
//     STOPPED after the call's time-out and StaleFor. RepeatByState alone is not
//     enough: a machine that boots might be shown as STOPPED.
//   - Session.StartedAt, filled in by Get for a STOPPED session too, if the
//     provider knows it.
//
// StaleFor is 30 seconds. For so long after a start the engine does not trust a Get that
// shows STOPPED. Each session is read and started by a call of its own.
//
// # Concurrency
//
// The engine calls a transport from many goroutines at once, so all methods must be
// safe for concurrent use.
//
// # Errors
//
// Kinds are errors themselves: errors.Is(err, transport.KindThrottled) works on any
// error that wraps an *Error, and errors.As returns the *Error with its details. No
// driver should return an error that is no *Error. The engine treats such an error as
// [KindUnknown] and confirms by a Get before it sends again.
package transport
