package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
)

// recordRequest prints a request and its operation as JSON.
func (t *tool) recordRequest(x engine.Explanation, r engine.Receipt) {
	t.screen.record(requestRecord{x, r})
}

// old answers a start whose token's operation has ended: it starts nothing. With
// wait, it reads the session from its provider, and returns nil only if the session
// is READY now.
func (t *tool) old(ctx context.Context, h *host, r engine.Receipt, wait bool) error {
	o := r.Operation
	var now fsm.State
	var unseen error
	if wait && o.Phase == fsm.PhaseSucceeded {
		s, err := h.engine.Session(ctx, o.Ref)
		if unseen = cmp.Or(err, s.Err); unseen == nil {
			now = s.Session.State
		}
	}
	if t.json {
		o := o
		if now != "" {
			o.Session = now
		}
		t.recordRequest(recordOf(o), r)
	}
	const advice = "to start it again, choose another --token or leave it out"
	switch text := endedText(o, time.Now()) + "; this token starts nothing more"; {
	case o.Phase != fsm.PhaseSucceeded:
		return fmt.Errorf("nothing was queued: %s; %s, or \"rouse retry %s\"", text, advice, o.ID)
	case unseen != nil:
		return fmt.Errorf("%s, and the session's state now is not known: %s; %s", text, plain(unseen), advice)
	case wait && now != fsm.StateReady:
		return fmt.Errorf("%s; the session is %s now; %s", text, now, advice)
	case t.json:
	case wait:
		t.screen.say("%s; the session is %s now", text, now)
	default:
		t.screen.say("nothing was queued: %s; %s", text, advice)
	}
	return nil
}

// endedText says how an operation ended some time ago. The session's state may have
// changed since.
func endedText(o engine.Operation, now time.Time) string {
	if o.Phase == fsm.PhaseSucceeded {
		return fmt.Sprintf("%s %s was READY at %s", o.Ref.StudioID, o.Ref.SessionID, clock(o.FinishedAt, now))
	}
	return endText(o)
}
