// Package store is the port to durable state. A driver implements [Store]: bolt keeps
// it in one file.
//
// # Records
//
// An [Operation] is one request, from its arrival to its end, as one record with a
// version. Enqueue creates operations, Apply changes them, Prune removes what has
// ended. Lanes and small records ([Lane], [Record]) hold what must survive a restart
// besides operations: pauses, blocks, pace, and what the caller stores under a name.
//
// # Feed
//
// Each change of an operation's phase is an [Event] of the feed, stored in the same
// commit. Some facts that change no phase are events too. Events are numbered from 1,
// and a [Cursor] is a place between two of them. A follower reads Events after its
// cursor, keeps the cursor of the last event, and calls Await at the head.
//
// # Claims
//
// A running engine must not hand the same operation to two workers, and must know what
// is due next. Own returns [Claims] for that, to one owner at a time. Claims are in the
// owner's memory: nothing is written, and they end with the context that Own was given.
// A run that begins finds every operation free.
//
// # Joins and later requests
//
// At most one operation of a session is active. A request for a session with an active
// operation joins it: the operation gets the earlier not-before and the later expiry of
// the two. Package driver has the exact rules.
//
// A send that was made before a request may not serve it: the session may have been
// stopped between the two. So an active operation that may have been sent keeps such a
// request as its [LaterRequest]. When the operation ends without having shown that the
// session is on, the request becomes an operation of its own, in the same commit.
//
// # Guarantees
//
//  1. What a call stored is durable when the call returns nil. No caller sees any of it
//     before it is durable.
//  2. At most one operation of a session is active, and a client token belongs to one
//     session. Enqueue applies these rules atomically.
//  3. A change is applied only to the version that it was made from. Otherwise it is
//     ErrFenced, and nothing of it is stored.
//  4. An operation and its events are stored together or not at all.
//  5. The feed is numbered from 1 without a gap and never changes. A follower that goes
//     on from a cursor misses nothing and sees nothing twice. If the feed cannot give
//     that, Events returns a *CursorError.
//  6. At most one owner claims at a time. A claimed operation is not claimed again until
//     it is applied with Release, or released, or the ownership ends.
//
// The suite storetest states them as tests, and every driver runs it.
//
// # Errors
//
// After ErrUnknown a call may have taken effect or not: repeat it with the same token,
// or read. ErrFull says that nothing was stored for lack of space; the store goes on.
// After ErrFailed the store is closed for good: what was acknowledged is safe, and the
// next opening finds it. ErrCorrupt says that a record is not as it was written.
// ErrClosed is returned after Close.
//
// # Cost
//
// The engine relies on this of every driver: Claim costs by what it names and takes,
// never by what else is pending, and Due and Await cost nothing while they wait.
package store
