package decide

import (
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
)

// Expiry says whether the time of a request is over.
type Expiry struct {
	Passed  bool // the expiry has passed
	Certain bool // Passed is certain
	// Shift is how much later the request was acknowledged than its record says, because
	// the clock was behind then. Zero means that it was not behind, or that this is not
	// known.
	Shift time.Duration
}

// ExpiryOf compares a request with a wall clock, which may be untrusted. The clock since
// boot proves the age of a request of this boot, whatever the wall clock shows. A time
// before Trust.Earliest comes from a clock that was never set, and proves no expiry.
//
// The expiry of most requests counts from their creation. The clock may have been behind
// then. In that case an expiry after the real time of the request may be a deadline by
// the right clock, so it stays.
func ExpiryOf(o *store.Operation, now time.Time, up uptime.Reading, t Trust) Expiry {
	over := !now.Before(o.ExpiresAt)
	age, known := Elapsed(up).Since(o.CreatedUp)
	ahead := now.Sub(o.CreatedAt) - age // how much the clock went ahead since
	lived := known && age >= o.ExpiresAt.Sub(o.CreatedAt)
	neverSet := now.Before(t.Earliest) && !o.CreatedAt.Before(t.Earliest)
	switch {
	case known && ahead > BigJump && o.ExpiresAt.After(o.CreatedAt.Add(ahead)):
		return Expiry{Passed: over, Certain: !over || !t.Untrusted, Shift: ahead}
	case known && ahead > BigJump:
		return Expiry{Passed: lived, Certain: true, Shift: ahead}
	case known && ahead < -BigJump:
		return Expiry{Passed: lived, Certain: true}
	case known:
		return Expiry{Passed: over, Certain: true}
	case o.CreatedAt.Before(t.Earliest) && !now.Before(t.Earliest):
		if over = over && !o.ExpiresAt.Before(t.Earliest); over { // a later request may have such an expiry
			return Expiry{Passed: true, Certain: !t.Untrusted}
		}
		return Expiry{Certain: !t.Untrusted, Shift: now.Sub(o.CreatedAt)}
	case now.Add(BigJump).Before(o.CreatedAt) && !t.WasAhead:
		return Expiry{Passed: over, Certain: !t.Untrusted && !neverSet}
	}
	return Expiry{Passed: over, Certain: !over || !t.Untrusted}
}

// Trust says how far the wall clock is trusted about one request.
type Trust struct {
	Untrusted bool      // the wall clock is untrusted
	WasAhead  bool      // it was set back in this Run, after it dated the request
	Earliest  time.Time // an earlier time comes from a clock that was never set
}

func (d *decision) expiry() Expiry { return ExpiryOf(&d.op, d.Answer.At, d.Up, d.Trust) }

// redateRequest corrects the times of a request that was acknowledged while the clock was
// behind, once the clock is trusted. Times later than the real time of the request may
// be deadlines by the right clock, and stay as they are.
func (d *decision) redateRequest() {
	s := d.expiry()
	if d.Untrusted || s.Shift == 0 || d.op.Sent == store.SentAccepted {
		return
	}
	d.op.CreatedAt = d.op.CreatedAt.Add(s.Shift)
	for _, t := range []*time.Time{&d.op.NotBefore, &d.op.ExpiresAt} {
		if !t.IsZero() && !t.After(d.op.CreatedAt) && (d.op.CreatedUp.Boot != 0 || t.Before(d.Earliest)) {
			*t = t.Add(s.Shift)
		}
	}
	if d.op.Sent == store.SentNo {
		d.op.DueAt = later(d.Answer.At, d.op.NotBefore)
	}
	d.write = true
}
