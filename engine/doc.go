// Package engine starts sessions once, and reports the end of each start once.
//
// A host embeds it: a render-farm scheduler, a desktop launcher, a tool that must
// work offline. The host asks for a session to be started. It may then crash, lose
// the network or be rebooted. The next [Engine.Run] carries the start out as soon as
// it can, and the host reads in the feed what became of it.
//
// # Usage
//
// [Open] a file, ask with [Engine.Start], and let [Engine.Run] work meanwhile:
//
//	e, err := engine.Open("rouse.db", provider, engine.Config{})
//	…
//	defer e.Close()
//	go e.Run(ctx)
//	r, err := e.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "studio", SessionID: "ws-1"}})
//	…
//	op, err := e.Wait(ctx, r.ID)
//
// Start, Cancel and the look-ups need no Run, so a command-line tool can queue a
// start and exit. A host that must know of every end reads [Engine.Follow]. It stores
// the cursor together with what it did.
//
// A host imports this package and a transport: aliases.go has the types, errors and
// constants of the packages below that a host meets.
//
// # Guarantees
//
//  1. When Start returns, the request is on disk. Nothing loses it.
//  2. An operation starts its session at most once. The engine commits that a send may
//     happen before the first byte of the send. After a send with unknown outcome it
//     reads the session before it sends again, with the same client token. This is
//     exact where the provider honours the token, for as long as the provider
//     remembers it. By state alone it holds with three exceptions: a request that
//     reaches the provider later than Config.Timeout; a request that reaches it twice;
//     and, if the provider's state is authoritative (transport.Traits), a session that
//     a send of unknown outcome started and that is stopped before the engine reads it.
//  3. Every operation ends once, and the feed says so once, in order.
//  4. Starts wait while the provider cannot be reached. No attempt is counted, and one
//     trial call at a time tests whether the provider is back. The block of the lane is
//     stored once. After that, an operation is written only to end it, to record once
//     that its deadline has passed, or to correct the times of a clock that was wrong.
//  5. An operation that could not be sent before its expiry ends EXPIRED and is never
//     sent.
//  6. Memory is bounded: calls in flight, about 64 bytes for each pending operation,
//     and a few hundred bytes for each active lane and for each session that boots. No
//     operation has a goroutine, a timer or a state machine of its own.
//  7. Credentials never reach the store, the feed or the log.
//  8. Explain says of any operation why it waits, since when, what comes next, what
//     would unblock it, and what the provider and the port probe last said. Reason,
//     error and attempts are stored when they change, so Explain says this after a Run
//     too.
//
// A store that was copied to another machine is a foreign store there. The engine
// takes requests and answers questions, but sends, reads and ends nothing until
// [Engine.Adopt].
//
// # Requests for the same session
//
// At most one operation is active for a session. A request without a client token
// joins it. While nothing was sent, the earlier not-before and the later expiry count,
// and an attempt that an error puts off comes soon.
//
// After the send, the session may have been stopped again before the request. So the
// operation keeps the request as a later request ([LaterRequest]). If the session is
// READY after the request, the later request is served and starts nothing. If the
// operation ends and the session may be off, the same commit turns the later request
// into an operation of its own. Receipt.ID names what to wait for in either case.
//
// A READY that may be older than the request does not serve it. That is one read
// within transport.Traits.StaleFor of the request, or in answer to a call that began
// before the request. The later request then becomes an operation too, whose start
// finds the session READY and ends.
//
// # Who asks
//
// Request.RequestedBy, and by of the other calls, is the person or host in whose name
// a call is made, at most 128 bytes. It is kept for people and grants nothing. Start
// and Retry store it with the operation, and the feed's first event has it. Cancel and
// Adopt store it in their event, Pause and Resume with the lane. RetryNow logs it.
// Request.Source is the program that asks.
//
// # The life of an operation
//
// [Engine.Start] makes the record of a request (start.go), and the store commits it
// with its first event. The dispatcher claims it when it is due and its lane has free
// slots (dispatch.go, lane.go). A worker carries it out in five steps (worker.go):
//
//   - claim: nothing else touches the operation until it is released.
//   - intent: the worker commits that a send may happen.
//   - call: the transport sends the start, or reads the session.
//   - decide: package decide says what the answer means for the operation.
//   - apply: the store commits the decision with its events.
//
// An accepted start is polled until the session is READY. [Engine.Wait] and
// [Engine.Watch] follow the feed (follower.go). [Engine.Explain] applies the rules of
// waits.go to the record, the lane and what the Run has read, and sentence.go turns
// the result into text.
//
// # Lanes
//
// A lane is the sessions that share an endpoint's fate and rate limit, by default a
// studio. It has a concurrency and a rate. The rate begins low and falls when the
// provider throttles. These block a lane: an error of kind Unreachable, refused
// credentials, and three calls in a row without an answer, unless all three were for
// one session. Any answer unblocks it. An error that concerns one session only
// (transport.Error.OnlySession) leaves the lane as it is, and that session backs off.
//
// # Time
//
// Due times are wall-clock times. Timers stand still while a laptop sleeps, so the
// dispatcher wakes every 30 seconds while anything is active. It compares the wall
// clock with the monotonic clock to notice a jump.
//
// The wall clock is trusted about what has expired when a provider's date confirms it,
// or after it has behaved for ten minutes. Until then an operation that looks expired
// is neither sent nor ended. A jump of more than five minutes ends the trust. A small
// record in the store carries the trust, and the ten minutes, from Run to Run:
//
//   - Within one boot of the machine, the clock since boot (CLOCK_BOOTTIME, which
//     cannot be set) proves that the wall clock behaved while nothing ran. The time
//     between two Runs counts.
//   - After another boot the ten minutes begin again, unless the wall clock has moved
//     by less than five minutes.
//   - Without a clock since boot (on systems other than Linux), the ten minutes
//     continue after up to an hour, and gaps of more than five minutes do not count.
//
// The record is written when a Run with something to do begins and ends, and when a
// date first confirms the clock. An idle Run writes nothing.
//
// The clock since boot also proves the age of a request within its boot. So a request
// ends at its expiry even while the wall clock is not trusted. A request that only
// seems to have outlived its expiry is carried out. A time before 2020 comes from a
// clock that was never set, and proves no expiry. Once the clock is trusted, a request
// with such a time is dated again, with the times that were counted from it. A request
// that is later than a clock that was never set is not sent; Explain names the clock.
//
// A session that a read shows STOPPED may have been started before or after a send.
// The provider's clock, as it was known at the send, tells which. A time that an
// earlier Run took from its own clock alone proves nothing: where no token helps, such
// a start ends FAILED (ambiguous). A startedAt from before the request proves that no
// send of it had an effect. This counts within the boot of the request, and for
// operations that a backup or another machine never sent. So a Run reads the session
// once before it sends anything to a provider that remembers no token.
//
// A send with unknown outcome is confirmed when it must have arrived: Timeout plus 15
// seconds after its intent. Storing an intent may take those 15 seconds. The time that
// the machine was awake since tells this, or the provider's dates. Without either, it
// is Timeout after Run began.
//
// The boot timeout counts the time in which Runs could poll. It stands still while the
// lane is blocked, while the session gives no answer, and between two Runs that are
// more than ten minutes apart. (Counting that time would end boots that no Run saw
// fail.) A day past the boot timeout by the wall clock, the operation ends all the
// same. That day does not count what the wall clock went ahead of the time that the
// machine was awake. Polls follow a schedule that is counted from acceptance, so a
// restart resumes it without a record.
//
// # Goroutines
//
//	name        owns                     woken by                      ends
//	Run         the dispatcher, lanes    the store's Due, workers      with its context, or Close
//	followDues  –                        the store's Due               before Run drains
//	worker      the operations it holds  –                             when they are applied; Run waits for it
//	follower    the waiters of Wait      the feed                      with the last waiter, or Close
//
// One mutex guards the lanes. It is never held across a call of the store or the
// transport.
//
// # Errors
//
// Every error can be matched with errors.Is or errors.As: those of this package,
// [ErrNotFound], [*ConflictError], [*ExpiryError], [ErrUnknown], [ErrFull],
// [*CursorError], and [*ProviderError] of kind [ErrorKindInvalid] for a request that
// cannot be right.
//
// # Caveats
//
// One process owns a file. Two engines on one provider's session do not know of each
// other.
//
// Guarantee 2 relies on the clock of the machine that acknowledged a start if a backup
// is restored or a store adopted. That clock must not have been ahead by more than ten
// minutes if the session was started and stopped elsewhere since.
//
// Guarantee 2 does not cover one case. The clock was ahead when a Run sent for the
// first time, no answer had shown it the provider's clock, the outcome of that send
// stayed unknown, and the next Run's clock is right. The engine then takes the client
// token for younger than it is, by as much as the clock was ahead. A session that the
// send started and that was stopped since is started again if the provider forgot the
// token in that time: see [transport.Traits].TokenMemory.
package engine
