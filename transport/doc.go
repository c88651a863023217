// Package transport is the port to a session provider: whatever can start a
// stopped workstation and say how it is.
//
// A provider must do two things, [Transport]: start a session and look at one.
// What else it can do it says by further interfaces, found by type assertion:
// [Describer], [BatchGetter], [Lister]. A [Provider] does everything a server of
// the protocol needs. A [Mux] routes studios to transports and is one itself.
//
// # What a driver owes
//
//  1. Start asks for exactly one start. A repeat is the engine's decision, never
//     the driver's: it sends once and follows no redirect.
//  2. The error of a refused or failed call is an [*Error]; its Kind says what
//     kind of refusal. Any other error means that the outcome is unknown.
//  3. NotSent is set only where it is certain that not one byte reached the
//     provider. A definite refusal is one of the kinds for which
//     [Kind.Refusal] is true.
//  4. No credential is part of an error's text.
//  5. A call ends when its context does.
//
// The suite transporttest states these as tests; every driver runs it.
//
// # Errors
//
// Kinds are errors themselves: errors.Is(err, transport.Throttled) works on
// whatever wraps an *Error, and errors.As gives the *Error with its details.
package transport
