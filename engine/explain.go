package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Waiting says why an operation waits. "" is one that has ended.
type Waiting string

// Why an operation waits.
const (
	Held        Waiting = "held"        // the store belongs to another machine, and was not adopted
	NotRunning  Waiting = "not_running" // no Run of this engine goes on
	Scheduled   Waiting = "scheduled"   // its not-before lies ahead
	ClockHeld   Waiting = "clock"       // it looks expired, but the clock is in doubt
	StoreFull   Waiting = "store_full"  // the store has no space
	Offline     Waiting = "offline"     // the lane's provider cannot be reached
	Credentials Waiting = "credentials" // the lane's credentials are refused
	Paused      Waiting = "paused"      // somebody paused the lane's sends
	Throttled   Waiting = "throttled"   // the provider asked the lane to wait, or slows it down
	Quota       Waiting = "quota"
	Capacity    Waiting = "capacity"
	Conflict    Waiting = "conflict"
	Backoff     Waiting = "backoff" // after another refusal or failure
	Looking     Waiting = "looking" // a send's outcome is not known; a look tells
	Booting     Waiting = "booting" // the start was accepted
	Queued      Waiting = "queued"  // its turn comes
)

// Explanation says why an operation waits, since when, and what comes next. It
// is derived from the record and the lane at the moment of asking.
type Explanation struct {
	Operation Operation
	Reason    Waiting
	Since     time.Time
	Next      time.Time // the next step; zero: it depends on what Unblock says
	Unblock   string    // what would make it go on
	Error     string    // what went wrong last, of its closed lane, else of itself; "": nothing
	Text      string    // all of it in a sentence for a person
}

func (x *Explanation) differs(y Explanation) bool {
	return x.Operation.Phase != y.Operation.Phase || x.Reason != y.Reason ||
		x.Operation.Session != y.Operation.Session || x.Error != y.Error
}

// Explain says why an operation waits, or how it ended. The error is Get's.
func (e *Engine) Explain(ctx context.Context, id ID) (Explanation, error) {
	op, err := e.Get(ctx, id)
	if err != nil {
		return Explanation{}, err
	}
	held, err := e.held(ctx)
	if err != nil {
		return Explanation{}, e.storeError(err)
	}
	return e.explain(op, held), nil
}

// explain needs no look at the store. The first of the reasons that applies
// counts: what would unblock the ones after it does not help before.
func (e *Engine) explain(op Operation, held *store.Held) Explanation {
	x := Explanation{Operation: op, Since: op.CreatedAt, Error: op.LastError}
	if op.Phase.Ended() {
		x.Since = op.FinishedAt
		x.Text = endText(op)
		return x
	}
	s := e.look(op)
	s.held = held
	for _, rule := range waits {
		if w := rule(&op, s); w != nil {
			x.Reason, x.Since, x.Next, x.Unblock = w.reason, w.since, w.next, w.unblock
			if s.block != nil && w.reason == s.block.why { // an answer of another operation's may have closed it
				x.Error = s.block.said
			}
			break
		}
	}
	x.Text = x.sentence(s.now)
	return x
}

// scene is what Explain sees beside the record.
type scene struct {
	now     time.Time
	held    *store.Held
	running bool
	doubt   time.Duration // for how long the clock is not believed yet
	full    time.Duration // for how long nothing is sent because the store had no space
	lane    store.Lane
	block   *block
	floor   time.Time
	slow    bool
	next    time.Time // when it is due
}

