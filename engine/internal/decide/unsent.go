package decide

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// expire ends an operation that was not sent before its expiry.
func (d *decision) expire() {
	if s := d.expiry(); d.op.Sent == store.SentNo && s.Passed && s.Certain {
		d.unsentBecause()
		d.end(fsm.PhaseExpired, store.ReasonExpired)
	}
}

// unsentBecause stores why an expired operation was not sent, if the record does not say
// it, or the lane has a newer error.
func (d *decision) unsentBecause() {
	b, o := d.Lane.Block, &d.op
	switch {
	case b.Reason != "" && b.At.After(o.LastErrorAt):
		o.LastError, o.LastKind, o.LastErrorAt = b.Error, b.Kind, b.At
	case o.LastError != "":
	case d.Lane.Paused:
		o.LastError, o.LastErrorAt = "lane "+o.Lane+" is paused", d.Answer.At
		if d.Lane.PausedBy != "" {
			o.LastError += " by " + d.Lane.PausedBy
		}
	case d.Began.After(o.ExpiresAt):
		o.LastError, o.LastErrorAt = "the run that found it began at "+d.Began.UTC().Format(time.RFC3339)+", after the expiry", d.Answer.At
	}
}

// giveUp ends an operation that is past its deadline.
func (d *decision) giveUp() {
	switch {
	case d.op.Sent == store.SentNo || d.Answer.At.Before(d.deadline()): // a join has moved the deadline, or the machine slept
		d.op.DueAt = later(d.op.DueAt, d.Answer.At) // so that it is not overdue at once
	case d.Answer.Err == nil && d.Answer.Session.State != "":
		d.failed(store.ReasonTimeout, "not READY a day after its time: the session is "+string(d.Answer.Session.State))
	default:
		text := "the session could not be read; it may be running"
		if d.Answer.Err != nil {
			text += ": " + d.Answer.Text()
		}
		d.failed(store.ReasonUnobservable, text)
	}
}

// expireUnsent undoes an intent whose send did not begin, and then does what expire
// does.
func (d *decision) expireUnsent() {
	d.unsend()
	d.expire()
}
