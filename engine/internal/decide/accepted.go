package decide

import (
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// What is decided about a session that is on its way to READY, or has failed.

func (d *decision) accept() {
	d.op.Sent = store.SentAccepted
	d.op.AcceptedAt = d.Answer.At
	d.op.BootDeadline = d.Answer.At.Add(d.BootTimeout)
	d.op.DueAt = d.nextPoll()
	d.forgive()
	d.advance(fsm.PhaseStarting, "")
}

func (d *decision) succeed() {
	if d.op.AcceptedAt.IsZero() {
		d.op.AcceptedAt = d.Answer.At
	}
	d.op.Sent = store.SentAccepted
	d.forgive()
	d.end(fsm.PhaseSucceeded, "")
}

// forgive clears the error and the backoff of earlier attempts.
func (d *decision) forgive() {
	d.op.Interval, d.op.LastError, d.op.LastKind = 0, "", transport.KindUnknown
	d.op.LastErrorAt, d.op.ErrorSince = time.Time{}, time.Time{}
}

func (d *decision) pollOn() {
	d.seen = Sighting{Silent: d.seen.Silent, SilentBefore: d.seen.SilentBefore}
	unpolled := d.Unpolled - (d.Asleep - d.slept) // the rest is in BootDeadline
	if waited := d.Answer.At.Sub(d.op.BootDeadline) - unpolled; waited >= 0 {
		text := fmt.Sprintf("not READY within %v of the accepted start: the session is %s", d.BootTimeout, d.Answer.Session.State)
		if m := d.Answer.Session.StatusMessage; m != "" {
			text += ": " + Clean(m)
		}
		d.failed(store.ReasonTimeout, text)
		return
	}
	d.op.DueAt = d.nextPoll()
}

// nextPoll returns the time of the next poll by the schedule, which begins at
// acceptance. Jitter varies the time. Where one call reads many sessions, the poll waits
// for the next whole tick instead, so that sessions which boot together share a call.
func (d *decision) nextPoll() time.Time {
	elapsed := max(0, d.Answer.At.Sub(d.op.AcceptedAt))
	wait := Polls.After(elapsed)
	if d.Traits.MaxBatch <= 1 {
		return d.Answer.At.Add(d.Jitter(wait))
	}
	tick := tickAt(elapsed + wait)
	return d.Answer.At.Add(wait + tick - 1).Truncate(tick)
}

func (d *decision) failState() {
	s := d.Answer.Session
	text := "the session is " + string(s.State)
	code, message := Clean(s.StatusCode), Clean(s.StatusMessage)
	if strings.HasPrefix(message, code) {
		code = "" // EC2's messages begin with it
	}
	for _, more := range []string{code, message} {
		if more != "" {
			text += ": " + more
		}
	}
	d.failed(store.ReasonStartFailed, text)
}

func (d *decision) failStale() {
	if !d.mayBeStale() {
		d.failState()
	}
}