func (e *Engine) look(op Operation) scene {
	s := scene{now: e.now()}
	r := e.current()
	if r == nil {
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
	_, s.doubt = r.watch.believed(mono)
	s.next = op.DueAt
	most := s.now.Add(longest) // what is further ahead is a time of a clock that was, and was pulled in
	if due := r.seen[op.ID].due; due.After(s.next) || !due.IsZero() && s.next.After(most) {
		s.next = due
	}
	if s.next.After(most) {
		s.next = most
	}
	if known := r.stored[op.Lane]; known != nil {
		s.lane = *known
	}
	if l := r.lanes[op.Lane]; l != nil {
		s.floor = l.floor(s.now)
		s.slow = !l.pace.ramping && l.pace.wait(mono) > 0
		if l.block != nil {
			b := *l.block
			s.block = &b
		}
	}
	return s
}

// wait is what one rule of Explain says.
type wait struct {
	reason      Waiting
	since, next time.Time
	unblock     string
}

// waits are the rules of Explain, the most pressing first; nil: it does not
// apply.
var waits = []func(*Operation, scene) *wait{
	heldElsewhere, scheduled, notRunning, clockHeld, storeFull, laneClosed, lanePaused, retryAfter, nowBooting, backingOff, nowLooking, slowed, queued,
}

func heldElsewhere(_ *Operation, s scene) *wait {
	if s.held == nil {
		return nil
	}
	return &wait{Held, s.held.Since, time.Time{}, "an adoption, if the other machine carries it out no more"}
}

func scheduled(o *Operation, s scene) *wait {
	if o.Sent != store.SentNo || !o.NotBefore.After(s.now) {
		return nil
	}
	return &wait{Scheduled, o.CreatedAt, o.NotBefore, "its not-before"}
}

func notRunning(o *Operation, s scene) *wait {
	if s.running {
		return nil
	}
	return &wait{NotRunning, o.CreatedAt, time.Time{}, "a Run of the engine"}
}

func clockHeld(o *Operation, s scene) *wait {
	if s.doubt <= 0 || o.Sent == store.SentAccepted || s.now.Before(o.ExpiresAt) {
		return nil
	}
	return &wait{ClockHeld, o.ExpiresAt, s.now.Add(s.doubt), "an answer of the provider that confirms this machine's clock"}
}

func storeFull(o *Operation, s scene) *wait {
	if s.full == 0 {
		return nil
	}
	return &wait{StoreFull, s.now.Add(s.full - fullPause), s.now.Add(s.full), "space on the store's disk"}
}

func laneClosed(_ *Operation, s scene) *wait {
	b := s.block
	switch {
	case b == nil:
		return nil
	case b.why == Credentials:
		return &wait{b.why, b.since, b.probeAt, "valid credentials"}
	}
	return &wait{b.why, b.since, b.probeAt, "an answer of the provider"}
}

func lanePaused(o *Operation, s scene) *wait {
	if !s.lane.Paused || o.Sent != store.SentNo {
		return nil
	}
	return &wait{Paused, s.lane.PausedAt, time.Time{}, "a resume of lane " + o.Lane}
}

func retryAfter(_ *Operation, s scene) *wait {
	if !s.floor.After(s.now) {
		return nil
	}
	return &wait{Throttled, s.lane.RetryAfterHeard, s.floor, "the time that the provider asked for"}
}

func nowBooting(o *Operation, s scene) *wait {
	if o.Sent != store.SentAccepted {
		return nil
	}
	return &wait{Booting, o.AcceptedAt, s.now.Add(poll.after(max(0, s.now.Sub(o.AcceptedAt)))), "the session becoming READY"}
}

// backingOff applies where the last answer said to wait.
func backingOff(o *Operation, s scene) *wait {
	if o.LastError == "" || !s.next.After(s.now) {
		return nil
	}
	w := &wait{Backoff, o.LastErrorAt, s.next, "its next attempt"}
	switch o.LastKind {
	case transport.QuotaExceeded:
		w.reason, w.unblock = Quota, "another session being stopped, or a higher quota"
	case transport.Capacity:
		w.reason, w.unblock = Capacity, "the provider having capacity again"
	case transport.Conflict:
		w.reason, w.unblock = Conflict, "the end of the other operation on this session"
	case transport.AccessDenied:
		w.unblock = "permission to look at the session"
	}
	return w
}

func nowLooking(o *Operation, s scene) *wait {
	if o.Sent != store.SentUnknown {
		return nil
	}
	return &wait{Looking, o.LastSentAt, later(s.next, s.now), "a look at the session"}
}

func slowed(o *Operation, s scene) *wait {
	if !s.slow {
		return nil
	}
	return &wait{Throttled, o.CreatedAt, time.Time{}, "its turn: the provider throttles lane " + o.Lane}
}

func queued(o *Operation, s scene) *wait {
	return &wait{Queued, later(o.CreatedAt, o.NotBefore), s.now, "its turn in lane " + o.Lane}
}

// heads begin the sentence of each reason.
var heads = map[Waiting]string{
	Held:       "the store belongs to another machine",
	NotRunning: "nothing runs this store",
	Scheduled:  "waits for its not-before",
	ClockHeld:  "it looks expired, but this machine's clock is not confirmed",
	StoreFull:  "the store is out of space",
	Offline:    "the provider cannot be reached", Credentials: "the provider refuses the credentials",
	Paused: "its lane is paused", Throttled: "the provider throttles its lane",
	Quota: "the account's quota is used up", Capacity: "the provider has no capacity",
	Conflict: "the provider says that another operation is under way; looking how the session is",
	Backoff:  "waits after an error",
	Looking:  "a start may have been sent; looking before it is sent again",
	Booting:  "started; the session boots", Queued: "waits for its turn",
}

// sentence is the explanation for a person, as "the provider cannot be reached,
// for 2m0s: …; next try in 8s, or with …".
func (x *Explanation) sentence(now time.Time) string {
	text := heads[x.Reason]
	if x.Reason == Scheduled {
		return text + fmt.Sprintf(", %s (in %v)", x.Next.Format(time.RFC3339), x.Next.Sub(now).Round(time.Second))
	}
	if since := now.Sub(x.Since).Round(time.Second); since > 0 {
		text += fmt.Sprintf(", for %v", since)
	}
	if x.Error != "" {
		text += ": " + x.Error
	}
	switch wait := x.Next.Sub(now).Round(time.Second); {
	case x.Next.IsZero():
		return text + "; waits for " + x.Unblock
	case wait <= 0:
		return text + "; next step now; waits for " + x.Unblock
	default:
		return text + fmt.Sprintf("; next step in %v; waits for %s", wait, x.Unblock)
	}
}

func endText(o Operation) string {
	text := string(o.Phase)
	if o.Phase == fsm.Failed {
		text += " (" + string(o.Reason) + ")"
	}
	if o.CancelBy != "" && o.Phase == fsm.Canceled {
		text += " by " + o.CancelBy
	}
	if o.LastError != "" {
		text += ": " + o.LastError
	}
	return text
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
