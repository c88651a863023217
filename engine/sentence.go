package engine

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// The words of Explain.

// heads begin the sentence of each reason. %s is the lane.
var heads = map[Waiting]string{
	NotRunning:  "waits for a Run of the engine",
	StoreFull:   "the store has no space",
	Offline:     "the provider of lane %s cannot be reached",
	Credentials: "the provider of lane %s refuses the credentials",
	Throttled:   "the provider throttles lane %s",
	Quota:       "the provider refuses to start it: the quota is used up",
	Capacity:    "the provider refuses to start it: it has no capacity",
	Conflict:    "another operation is under way on the session",
	Backoff:     "waits after an error",
	Looking:     "a start was sent, and its outcome is not known",
	Booting:     "the start was accepted, and the session boots",
	Queued:      "waits for its turn in lane %s",
}

// aloneHeads begin it where the reason concerns one session, and not its lane. %s is
// the session.
var aloneHeads = map[Waiting]string{
	Offline:     "session %s cannot be reached",
	Credentials: "the provider refuses the credentials for session %s",
	Throttled:   "the provider throttles the starts of session %s",
}

// alone reports whether a reason that normally holds a lane holds this session
// only.
func (x *Explanation) alone(reason Waiting, s scene) bool {
	switch reason {
	case Offline, Credentials:
		return s.lane.Block.Reason != string(reason)
	case Throttled:
		return x.Operation.LastKind == transport.Throttled && !s.slow && !floorOf(&s.lane, s.now).After(s.now)
	}
	return false
}

// steps name the next step of each reason; absent: "next step".
var steps = map[Waiting]string{
	Held: "next attempt, at the earliest,", NotRunning: "next attempt, at the earliest,",
	Offline: "next trial call", Credentials: "next trial call",
	Quota: "next attempt", Capacity: "next attempt", Conflict: "next attempt", Backoff: "next attempt",
	Looking: "next read of the session", Booting: "next poll",
}

// head begins the sentence.
func (x *Explanation) head(reason Waiting, s scene) string {
	o := &x.Operation
	if x.alone(reason, s) {
		return fmt.Sprintf(aloneHeads[reason], o.Ref)
	}
	switch reason {
	case Held:
		home := "another machine"
		if s.held != nil && s.held.Home != "" {
			home = "machine " + s.held.Home
		}
		return "the store belongs to " + home
	case Scheduled:
		return "is sent no earlier than " + stamp(o.NotBefore)
	case ClockHeld:
		switch s.clock {
		case clockNeverSet, clockBehind:
			return "this machine's clock shows " + stamp(s.now) + ", which is before the request, " + stamp(o.CreatedAt) +
				", so that it may have expired"
		case clockWasNeverSet:
			return "it was requested at " + stamp(o.CreatedAt) + " by a clock that was not set; this machine's clock shows " +
				stamp(s.now) + ", which is not confirmed"
		}
		return "it is past its expiry, " + stamp(o.ExpiresAt) + ", by this machine's clock, which shows " + stamp(s.now) + " and is not confirmed"
	case Paused:
		if s.lane.PausedBy != "" {
			return fmt.Sprintf("lane %s is paused by %s", o.Lane, s.lane.PausedBy)
		}
		return fmt.Sprintf("lane %s is paused", o.Lane)
	}
	return strings.ReplaceAll(heads[reason], "%s", o.Lane)
}

// sentence is the explanation for a person: the reason, since when, what else
// holds, the error, the session, the next step, and what to wait for. What the
// head has said is not said again.
func (x *Explanation) sentence(s scene) string {
	o := &x.Operation
	text := x.head(x.Reason, s)
	if x.Reason == Scheduled {
		return text
	}
	if x.Reason != ClockHeld { // its head has said so
		text += sinceText(", since ", x.Since)
	}
	if x.Then != "" {
		text += "; besides, " + x.head(x.Then, s) + sinceText(", since ", x.ThenSince)
	}
	if n := o.Attempts; n > 0 && o.Sent != store.SentAccepted {
		text += "; " + plural(n, "attempt", "attempts")
	}
	if x.Error != "" {
		text += "; last error: " + x.Error
	}
	if seen := x.Seen.text(); seen != "" && o.Sent == store.SentAccepted {
		text += "; the session is " + seen + sinceText(", read at ", x.Seen.At)
	}
	if !x.Next.IsZero() {
		step := steps[x.Reason]
		if x.alone(x.Reason, s) {
			step = steps[Backoff]
		}
		if o.Sent == store.SentUnknown && step == steps[Backoff] { // it is not sent again before that
			step = steps[Looking]
		}
		text += "; " + cmp.Or(step, "next step") + " at " + stamp(x.Next)
	}
	switch {
	case x.Reason == Booting:
		return text + "; it must be READY by " + stamp(o.ReadyBy)
	case x.Reason == Queued, x.Reason == NotRunning, x.Reason == Backoff && !x.Next.IsZero():
		return text
	}
	return text + "; waits for " + x.Unblock
}

func sinceText(what string, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return what + stamp(at)
}

// stamp is a time in a text that may be read anywhere, and later.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func endText(o Operation) string {
	text := string(o.Phase)
	if o.Phase == fsm.Failed {
		text += " (" + string(o.Reason) + ")"
	}
	if o.CancelBy != "" && o.Phase == fsm.Canceled {
		text += " by " + o.CancelBy
	}
	if o.Phase == fsm.Expired {
		text += ": it was not sent by " + stamp(o.ExpiresAt)
	}
	if o.LastError != "" {
		text += ": " + o.LastError
	}
	return text
}
