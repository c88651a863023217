// Package store is the port to durable state: the operations, the feed of what
// became of them, and what is known of each lane.
//
// # Guarantees
//
//  1. What Enqueue, Apply, SetPaused, SetRetryAfter, SetBlock and SetPace changed is
//     durable when they return nil. Nothing is shown to anyone before it is durable.
//  2. One operation is active for a session at a time, and a client token
//     belongs to one session. [Decide] states the rules, and Enqueue applies
//     them atomically.
//  3. A change is applied only to the version that it was made from; else it is
//     ErrFenced and nothing of it is stored.
//  4. An operation and its event are stored together or not at all.
//  5. The feed is numbered from 1 without a gap, and never changes. A reader
//     that goes on from a cursor misses nothing and sees nothing twice; if the
//     feed cannot give that, it says so by a *CursorError.
//  6. At most one owner claims at a time. A claimed operation is not claimed again
//     until it is applied with Release, or released, or the ownership ends.
//
// The suite storetest states them as tests; every driver runs it.
//
// # Errors
//
// A call that returns ErrUnknown may have happened: ask again with the same
// token, or read. After ErrFailed the store is shut: what was acknowledged is
// safe in the file, and the next opening finds it.
//
// # What the engine asks of a driver's speed
//
// Claim costs by what it names and takes, never by what else is pending.
// Due and Await cost nothing while they wait.
package store
