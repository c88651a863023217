package engine

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// lane is what a Run knows of the sessions that share an endpoint's fate and
// rate. run.mu guards it.
type lane struct {
	name   string
	cfg    LaneConfig
	stored *store.Lane // paused, Retry-After; shared with run.stored
	pace   *pace

	due    store.LaneDue // of the operations that are not claimed; zero: there is none
	merges uint64        // how often Due has reported it: see run.merge
	batch  int           // the most sessions of one read, by the latest traits
	starts int           // the most sessions of one start, by the latest traits

	sending, reading int  // calls in flight
	turn             bool // the last single slot went to a read, if sends waited too
	block            *block
	outages          []decide.Span // past times when it was blocked, the oldest first
	silent           int           // calls in a row without an answer
	silentRef        transport.Ref // the session of all those calls; zero: they were for several
	savedBlock       store.Block   // what is on disk of stored.Block
	savedAt          time.Time     // when it was written last, on the monotonic clock; zero: not in this Run
	throttledAt      time.Time     // when the provider began to throttle it, on the wall clock; zero: it does not
	clock            decide.ProviderClock
	dateAsked        bool // a session was read for the provider's date, with or without result
	dateAsking       bool // such a read is under way; sends wait

	quiet bool      // it was idle at the last sweep
	next  time.Time // when the dispatcher visits it again
	at    int       // its place in run.ready; -1: not in it
}

// block is why a lane is blocked: only trial calls are made, one at a time.
type block struct {
	reason  WaitReason // WaitOffline or WaitCredentials; stored.Block has the answer
	since   time.Time
	trialAt time.Time
	wait    time.Duration // the backoff of trial calls so far
	inTrial bool
}

// maxSilent calls in a row without any answer block a lane. If all of them were
// for one session, that session backs off by itself.
const maxSilent = 3

// freeSlots returns how many operations of the lane may be claimed now. If there are
// none it returns when to ask again. A zero time means when something changes.
func (l *lane) freeSlots(now, mono time.Time) (store.LaneSlots, time.Time) {
	r := store.LaneSlots{Lane: l.name}
	send, read := l.due.Send, l.due.Read
	if l.stored.Paused || l.dateAsking {
		send = time.Time{}
	}
	at := earliest(send, read)
	if at.IsZero() {
		return r, time.Time{}
	}
	if floor := l.floor(now); floor.After(at) {
		at = floor
	}
	if l.block != nil {
		return l.trialSlot(r, now, at, send, read)
	}
	if at.After(now) {
		return r, at
	}
	slots := l.cfg.Concurrency - l.sending - l.reading
	if slots <= 0 {
		return r, time.Time{} // the end of a call wakes the dispatcher
	}
	free := min(slots, l.pace.free(mono))
	if free == 0 {
		return r, now.Add(l.pace.wait(mono))
	}
	r.Sends, r.Reads = l.share(free, isDue(send, now), isDue(read, now))
	r.Sends *= max(1, l.starts)
	r.Reads *= max(1, l.batch)
	return r, time.Time{}
}

// hasSlot reports whether one more call may be made now, whatever is due.
func (l *lane) hasSlot(now, mono time.Time) bool {
	return l.block == nil && !l.floor(now).After(now) && l.sending+l.reading < l.cfg.Concurrency && l.pace.free(mono) > 0
}

// share divides free calls between sends and reads. Reads come first, but get at most
// half while sends wait.
func (l *lane) share(free int, sends, reads bool) (s, k int) {
	switch {
	case !sends:
		return 0, free
	case !reads:
		return free, 0
	}
	half := max(1, l.cfg.Concurrency/2)
	if free == 1 {
		l.turn = !l.turn
		if l.turn && l.reading < half || l.sending >= half && l.reading < half {
			return 0, 1
		}
		return 1, 0
	}
	k = min(free/2, max(0, half-l.reading))
	return free - k, k
}

// trialSlot gives one waiting operation to the trial call of a blocked lane, when
// that call is due.
func (l *lane) trialSlot(r store.LaneSlots, now, at, send, read time.Time) (store.LaneSlots, time.Time) {
	if l.block.inTrial {
		return r, time.Time{}
	}
	if at.Before(l.block.trialAt) {
		at = l.block.trialAt
	}
	switch {
	case at.After(now):
		return r, at
	case isDue(read, now):
		r.Reads = 1
	case isDue(send, now):
		r.Sends = 1
	}
	return r, time.Time{}
}

// floor returns the earliest time of the next call, by the provider's Retry-After. It
// is at most an hour after that answer. An answer that is dated in the future, by a
// clock that was wrong, does not count.
func (l *lane) floor(now time.Time) time.Time { return floorOf(l.stored, now) }

func floorOf(s *store.Lane, now time.Time) time.Time {
	if s.RetryAfter.IsZero() || s.RetryAfterHeard.After(now) {
		return time.Time{}
	}
	if most := s.RetryAfterHeard.Add(decide.MaxRetryAfter); s.RetryAfter.After(most) {
		return most
	}
	return s.RetryAfter
}

