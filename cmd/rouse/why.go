package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// explain is engine.Explain in this tool's terms: what would unblock an
// operation is a command, and a lane's pause is said though nothing runs.
func (h *host) explain(ctx context.Context, id engine.ID) (engine.Explanation, error) {
	x, err := h.engine.Explain(ctx, id)
	if err != nil {
		return x, err
	}
	if x.Waiting == engine.WaitNotRunning {
		x.Unblock = `"rouse run"`
		if x.Also == engine.WaitPaused {
			x.Waiting, x.Since = engine.WaitPaused, x.AlsoSince
			x.Also, x.AlsoSince = "", time.Time{}
		}
	}
	if x.Waiting == engine.WaitForeignStore {
		x.Unblock = `"rouse adopt"`
	}
	if x.Waiting == engine.WaitPaused {
		x.Unblock = fmt.Sprintf("\"rouse resume %s\"", x.Operation.Lane)
	}
	return x, nil
}

// reasonText says a reason for waiting to a person.
func reasonText(r engine.WaitReason) string {
	switch r {
	case engine.WaitForeignStore:
		return "foreign store: the database belongs to another machine"
	case engine.WaitNotRunning:
		return `queued for "rouse run"`
	case engine.WaitScheduled:
		return "scheduled for later"
	case engine.WaitUntrustedClock:
		return "past its expiry, but the clock is untrusted"
	case engine.WaitStoreFull:
		return "the disk is full"
	case engine.WaitOffline:
		return "the provider cannot be reached"
	case engine.WaitCredentials:
		return "credentials are missing or refused"
	case engine.WaitPaused:
		return "its lane is paused"
	case engine.WaitThrottled:
		return "the provider asks for fewer calls"
	case engine.WaitQuota:
		return "the quota is used up"
	case engine.WaitCapacity:
		return "the provider has no machine to give"
	case engine.WaitConflict:
		return "another operation is under way on the session"
	case engine.WaitBackoff:
		return "waits after an error"
	case engine.WaitConfirm:
		return "a start was sent, outcome unknown"
	case engine.WaitBooting:
		return "boots"
	case engine.WaitQueued:
		return "waits for its turn in its lane"
	}
	return string(r)
}

// waitText says to a person what an operation waits for: its reason, or what it
// waits for as well. It distinguishes a machine that cannot be reached from a provider.
func waitText(x engine.Explanation, r engine.WaitReason) string {
	switch state := x.Seen.State; {
	case r == engine.WaitBooting && state != "" && state != fsm.StateStartInProgress:
		return "its start was accepted, but the session is " + string(state)
	case r == engine.WaitBackoff && x.Operation.Sent == store.SentUnknown: // the next step is a read
		return reasonText(engine.WaitConfirm)
	}
	if x.OnlySession {
		switch r {
		case engine.WaitOffline:
			return "the machine cannot be reached"
		case engine.WaitCredentials:
			return "the credentials for this session are missing or refused"
		case engine.WaitThrottled:
			return "the provider asks for fewer starts of this session"
		}
	}
	return reasonText(r)
}

// shortly says in a few words how an operation is: why it waits, or its end.
func shortly(x engine.Explanation) string { return shortlyAt(x, time.Now()) }

// shortlyAt is shortly at a time, which it shows times in the zone of.
func shortlyAt(x engine.Explanation, now time.Time) string {
	o := x.Operation
	switch {
	case o.Phase.Ended():
		return failureText(o)
	case x.Waiting != engine.WaitUntrustedClock && x.Waiting != engine.WaitForeignStore && pastExpiry(o, now):
		return `past its expiry: the next "rouse run" ends it EXPIRED`
	}
	text := waitText(x, x.Waiting)
	if x.Waiting == engine.WaitScheduled {
		text = "not before " + clock(o.NotBefore, now)
	}
	then := text
	if x.Also != "" { // it comes first, since a narrow terminal cuts the end
		text = waitText(x, x.Also)
	}
	if said := saidOf(x); said != "" && (x.Also != "" || explains(x.Waiting)) {
		text += ": " + said
	}
	if x.Also != "" {
		text += "; " + then
	}
	return text
}

// explains reports whether the last error is why an operation waits for a reason.
func explains(r engine.WaitReason) bool { return r != engine.WaitPaused && r != engine.WaitScheduled }

// saidOf returns what went wrong last with an operation, or, of a session that
// boots, what was said of it; "": nothing.
func saidOf(x engine.Explanation) string {
	switch {
	case x.Error == "" && x.Operation.Sent == store.SentAccepted:
		return statusText(x.Seen)
	case x.Error == transport.KindCredentials.Error(): // the reason has said so
		return ""
	}
	return worded(x.Error)
}

// statusText returns what the provider, or the probe of the machine's port, says
// of a session: its message, else the probe's result, else its code.
func statusText(s engine.Seen) string {
	switch {
	case s.StatusMessage != "":
		return s.StatusMessage
	case s.Probe.Target != "":
		return s.Probe.Text()
	case s.StatusCode == "NONE":
		return ""
	}
	return s.StatusCode
}

// said is what a blocked lane heard last, behind a colon, or "".
func said(l engine.LaneStats) string {
	if l.Error == "" || l.Error == transport.KindCredentials.Error() {
		return ""
	}
	return ": " + worded(l.Error)
}

// pastExpiry reports whether only a run is missing for an operation to expire.
func pastExpiry(o engine.Operation, now time.Time) bool {
	return o.Active() && o.Sent == store.SentNo && !o.ExpiresAt.After(now)
}

// progress returns the line that --wait shows for an operation.
func progress(x engine.Explanation, now time.Time) string {
	o := x.Operation
	text := o.Ref.StudioID + " " + o.Ref.SessionID + ": " + shortly(x)
	if x.Waiting == engine.WaitBooting && statusText(x.Seen) == "" && x.Seen.State == fsm.StateStartInProgress {
		text += " (" + string(x.Seen.State) + ")"
	}
	if !x.Since.IsZero() && x.Since.Before(now) && x.Waiting != engine.WaitQueued && x.Waiting != engine.WaitScheduled {
		text += fmt.Sprintf(", for %s", span(now.Sub(x.Since)))
	}
	if x.Next.After(now) && x.Waiting != engine.WaitBooting {
		text += fmt.Sprintf(", next step in %s", span(x.Next.Sub(now).Round(time.Second)))
	}
	return text
}

// endText says how an operation ended, to a person.
func endText(o engine.Operation) string {
	name := o.Ref.StudioID + " " + o.Ref.SessionID
	switch o.Phase {
	case fsm.PhaseSucceeded:
		text := name + " is READY"
		if d := o.FinishedAt.Sub(o.CreatedAt); d > 0 {
			text += " (" + span(d) + " after the request)"
		}
		return text
	case fsm.PhaseExpired:
		text := fmt.Sprintf("the start of %s ended EXPIRED: it could not be sent by %s", name, clock(o.ExpiresAt, time.Now()))
		if o.LastError != "" {
			text += ": " + worded(o.LastError)
		}
		return text
	case fsm.PhaseCanceled:
		return fmt.Sprintf("the start of %s ended CANCELED by %s", name, orSomebody(o.CancelBy))
	}
	return fmt.Sprintf("the start of %s ended %s: %s", name, o.Phase, failureText(o))
}

func orSomebody(name string) string {
	if name == "" {
		return "an unknown user"
	}
	return name
}
