package decide

import (
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
)

// Expiry says whether the time of a request is over.
type Expiry struct {
	Passed  bool // its expiry has passed
	Certain bool // and that is certain
	// Shift is by how much later the request was acknowledged than its record says:
	// the clock was behind then. 0: it was not, or that is not known.
	Shift time.Duration
}

// ExpiryOf compares a request with a wall clock, which is in doubt or trusted.
// The clock since boot proves the age of a request of this boot, whatever the wall
// clock shows. A wall clock or a record from before earliest is of a clock that
// was never set: it is no evidence for an expiry.
//
// Requests mostly count their expiry from when they are made. Where the clock was
// behind then, an expiry that lies after the real time of the request may be the
// real time of a deadline, and stays.
func ExpiryOf(o *store.Operation, now time.Time, up uptime.Reading, t Trust) Expiry {
	over := !now.Before(o.ExpiresAt)
	age, known := Elapsed(up).Since(o.CreatedUp)
	ahead := now.Sub(o.CreatedAt) - age // by how much the clock went ahead since
	lived := known && age >= o.ExpiresAt.Sub(o.CreatedAt)
	neverSet := now.Before(t.Earliest) && !o.CreatedAt.Before(t.Earliest)
	switch {
	case known && ahead > BigJump && o.ExpiresAt.After(o.CreatedAt.Add(ahead)):
		return Expiry{Passed: over, Certain: !over || !t.Doubt, Shift: ahead}
	case known && ahead > BigJump:
		return Expiry{Passed: lived, Certain: true, Shift: ahead}
	case known && ahead < -BigJump:
		return Expiry{Passed: lived, Certain: true}
	case known:
		return Expiry{Passed: over, Certain: true}
	case o.CreatedAt.Before(t.Earliest) && !now.Before(t.Earliest):
		if over = over && !o.ExpiresAt.Before(t.Earliest); over { // as a later request has it
			return Expiry{Passed: true, Certain: !t.Doubt}
		}
		return Expiry{Certain: !t.Doubt, Shift: now.Sub(o.CreatedAt)}
	case now.Add(BigJump).Before(o.CreatedAt) && !t.WasAhead:
		return Expiry{Passed: over, Certain: !t.Doubt && !neverSet}
	}
	return Expiry{Passed: over, Certain: !over || !t.Doubt}
}

// Trust is what a Run knows of the wall clock about one request.
type Trust struct {
	Doubt    bool      // it is not trusted
	WasAhead bool      // this Run saw it set back after it had dated the request
	Earliest time.Time // what is before is of a clock that was never set
}

func (d *decision) expiry() Expiry { return ExpiryOf(&d.op, d.Answer.At, d.Up, d.Trust) }

// redate corrects the times of a request that a clock acknowledged which was
// behind, once the clock is trusted. Times after that of the request may be
// deadlines by the right clock, and stay.
func (d *decision) redate() {
	s := d.expiry()
	if d.Doubt || s.Shift == 0 || d.op.Sent == store.SentAccepted {
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
