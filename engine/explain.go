package engine

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
)

// WaitReason says why an operation waits. "" means that the operation has ended.
type WaitReason string

// Why an operation waits.
const (
	WaitForeignStore   WaitReason = "foreign_store" // the store belongs to another machine and is not adopted
	WaitNotRunning     WaitReason = "not_running"   // this engine has no Run
	WaitScheduled      WaitReason = "scheduled"     // its not-before lies ahead
	WaitUntrustedClock WaitReason = "clock"         // it looks expired, but the clock is not trusted
	WaitStoreFull      WaitReason = "store_full"    // the store has no space
	WaitOffline        WaitReason = "offline"       // the lane's provider, or this session alone, cannot be reached
	WaitCredentials    WaitReason = "credentials"   // the lane's credentials are refused, or this session's
	WaitPaused         WaitReason = "paused"        // the lane's sends are paused
	WaitThrottled      WaitReason = "throttled"     // the provider asked the lane to wait, or slows it down
	WaitQuota          WaitReason = "quota"
	WaitCapacity       WaitReason = "capacity"
	WaitConflict       WaitReason = "conflict"
	WaitBackoff        WaitReason = "backoff"    // after another refusal or failure
	WaitConfirm        WaitReason = "confirming" // a send's outcome is unknown, until the session is read
	WaitBooting        WaitReason = "booting"    // the start was accepted
	WaitQueued         WaitReason = "queued"     // it waits for its turn in the lane
)

// Explanation says why an operation waits, since when, and what comes next.
// Explain derives it from the record, the lane, and what the present Run has
// read. Without a Run it shows what is stored.
type Explanation struct {
	Operation Operation
	Waiting   WaitReason
	// Since is when the operation began to wait for Waiting. A refused attempt does not
	// change it.
	Since   time.Time
	Next    time.Time // the next step; zero: only what Unblock says brings one
	Unblock string    // what the operation waits for
	// Error is the last error: of the blocked lane, or else of the operation. ErrorAt is
	// when it was received. "" and zero mean that there was none.
	Error   string
	ErrorAt time.Time
	// Also is what the operation waits for as well, as far as that is stored, if Waiting
	// is WaitForeignStore or WaitNotRunning. AlsoSince is when that began. "" and zero
	// mean that nothing is stored.
	Also      WaitReason
	AlsoSince time.Time
	// OnlySession says that Waiting or Also is WaitOffline, WaitCredentials or
	// WaitThrottled for this session only. The other sessions of its lane go on.
	OnlySession bool
	// Seen is the session as it was read last.
	Seen Seen
	// Text says all of this in one sentence for a person. Its times are RFC 3339 in
	// UTC, and it has no durations, so it may be stored and read later.
	Text string
}

// differs reports whether Watch yields y after x. A next step that moved by less than
// a second is the same one.
func (x *Explanation) differs(y Explanation) bool {
	moved := x.Next.Sub(y.Next).Abs() >= time.Second || x.Next.IsZero() != y.Next.IsZero()
	return moved || x.Operation.Phase != y.Operation.Phase || x.Operation.Attempts != y.Operation.Attempts ||
		x.Waiting != y.Waiting || x.Also != y.Also || x.OnlySession != y.OnlySession || x.Error != y.Error || !x.Seen.says(y.Seen)
}

// Explain returns why an operation waits, or how it ended. The errors are those of
// [Engine.Get].
func (e *Engine) Explain(ctx context.Context, id ID) (Explanation, error) {
	op, err := e.Get(ctx, id)
	if err != nil {
		return Explanation{}, err
	}
	if op.Phase.Ended() {
		return explained(op, situation{}), nil
	}
	foreign, err := e.foreign(ctx)
	if err != nil {
		return Explanation{}, e.storeError(err)
	}
	s := e.situation(op)
	s.foreign = foreign
	if !s.running {
		if s.lane, err = e.store.Lane(ctx, op.Lane); err != nil {
			return Explanation{}, e.storeError(err)
		}
	}
	return explained(op, s), nil
}

