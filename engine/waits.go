package engine

import (
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// wait is what one rule of Explain says.
type wait struct {
	reason      Waiting
	since, next time.Time
	unblock     string
}

// waits are the rules of Explain, the most pressing first; nil: it does not
// apply.
var waits = []func(*Operation, scene) *wait{
	heldElsewhere, scheduled, notRunning, clockHeld, storeFull, laneBlocked, lanePaused, retryAfter, sessionSilent, nowBooting,
	refusedBefore, nowLooking, slowed, queued,
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
	if s.running || s.stored {
		return nil
	}
	return &wait{NotRunning, o.CreatedAt, time.Time{}, "a Run of the engine"}
}

func clockHeld(o *Operation, s scene) *wait {
	switch {
	case o.Sent == store.SentAccepted || s.clock == clockFine:
		return nil
	case s.clock == clockNeverSet || s.clock == clockBehind:
		w := &wait{ClockHeld, o.CreatedAt, time.Time{}, "this machine's clock to be set, by its time service or by hand"}
		if s.clock == clockBehind && s.doubt > 0 {
			w.next = s.now.Add(s.doubt)
		}
		return w
	}
	return &wait{ClockHeld, o.ExpiresAt, s.now.Add(s.doubt), "an answer of the provider that confirms this machine's clock"}
}

func storeFull(_ *Operation, s scene) *wait {
	if s.full == 0 {
		return nil
	}
	return &wait{StoreFull, s.now.Add(s.full - fullPause), s.now.Add(s.full), "space on the store's disk"}
}

// laneBlocked applies as well to a lane that an earlier Run found blocked, until
// this one has an answer.
func laneBlocked(_ *Operation, s scene) *wait {
	b := s.lane.Block
	switch Waiting(b.Reason) {
	case "":
		return nil
	case Credentials:
		return &wait{Credentials, b.Since, s.trial, "valid credentials"}
	}
	return &wait{Waiting(b.Reason), b.Since, s.trial, "an answer of the provider"}
}

func lanePaused(o *Operation, s scene) *wait {
	if !s.lane.Paused || o.Sent != store.SentNo {
		return nil
	}
	return &wait{Paused, s.lane.PausedAt, time.Time{}, "a resume of lane " + o.Lane}
}

func retryAfter(_ *Operation, s scene) *wait {
	floor := floorOf(&s.lane, s.now)
	if !floor.After(s.now) {
		return nil
	}
	since := s.lane.RetryAfterHeard
	if !s.slowed.IsZero() {
		since = s.slowed
	}
	return &wait{Throttled, since, floor, "the time that the provider asked for"}
}

// sessionSilent applies where the lane is not blocked and this session alone
// cannot be reached.
func sessionSilent(o *Operation, s scene) *wait {
	since := s.silent
	switch unreachable := o.LastError != "" && o.LastKind == transport.Unreachable; {
	case !since.IsZero() && (unreachable || s.looks >= maxSilent):
	case unreachable && o.Sent != store.SentAccepted:
		since = errorSince(o)
	default:
		return nil
	}
	return &wait{Offline, since, ahead(s.next, s.now), "an answer for session " + o.Ref.String()}
}

func nowBooting(o *Operation, s scene) *wait {
	if o.Sent != store.SentAccepted {
		return nil
	}
	w := &wait{Booting, o.AcceptedAt, time.Time{}, "the session becoming READY"}
	if s.running {
		w.next = s.now.Add(poll.after(max(0, s.now.Sub(o.AcceptedAt))))
	}
	return w
}

// refusedBefore applies after a refusal until there is another answer, and after
// an outcome that is not known until its next step is due.
func refusedBefore(o *Operation, s scene) *wait {
	if o.LastError == "" {
		return nil
	}
	w := &wait{Backoff, errorSince(o), ahead(s.next, s.now), "its next attempt"}
	switch o.LastKind {
	case transport.Credentials:
		w.reason, w.unblock = Credentials, "valid credentials"
	case transport.Throttled:
		w.reason = Throttled
	case transport.QuotaExceeded:
		w.reason, w.unblock = Quota, "another session being stopped, or a higher quota"
	case transport.Capacity:
		w.reason, w.unblock = Capacity, "the provider having capacity again"
	case transport.Conflict:
		w.reason, w.unblock = Conflict, "the end of the other operation on this session"
	case transport.AccessDenied:
		w.unblock = "permission to read the session"
	default:
		if o.Sent == store.SentUnknown && w.next.IsZero() && !s.stored {
			return nil
		}
	}
	return w
}

func nowLooking(o *Operation, s scene) *wait {
	if o.Sent != store.SentUnknown {
		return nil
	}
	w := &wait{Looking, o.LastSentAt, ahead(s.next, s.now), "an answer that shows what became of it"}
	if o.LastError != "" && !o.ErrorSince.IsZero() {
		w.since = o.ErrorSince
	}
	return w
}

func slowed(o *Operation, s scene) *wait {
	if !s.slow || s.stored {
		return nil
	}
	return &wait{Throttled, later(o.CreatedAt, s.slowed), time.Time{}, "its turn in lane " + o.Lane}
}

func queued(o *Operation, s scene) *wait {
	if s.stored { // that it is in no Run's queue is said already
		return nil
	}
	return &wait{Queued, later(o.CreatedAt, o.NotBefore), ahead(s.next, s.now), "its turn in lane " + o.Lane}
}

// ahead returns t, or zero if it is not after now.
func ahead(t, now time.Time) time.Time {
	if !t.After(now) {
		return time.Time{}
	}
	return t
}