// answered updates block and pace by one answer. It returns the Retry-After to be
// stored; zero means none.
//
// The circuit breaker is written by hand. It has to know that an answer may concern one
// session alone, and that the trial call is a read of a real operation. Calls in flight
// at the time of a failure must not lengthen the backoff.
func (l *lane) answered(a decide.Answer, now, mono time.Time) (retryAfter time.Time) {
	switch {
	case a.OnlySession:
		if a.Trial && l.block != nil { // the next trial call is for another session
			l.block.inTrial, l.block.trialAt = false, now.Add(jitter(decide.Trials.First))
		}
		return time.Time{}
	case a.Kind == transport.KindUnreachable:
		l.setBlocked(WaitOffline, a, now)
		return time.Time{}
	case a.Kind == transport.KindCredentials:
		l.setBlocked(WaitCredentials, a, now)
		return time.Time{}
	case !a.Protocol():
		if l.silent == 0 {
			l.silentRef = a.Ref
		} else if l.silentRef != a.Ref {
			l.silentRef = transport.Ref{}
		}
		l.silent++
		if l.silent >= maxSilent && l.silentRef == (transport.Ref{}) || l.block != nil {
			l.setBlocked(WaitOffline, a, now)
		}
		return time.Time{}
	}
	l.silent = 0
	if l.block != nil {
		l.unblock(now, mono)
	}
	l.stored.Block = store.Block{} // also one of an earlier Run
	switch {
	case a.Kind == transport.KindThrottled:
		l.pace.throttled(mono, a.BeganMono)
		if l.throttledAt.IsZero() {
			l.throttledAt = now
		}
	default:
		l.pace.answered(mono)
		if l.pace.ramping || float64(l.pace.bucket.Limit()) >= l.pace.most {
			l.throttledAt = time.Time{}
		}
	}
	if a.RetryAfter > 0 {
		return now.Add(a.RetryAfter)
	}
	return time.Time{}
}

// setBlocked blocks the lane, or puts off its next trial call.
func (l *lane) setBlocked(why WaitReason, a decide.Answer, now time.Time) {
	if l.block == nil {
		l.block = &block{since: now}
	}
	b := l.block
	if a.Trial || b.wait == 0 && !b.inTrial { // other calls that were in flight do not add up
		b.wait = decide.Trials.Next(b.wait)
		b.trialAt = now.Add(jitter(b.wait))
		b.inTrial = false
	}
	b.reason = why
	l.noteBlock(why, a, now)
}

// unblock ends the block. The lane goes on, slowly at first.
func (l *lane) unblock(now, mono time.Time) {
	l.outages = addSpan(l.outages, decide.Span{From: l.block.since, To: now})
	l.block = nil
	l.pace.restart(mono)
}

// addSpan returns spans with s added. It keeps 64: beyond that the two oldest become
// one, which counts the time between them as well.
func addSpan(spans []decide.Span, s decide.Span) []decide.Span {
	const most = 64
	spans = append(spans, s)
	if len(spans) > most {
		spans[1].From = spans[0].From
		spans = spans[1:]
	}
	return spans
}

// unreachable returns how long since from the lane has been blocked.
func (l *lane) unreachable(from, now time.Time) time.Duration {
	spans := l.outages
	if l.block != nil {
		spans = append(spans[:len(spans):len(spans)], decide.Span{From: l.block.since, To: now})
	}
	return decide.SpanSum(spans, from)
}

// takeBack shortens the newest spans by d in all: a clock that is set back takes back
// the time by which it went ahead.
func takeBack(spans []decide.Span, d time.Duration) []decide.Span {
	for n := len(spans) - 1; n >= 0 && d > 0; n-- {
		part := min(d, spans[n].To.Sub(spans[n].From))
		spans[n].To = spans[n].To.Add(-part)
		d -= part
	}
	return spans
}

// within reports whether t lies in one of spans.
func within(spans []decide.Span, t time.Time) bool {
	return slices.ContainsFunc(spans, func(s decide.Span) bool { return !t.Before(s.From) && !t.After(s.To) })
}

// setBack moves the lane's times along with a wall clock that was set back.
func (l *lane) setBack(jump time.Duration) {
	for i := range l.outages {
		l.outages[i].From, l.outages[i].To = l.outages[i].From.Add(jump), l.outages[i].To.Add(jump)
	}
	if l.block != nil {
		l.block.since = l.block.since.Add(jump)
	}
}

// idle reports whether nothing of the lane has to be remembered.
func (l *lane) idle() bool {
	return l.due.Send.IsZero() && l.due.Read.IsZero() && l.sending == 0 && l.reading == 0
}

func isDue(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }

// earliest is the earlier of two times, where zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// jitter varies d by up to a tenth.
func jitter(d time.Duration) time.Duration { return decide.Jitter(d, rand.Int64N) }
