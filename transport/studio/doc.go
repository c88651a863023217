// Package studio is a session provider inside the process. Its sessions have a real
// life cycle, boot times, quotas and faults, and no machines behind them. A program
// can start with it before it has a provider, nimble.Handler can serve it, and tests
// of code that starts sessions can use it as a test double.
//
// # Usage
//
//	s := studio.New(studio.Config{Boot: 2 * time.Minute})
//	s.Add("lab", "ws-1", "ws-2") // STOPPED
//	session, err := s.Start(ctx, transport.StartInput{
//		Ref:         transport.Ref{StudioID: "lab", SessionID: "ws-1"},
//		ClientToken: "2026-11-30-ws-1",
//	}) // START_IN_PROGRESS; a Get two minutes later shows READY
//
// A studio exists as soon as a call names it. Test your own code in a synctest bubble,
// where two minutes take no time. [Config].Intercept says what goes wrong, and
// [Studio.Effects] returns how often a session was really started. openlab_test.go
// in this folder is such a test.
//
// # Guarantees
//
//  1. A client token has one effect for [Config].TokenMemory, counted from its
//     first use. The same token again returns the session unchanged. For another
//     session the error is KindInvalid. Tokens of different actions are separate. A
//     call that was refused does not use up its token.
//  2. A start of a STOPPED session succeeds. In any other state the error is
//     KindConflict, and without a session it is KindNotFound.
//  3. A call that was refused had no effect. A call whose answer was lost returns
//     KindUnknown, with or without an effect.
//  4. Reads show the state of StaleFor ago. Answers to requests show the present.
//  5. With the same Seed, Fault hits the same calls of a session, in whatever order
//     the sessions are called.
//
// # Time
//
// There is no goroutine and no timer. Each call computes a session's state from the
// wall clock. So a studio needs no Close, costs nothing while it is idle, and follows
// the fake clock of a bubble.
//
// # Concurrency
//
// A [Studio] is safe for concurrent use. Intercept runs without a lock held and
// may call the studio.
//
// # Errors
//
// All errors are [*transport.Error]. Their codes are those of the Nimble protocol,
// except "InsufficientCapacityException", which the protocol does not have.
//
// # Caveats
//
// A studio is in memory. A program may keep what [Studio.Save] returns and continue from
// it with [Load]. A session stays until it is deleted. A deleted session
// is shown as DELETED for an hour and then forgotten. There is one principal,
// "studio", and no access control.
package studio
