// Package engine starts sessions, once, and says so, once.
//
// A host embeds it: a render-farm scheduler, a desktop launcher, a tool that
// must work offline. It asks for a session to be started and may then crash,
// lose the network or be rebooted: the start is carried out when it can be, by
// whichever Run comes next, and the host reads in the feed what became of it.
//
// # Usage
//
// [Open] a file, [Engine.Start] what is wanted, and keep [Engine.Run] going
// beside it:
//
//	e, err := engine.Open("rouse.db", provider, engine.Config{})
//	…
//	defer e.Close()
//	go e.Run(ctx)
//	r, err := e.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "studio", SessionID: "ws-1"}})
//	…
//	op, err := e.Wait(ctx, r.ID)
//
// Start, Cancel and the look-ups need no Run, so a command-line tool can queue
// a start and exit. A host that must know of every end reads [Engine.Follow]
// and stores the cursor with what it did.
//
// # Guarantees
//
//  1. When Start returns, the request is on disk. Nothing loses it.
//  2. An operation starts its session at most once. That a send may have
//     happened is committed before its first byte; after a send whose outcome
//     is unknown the engine looks before it sends again, with the same client
//     token. This is exact where the provider honours the token, for as long as
//     it remembers it. By state alone it holds unless a request reaches the
//     provider later than Config.Timeout, or twice, or, if the provider's state is
//     authoritative (transport.Traits), a session that was started by a send of
//     unknown outcome is stopped again before the engine looks.
//  3. Every operation ends once, and the feed says so once, in order.
//  4. Offline, starts wait: no attempt is charged, and one trial call at a time
//     looks whether the lane's provider is back. One note says that the lane is
//     blocked. After it, an operation is written only to end it, to note once that
//     its deadline has passed, or to correct the times of a clock that was wrong.
//  5. What could not be sent before its expiry ends EXPIRED and is never sent.
//  6. Memory is bounded: what is in flight, about 64 bytes for each pending
//     operation, and a few hundred for each active lane and for each session that
//     boots. No operation has a goroutine, a timer or a state machine of its own.
//  7. Credentials never reach the store, the feed or the log.
//  8. Explain says of any operation why it waits, since when, what comes next,
//     what would unblock it, and what the provider and the port probe said last.
//     Reason, error and attempts are stored, once when they change, so that it
//     says so after a Run too.
//
// A store that was copied to another machine is held there: requests are taken and
// questions answered, and nothing is sent, looked at or ended until [Engine.Adopt].
//
// # Requests for the same session
//
// One operation is active for a session at a time. A request without a client
// token joins it: while nothing was sent, the earlier not-before and the later
// expiry count, and a try that an error puts off comes soon. Once the start was
// sent, the session may have been stopped again before the request, so the
// operation keeps the request as a later wish (store.LaterRequest). If the session is READY
// after the request, the wish is served, and starts nothing. If the operation ends
// and the session may be off, the same commit makes the wish an operation of its
// own. Each end has its row in wish.go. Receipt.ID names what to wait for in
// either case.
//
// A READY that may be older than the request does not serve it: within
// transport.Traits.StaleFor of the request, or in answer to a call that was
// already on its way. Then the wish becomes an operation too, whose start finds the
// session READY and ends.
//
// # How it works
//
// A dispatcher claims from the store what is due, as far as each lane has room,
// and gives each call to a worker. A worker decides, commits, and then acts; only
// it touches the operations that it was given. What an answer means stands in
// one table, answers; each field of it is a ruling, a pure function of the
// record and the answer.
//
// A lane is the sessions that share an endpoint's fate and rate, by default a
// studio. It has a concurrency and a rate, which begins low and slows down when the
// provider throttles. The lane is blocked by Unreachable, by refused credentials,
// and by three calls in a row without an answer, unless all of them were for one
// session. Any answer unblocks it. An error that concerns one session only
// (transport.Error.OnlySession) leaves the lane as it is: that session backs off
// by itself.
//
// # Time
//
// Due times are wall-clock times, and no timer is trusted for more than 30
// seconds while anything is active, because timers stand still while a laptop
// sleeps. A wall clock that jumped is noticed against the monotonic one.
//
// The wall clock is trusted about what has expired when a provider's date confirms
// it, or after it has behaved for ten minutes. Until then what looks expired is
// neither sent nor ended. A jump of more than five minutes ends the trust. A small
// record in the store carries the trust, and the ten minutes, from Run to Run:
//
//   - Within one boot of the machine, the clock since boot (CLOCK_BOOTTIME, which
//     cannot be set) proves that the wall clock behaved while nothing ran. The time
//     between two Runs counts.
//   - After another boot the wait begins again, unless the wall clock has moved by
//     less than five minutes.
//   - Where there is no clock since boot (on systems other than Linux), the wait
//     goes on after up to an hour, and gaps of more than five minutes do not count.
//
// The record is written when a Run with something to do begins and ends, and when a
// date first confirms the clock. An idle Run writes nothing.
//
// The clock since boot also proves the age of a request within its boot. So a
// request ends at its expiry even while the wall clock is not trusted, and one that
// the wall clock only seems to have outlived is carried out. A time before 2020 is
// of a clock that was never set: it is no evidence for an expiry. Once the clock is
// trusted, a request from then is dated again, with the times that were counted
// from it. A request that is later than a clock that was never set is not sent;
// Explain names the clock.
//
// Whether a session that a look shows STOPPED was started before or after a send
// is told by the provider's clock, as it was known at the send. What an earlier
// Run dated by its own clock only is not believed: where no token helps, such a
// start ends as ambiguous. A startedAt from before the request proves that no send
// of it had an effect; this counts within the boot of the request, and for what a
// backup or another machine has never sent. So a Run looks once before it sends
// anything to a provider that remembers no token: where its answers carry a date,
// nothing is lost by that.
//
// A send of unknown outcome is read again when it must have arrived: Timeout and
// 15 seconds, which an intent may take to be stored, after that intent. The time
// that the machine was awake since tells this, or the provider's dates. Without
// either, it is Timeout after Run began.
//
// The boot timeout counts the time in which Runs could poll. It stands still while
// the lane is blocked, while the session gives no answer, and between two Runs that
// are more than ten minutes apart. (Counting that time would end boots that no Run
// saw fail.) A day past the boot timeout by the wall clock it ends all the same, but
// for what that clock went ahead of the time that the machine was awake.
// Polls follow backoff's schedule counted from acceptance, which a restart resumes
// without anything having been stored.
//
// # Goroutines
//
//	name        owns                     woken by                      ends
//	Run         the dispatcher, lanes    the store's Due, workers      with its context, or Close
//	followDues  –                        the store's Due               before Run drains
//	worker      the operations it holds  –                             when they are settled; Run waits for it
//	herald      the waiters of Wait      the feed                      with the last waiter, or Close
//
// One mutex guards the lanes; it is never held across a call of the store or
// the transport.
//
// # Errors
//
// Every error can be matched with errors.Is or errors.As: those of this package,
// [store.ErrNotFound], [*store.ConflictError], [*store.ExpiryError],
// [store.ErrUnknown], [store.ErrFull], [*store.CursorError], and
// [*transport.Error] of kind Invalid for a request that cannot be right.
//
// # Caveats
//
// One process owns a file. Two engines on one provider's session do not know of
// each other.
//
// Guarantee 2 relies on the clock of the machine that acknowledged a start where a
// backup is restored or a store adopted: it must not have been ahead by more than
// ten minutes, if the session was started and stopped elsewhere since.
//
// One case is beyond guarantee 2: the clock was ahead when a Run sent for the first
// time, no answer had told it the provider's clock, the outcome of that send was
// not told, and the next Run's clock is right. Then the client token is taken for
// younger than it is, by as much as the clock was ahead. A session that was started
// by it and stopped since is started again, if the provider forgot the token in
// that much time: see [transport.Traits].TokenMemory.
package engine
