// Package studio is a session provider inside the process: sessions with a real
// life cycle, boot times, quotas and faults, and nothing behind them. It is what
// a program starts with before it has a provider, what the protocol's Handler
// can serve, and the test double for code that starts sessions.
//
// # Usage
//
//	s := studio.New(studio.Config{Boot: 2 * time.Minute})
//	s.Add("lab", "ws-1", "ws-2") // STOPPED
//	session, err := s.Start(ctx, transport.StartInput{
//		Ref:         transport.Ref{StudioID: "lab", SessionID: "ws-1"},
//		ClientToken: "2026-11-30-ws-1",
//	}) // START_IN_PROGRESS, and READY when looked at two minutes later
//
// Studios come into being when they are named. A test of one's own code runs in
// a synctest bubble, where two minutes take no time, says by [Config].Intercept
// what shall go wrong, and asks [Studio.Effects] at the end how often a session
// was really started: openlab_test.go beside this file is such a test.
//
// # Guarantees
//
//  1. A client token has one effect for as long as [Config].TokenMemory says,
//     counted from its first use. The same token again returns the session as
//     it is; for another session it is refused as Invalid. Tokens of different
//     actions are apart. A call that was refused leaves its token unused.
//  2. Only a STOPPED session starts. In any other state a start is a Conflict,
//     and where there is no session, NotFound.
//  3. What an answer claims is so: a call refused had no effect. A call whose
//     answer was lost is of kind Unknown, with or without an effect.
//  4. Reads show how things stood StaleFor ago; the answers to requests show
//     the present.
//  5. With the same Seed, Fault hits the same calls of a session, in whatever
//     order sessions are called.
//
// # Time
//
// There is no goroutine and no timer. What a session has become is worked out
// from the wall clock whenever it is looked at, so a studio needs no Close,
// costs nothing while idle, and follows the fake clock of a bubble.
//
// # Concurrency
//
// A [Studio] is safe for concurrent use. Intercept runs without a lock held and
// may call the studio.
//
// # Errors
//
// All errors are [*transport.Error]. Their codes are those of the protocol's
// service, "InsufficientCapacityException" apart, which it does not have.
//
// # Caveats
//
// Everything is in memory, unless the program keeps what [Studio.Save] returns
// and goes on from it by [Load]. A session stays there until it is deleted; a
// deleted one is shown as DELETED for an hour and then forgotten. There is one
// principal, "studio", and no access control.
package studio