// explained applies the rules. The first rule that applies gives the reason, since the
// operation cannot go on before that rule ends.
func explained(op Operation, s situation) Explanation {
	x := Explanation{Operation: op, Since: op.CreatedAt, Error: op.LastError, ErrorAt: op.LastErrorAt, Seen: s.seen}
	if x.Seen == (Seen{}) {
		x.Seen = storedSeen(&op)
	}
	if op.Phase.Ended() {
		x.Since = op.FinishedAt
		x.Text = endText(op)
		return x
	}
	for _, rule := range waits {
		w := rule(&op, s)
		if w == nil {
			continue
		}
		if b := s.lane.Block; string(w.reason) == b.Reason { // another operation's answer may have blocked it
			x.Error, x.ErrorAt = b.Error, b.At
		}
		x.OnlySession = x.onlySession(w.reason, s)
		if x.Waiting != "" {
			x.Also, x.AlsoSince = w.reason, noLater(w.since, s.now)
			if w.next.After(s.now) {
				x.Next = w.next
			}
			break
		}
		x.Waiting, x.Since, x.Next, x.Unblock = w.reason, noLater(w.since, s.now), w.next, w.unblock
		if x.Waiting != WaitForeignStore && x.Waiting != WaitNotRunning {
			break
		}
		s.stored = true
	}
	x.Text = x.sentence(s)
	return x
}

// situation is what Explain knows apart from the record.
type situation struct {
	now       time.Time
	foreign   *store.Foreign
	running   bool
	stored    bool          // no Run may go on: only what is stored counts
	untrusted time.Duration // for how long the clock is not trusted yet
	clock     clockWait     // what keeps an operation that may have expired
	full      time.Duration // for how long nothing is sent because the store had no space
	lane      store.Lane
	trial     time.Time // the next trial call of a blocked lane; zero: when there is one is not known
	slow      bool
	slowed    time.Time // when the provider began to throttle the lane; zero: not in this Run
	next      time.Time // when the operation is due
	silent    time.Time // since when reads of the session have had no answer; zero: the last one had
	reads     int       // reads in a row that decided nothing
	seen      Seen
}

// situation returns what the Run knows. Without a Run that is the time alone.
func (e *Engine) situation(op Operation) situation {
	s := situation{now: e.now(), next: op.DueAt}
	r := e.current()
	if r == nil {
		s.clock = clockWaitOf(&op, s.now, e.up(), decide.Trust{Earliest: e.earliest})
		s.next = noLater(s.next, s.now.Add(decide.Longest)) // a later time comes from a wrong clock, and a Run brings it forward
		return s
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noticeJump()
	s.now = r.watch.wall
	mono := time.Now()
	s.running = true
	if !r.fullAt.IsZero() {
		s.full = max(time.Millisecond, fullPause-mono.Sub(r.fullAt))
	}
	_, s.untrusted = r.watch.trusted(mono)
	s.clock = clockWaitOf(&op, s.now, r.watch.up, r.trust(&op))
	most := s.now.Add(decide.Longest) // a later time comes from a wrong clock, and was brought forward
	seen := r.sightings[op.ID]
	s.silent, s.reads = seen.Silent, seen.Reads
	if due := seen.Due; due.After(s.next) || !due.IsZero() && s.next.After(most) {
		s.next = due
	}
	s.next = noLater(s.next, most)
	s.seen = r.lastRead[op.ID]
	if known := r.stored[op.Lane]; known != nil {
		s.lane = *known
	}
	if l := r.lanes[op.Lane]; l != nil {
		s.slow = !l.pace.ramping && l.pace.wait(mono) > 0
		s.slowed = l.throttledAt
		if l.block != nil {
			s.trial = l.block.trialAt
		}
	}
	return s
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// noLater returns t, or limit if t is later.
func noLater(t, limit time.Time) time.Time {
	if t.After(limit) {
		return limit
	}
	return t
}
