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
var heads = map[WaitReason]string{
	WaitNotRunning:  "waits for a Run of the engine",
	WaitStoreFull:   "the store has no space",
	WaitOffline:     "the provider of lane %s cannot be reached",
	WaitCredentials: "the provider of lane %s refuses the credentials",
	WaitThrottled:   "the provider throttles lane %s",
	WaitQuota:       "the provider refuses to start it: the quota is used up",
	WaitCapacity:    "the provider refuses to start it: it has no capacity",
	WaitConflict:    "another operation is under way on the session",
	WaitBackoff:     "waits after an error",
	WaitConfirm:     "a start was sent, and its outcome is not known",
	WaitBooting:     "the start was accepted, and the session boots",
	WaitQueued:      "waits for its turn in lane %s",
}

// onlySessionHeads begin the sentence where the reason concerns one session and not its
// lane. %s is the session.
var onlySessionHeads = map[WaitReason]string{
	WaitOffline:     "session %s cannot be reached",
	WaitCredentials: "the provider refuses the credentials for session %s",
	WaitThrottled:   "the provider throttles the starts of session %s",
}

// onlySession reports whether a reason that normally concerns a lane concerns this
// session alone.
func (x *Explanation) onlySession(reason WaitReason, s situation) bool {
	switch reason {
	case WaitOffline, WaitCredentials:
		return s.lane.Block.Reason != string(reason)
	case WaitThrottled:
		return x.Operation.LastKind == transport.KindThrottled && !s.slow && !floorOf(&s.lane, s.now).After(s.now)
	}
	return false
}

// steps name the next step of each reason; absent: "next step".
var steps = map[WaitReason]string{
	WaitForeignStore: "next attempt, at the earliest,", WaitNotRunning: "next attempt, at the earliest,",
	WaitOffline: "next trial call", WaitCredentials: "next trial call",
	WaitQuota: "next attempt", WaitCapacity: "next attempt", WaitConflict: "next attempt", WaitBackoff: "next attempt",
	WaitConfirm: "next read of the session", WaitBooting: "next poll",
}

// head begins the sentence.
func (x *Explanation) head(reason WaitReason, s situation) string {
	o := &x.Operation
	if x.onlySession(reason, s) {
		return fmt.Sprintf(onlySessionHeads[reason], o.Ref)
	}
	switch reason {
	case WaitForeignStore:
		home := "another machine"
		if s.foreign != nil && s.foreign.Home != "" {
			home = "machine " + s.foreign.Home
		}
		return "the store belongs to " + home
	case WaitScheduled:
		return "is sent no earlier than " + stamp(o.NotBefore)
	case WaitUntrustedClock:
		switch s.clock {
		case clockNeverSet, clockBehind:
			return "this machine's clock shows " + stamp(s.now) + ", which is before the request, " + stamp(o.CreatedAt) +
				", so that it may have expired"
		case clockWasNeverSet:
			return "it was requested at " + stamp(o.CreatedAt) + " by a clock that was not set; this machine's clock shows " +
				stamp(s.now) + ", which is not confirmed"
		}
		return "it is past its expiry, " + stamp(o.ExpiresAt) + ", by this machine's clock, which shows " + stamp(s.now) + " and is not confirmed"
	case WaitPaused:
		if s.lane.PausedBy != "" {
			return fmt.Sprintf("lane %s is paused by %s", o.Lane, s.lane.PausedBy)
		}
		return fmt.Sprintf("lane %s is paused", o.Lane)
	}
	return strings.ReplaceAll(heads[reason], "%s", o.Lane)
}

// sentence returns the explanation for a person. It has the reason and its time, what
// else the operation waits for, the error, the session, the next step, and what would
// unblock it. It does not repeat what the head says.
func (x *Explanation) sentence(s situation) string {
	o := &x.Operation
	text := x.head(x.Waiting, s)
	if x.Waiting == WaitScheduled {
		return text
	}
	if x.Waiting != WaitUntrustedClock { // its head has said so
		text += sinceText(", since ", x.Since)
	}
	if x.Also != "" {
		text += "; besides, " + x.head(x.Also, s) + sinceText(", since ", x.AlsoSince)
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
		step := steps[x.Waiting]
		if x.onlySession(x.Waiting, s) {
			step = steps[WaitBackoff]
		}
		if o.Sent == store.SentUnknown && step == steps[WaitBackoff] { // it is not sent again before that
			step = steps[WaitConfirm]
		}
		text += "; " + cmp.Or(step, "next step") + " at " + stamp(x.Next)
	}
	switch {
	case x.Waiting == WaitBooting:
		return text + "; it must be READY by " + stamp(o.BootDeadline)
	case x.Waiting == WaitQueued, x.Waiting == WaitNotRunning, x.Waiting == WaitBackoff && !x.Next.IsZero():
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

// stamp formats a time for a text that may be read anywhere, and later.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func endText(o Operation) string {
	text := string(o.Phase)
	if o.Phase == fsm.PhaseFailed {
		text += " (" + string(o.EndReason) + ")"
	}
	if o.CancelBy != "" && o.Phase == fsm.PhaseCanceled {
		text += " by " + o.CancelBy
	}
	if o.Phase == fsm.PhaseExpired {
		text += ": it was not sent by " + stamp(o.ExpiresAt)
	}
	if o.LastError != "" {
		text += ": " + o.LastError
	}
	return text
}
