// Package transporttest is the conformance suite of transport.Transport: what
// the port's documentation promises, as tests that every driver runs.
//
// # Usage
//
// A driver's test opens the driver on a provider that the suite may use, and
// hands over what the suite can do with it:
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
// Only Transport and Stopped are required. The suite asks for capabilities,
// never for names: interfaces by type assertion, the rest by which fields of
// [Subject] are set. A test whose capability is absent is skipped and says
// what would have it run. The more a Subject can do, the more is proven; a driver
// that claims ByToken or ByState and counts no Starts has not shown it, and one
// without a transport.Describer claims nothing of repeats.
//
// # What is tested
//
//   - Start: a STOPPED session becomes READY by one start, whose answer shows
//     the session asked for; repeats have no second effect where the traits say
//     so, in sequence and concurrently, and after a lost answer. BatchStart does
//     for each member what Start does, in whatever company.
//   - Refusals: refs and tokens that are not valid are Invalid and not sent, as by
//     in.Validate() and ref.Validate(); a transport.StartChecker refuses what Start
//     refuses, and no more; a session that does not exist is NotFound; errors are
//     *transport.Error, by transport.Classify where the provider gave no verdict, of
//     a known kind, and hold no credential.
//   - Reads: Get changes nothing; BatchGet answers in order and length, with
//     duplicates and with sessions that do not exist; List shows each session
//     once; what is returned shares nothing with later answers.
//   - Answers: the session that was asked for, with a State, and times in UTC;
//     the result of the driver's probe, if it makes one.
//   - Contexts: a call ends when its context does, and with one that is cancelled
//     already it fails and has no effect.
//   - Networks: NotSent is claimed only where nothing was done; OnlySession where
//     one session is unreachable, and not where the provider is.
//   - Traits: the same at all times, and fitting what the transport can do.
//     Authoritative is not claimed by a driver that shows STOPPED while a session
//     boots.
//   - Provider: create, stop, start and delete, and their tokens.
//
// # Time
//
// The suite polls until a session is as expected, and gives up after
// [Subject].Patience. A provider that boots at once costs no time at all.
//
// # Concurrency
//
// The tests run one after another, so that a driver may have a single machine
// to show. Run the suite with the race detector.
package transporttest
