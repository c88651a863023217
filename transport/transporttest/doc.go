// Package transporttest is the conformance suite of [transport.Transport]. It tests
// what the port's documentation requires of every driver.
//
// # Usage
//
// A driver's test opens the driver on a provider that the suite may use. It returns
// a [Subject], which says what the suite can do with that provider:
//
//	func TestTransport(t *testing.T) {
//		transporttest.Run(t, func(t *testing.T) transporttest.Subject {
//			machine := newTestMachine(t)
//			return transporttest.Subject{
//				Transport: mydriver.New(machine.Addr()),
//				Stopped:   machine.NextStopped,
//				Missing:   transport.Ref{StudioID: "lab", SessionID: "nobody"},
//				Starts:    machine.Starts,
//			}
//		})
//	}
//
// Begin with Transport and Stopped, which are required, and run the tests with -v.
// A test that needs more is skipped, and its message names the field to set or the
// interface to implement. Set as many fields as your provider allows. Without Starts the
// suite cannot prove a claim of RepeatByToken or RepeatByState. A
// driver without a [transport.Describer] claims nothing about repeats.
//
// The suite finds interfaces by type assertion, and all other capabilities by the fields
// of [Subject] that are set.
//
// # What is tested
//
//   - Start: a STOPPED session becomes READY by one start, and the answer is about
//     that session. Repeats have no second effect where the traits say so: in
//     sequence, concurrently, and after a lost answer. BatchStart does for each
//     input what Start does, whatever the other inputs are.
//   - Refusals: the driver refuses a bad ref or token before it sends anything. The
//     error is KindInvalid with NotSent, as in.Validate() and ref.Validate() return
//     it. A [transport.StartChecker] refuses exactly what Start refuses. A session
//     that does not exist is KindNotFound. Errors are *transport.Error of a known
//     kind and hold no credential.
//   - Reads: Get changes nothing. BatchGet returns one result for each ref in
//     order, for duplicates and missing sessions too. List shows each session once.
//     Answers share nothing with later answers.
//   - Answers: they are about the session that was asked for, and have a State,
//     times in UTC, and the result of the driver's port probe if it makes one.
//   - Contexts: a call ends when its context does. With a context that has ended it
//     fails and has no effect.
//   - Networks: NotSent is claimed only where nothing was done. OnlySession is set
//     where one session is unreachable, and not where the provider is.
//   - Traits: they are the same at all times, and fit what the transport can do. A
//     driver that shows STOPPED while a session boots must not claim Authoritative.
//   - Provider: create, stop, start and delete, and their tokens.
//
// # Time
//
// The suite polls until a session is as expected, and gives up after
// [Subject].Patience. A provider that boots at once costs no time.
//
// # Concurrency
//
// The tests run one after another, so that a driver may have a single machine to
// show. Run the suite with the race detector.
package transporttest
