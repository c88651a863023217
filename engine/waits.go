package engine

import (
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// wait is what one rule of Explain says.
type wait struct {
	reason      WaitReason
	since, next time.Time
	unblock     string
}

// waits are the rules of Explain, the most pressing first. A rule that does not apply
// returns nil.
var waits = []func(*Operation, situation) *wait{
	foreignStore, scheduled, notRunning, untrustedClock, storeFull, laneBlocked, lanePaused, retryAfter, sessionSilent, booting,
	refusedBefore, confirming, slowed, queued,
}

func foreignStore(_ *Operation, s situation) *wait {
	if s.foreign == nil {
		return nil
	}
	return &wait{WaitForeignStore, s.foreign.Since, time.Time{}, "an adoption, if the other machine carries it out no more"}
}

func scheduled(o *Operation, s situation) *wait {
	if o.Sent != store.SentNo || !o.NotBefore.After(s.now) {
		return nil
	}
	return &wait{WaitScheduled, o.CreatedAt, o.NotBefore, "its not-before"}
}

func notRunning(o *Operation, s situation) *wait {
	if s.running || s.stored {
		return nil
	}
	return &wait{WaitNotRunning, o.CreatedAt, time.Time{}, "a Run of the engine"}
}

func untrustedClock(o *Operation, s situation) *wait {
	switch {
	case o.Sent == store.SentAccepted || s.clock == clockFine:
		return nil
	case s.clock == clockNeverSet || s.clock == clockBehind:
		w := &wait{WaitUntrustedClock, o.CreatedAt, time.Time{}, "this machine's clock to be set, by its time service or by hand"}
		if s.clock == clockBehind && s.untrusted > 0 {
			w.next = s.now.Add(s.untrusted)
		}
		return w
	}
	return &wait{WaitUntrustedClock, o.ExpiresAt, s.now.Add(s.untrusted), "an answer of the provider that confirms this machine's clock"}
}

func storeFull(_ *Operation, s situation) *wait {
	if s.full == 0 {
		return nil
	}
	return &wait{WaitStoreFull, s.now.Add(s.full - fullPause), s.now.Add(s.full), "space on the store's disk"}
}

// laneBlocked also applies to a lane that an earlier Run found blocked, until this Run
// has an answer.
func laneBlocked(_ *Operation, s situation) *wait {
	b := s.lane.Block
	switch WaitReason(b.Reason) {
	case "":
		return nil
	case WaitCredentials:
		return &wait{WaitCredentials, b.Since, s.trial, "valid credentials"}
	}
	return &wait{WaitReason(b.Reason), b.Since, s.trial, "an answer of the provider"}
}

func lanePaused(o *Operation, s situation) *wait {
	if !s.lane.Paused || o.Sent != store.SentNo {
		return nil
	}
	return &wait{WaitPaused, s.lane.PausedAt, time.Time{}, "a resume of lane " + o.Lane}
}

func retryAfter(_ *Operation, s situation) *wait {
	floor := floorOf(&s.lane, s.now)
	if !floor.After(s.now) {
		return nil
	}
	since := s.lane.RetryAfterHeard
	if !s.slowed.IsZero() {
		since = s.slowed
	}
	return &wait{WaitThrottled, since, floor, "the time that the provider asked for"}
}

// sessionSilent applies where the lane is not blocked and this session alone
// cannot be reached.
func sessionSilent(o *Operation, s situation) *wait {
	since := s.silent
	switch unreachable := o.LastError != "" && o.LastKind == transport.KindUnreachable; {
	case !since.IsZero() && (unreachable || s.reads >= maxSilent):
	case unreachable && o.Sent != store.SentAccepted:
		since = decide.ErrorSince(o)
	default:
		return nil
	}
	return &wait{WaitOffline, since, ahead(s.next, s.now), "an answer for session " + o.Ref.String()}
}

func booting(o *Operation, s situation) *wait {
	if o.Sent != store.SentAccepted {
		return nil
	}
	w := &wait{WaitBooting, o.AcceptedAt, time.Time{}, "the session becoming READY"}
	if s.running {
		w.next = s.now.Add(decide.Polls.After(max(0, s.now.Sub(o.AcceptedAt))))
	}
	return w
}

// refusedBefore applies after a refusal until there is another answer. After a send
// with unknown outcome it applies until the next step is due.
func refusedBefore(o *Operation, s situation) *wait {
	if o.LastError == "" {
		return nil
	}
	w := &wait{WaitBackoff, decide.ErrorSince(o), ahead(s.next, s.now), "its next attempt"}
	switch o.LastKind {
	case transport.KindCredentials:
		w.reason, w.unblock = WaitCredentials, "valid credentials"
	case transport.KindThrottled:
		w.reason = WaitThrottled
	case transport.KindQuotaExceeded:
		w.reason, w.unblock = WaitQuota, "another session being stopped, or a higher quota"
	case transport.KindCapacity:
		w.reason, w.unblock = WaitCapacity, "the provider having capacity again"
	case transport.KindConflict:
		w.reason, w.unblock = WaitConflict, "the end of the other operation on this session"
	case transport.KindAccessDenied:
		w.unblock = "permission to read the session"
	default:
		if o.Sent == store.SentUnknown && w.next.IsZero() && !s.stored {
			return nil
		}
	}
	return w
}

func confirming(o *Operation, s situation) *wait {
	if o.Sent != store.SentUnknown {
		return nil
	}
	w := &wait{WaitConfirm, o.LastSentAt, ahead(s.next, s.now), "an answer that shows what became of it"}
	if o.LastError != "" && !o.ErrorSince.IsZero() {
		w.since = o.ErrorSince
	}
	return w
}

func slowed(o *Operation, s situation) *wait {
	if !s.slow || s.stored {
		return nil
	}
	return &wait{WaitThrottled, later(o.CreatedAt, s.slowed), time.Time{}, "its turn in lane " + o.Lane}
}

func queued(o *Operation, s situation) *wait {
	if s.stored { // the text already says that no Run goes on
		return nil
	}
	return &wait{WaitQueued, later(o.CreatedAt, o.NotBefore), ahead(s.next, s.now), "its turn in lane " + o.Lane}
}

// ahead returns t, or zero if it is not after now.
func ahead(t, now time.Time) time.Time {
	if !t.After(now) {
		return time.Time{}
	}
	return t
}
