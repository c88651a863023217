package engine

import (
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
)

// standing says whether the time of a request is over.
type standing struct {
	over bool // its expiry has passed
	sure bool // and that is certain
	// shift is by how much later the request was acknowledged than its record says:
	// the clock was behind then. 0: it was not, or that is not known.
	shift time.Duration
}

// standingOf compares a request with a wall clock, which is in doubt or trusted.
// The clock since boot proves the age of a request of this boot, whatever the wall
// clock shows. A wall clock or a record from before earliest is of a clock that
// was never set: it is no evidence for an expiry.
//
// Requests mostly count their expiry from when they are made. Where the clock was
// behind then, an expiry that lies after the real time of the request may be the
// real time of a deadline, and stays.
func standingOf(o *store.Operation, now time.Time, up uptime.Reading, t trust) standing {
	over := !now.Before(o.ExpiresAt)
	age, known := elapsed(up).Since(o.CreatedUp)
	ahead := now.Sub(o.CreatedAt) - age // by how much the clock went ahead since
	lived := known && age >= o.ExpiresAt.Sub(o.CreatedAt)
	neverSet := now.Before(t.earliest) && !o.CreatedAt.Before(t.earliest)
	switch {
	case known && ahead > bigJump && o.ExpiresAt.After(o.CreatedAt.Add(ahead)):
		return standing{over: over, sure: !over || !t.doubt, shift: ahead}
	case known && ahead > bigJump:
		return standing{over: lived, sure: true, shift: ahead}
	case known && ahead < -bigJump:
		return standing{over: lived, sure: true}
	case known:
		return standing{over: over, sure: true}
	case o.CreatedAt.Before(t.earliest) && !now.Before(t.earliest):
		if over = over && !o.ExpiresAt.Before(t.earliest); over { // as a later request has it
			return standing{over: true, sure: !t.doubt}
		}
		return standing{sure: !t.doubt, shift: now.Sub(o.CreatedAt)}
	case now.Add(bigJump).Before(o.CreatedAt) && !t.wasAhead:
		return standing{over: over, sure: !t.doubt && !neverSet}
	}
	return standing{over: over, sure: !over || !t.doubt}
}

// trust is what a Run knows of the wall clock about one request.
type trust struct {
	doubt    bool      // it is not trusted
	wasAhead bool      // this Run saw it set back after it had dated the request
	earliest time.Time // what is before is of a clock that was never set
}

// trust needs mu held.
func (r *run) trust(o *store.Operation) trust {
	r.noticeJump()
	trusted, _ := r.watch.believed(time.Now())
	return trust{doubt: !trusted, wasAhead: within(r.ahead, o.CreatedAt), earliest: r.e.earliest}
}

func (j *judge) standing() standing { return standingOf(&j.op, j.a.at, j.up, j.trust) }

// standing is of an operation that a worker holds.
func (r *run) standing(o *store.Operation) standing {
	r.mu.Lock()
	t := r.trust(o)
	r.mu.Unlock()
	return standingOf(o, r.e.now(), r.e.up(), t)
}

// redate corrects the times of a request that a clock acknowledged which was
// behind, once the clock is trusted. Times after that of the request may be
// deadlines by the right clock, and stay.
func (j *judge) redate() {
	s := j.standing()
	if j.doubt || s.shift == 0 || j.op.Sent == store.SentAccepted {
		return
	}
	j.op.CreatedAt = j.op.CreatedAt.Add(s.shift)
	for _, t := range []*time.Time{&j.op.NotBefore, &j.op.ExpiresAt} {
		if !t.IsZero() && !t.After(j.op.CreatedAt) && (j.op.CreatedUp.Boot != 0 || t.Before(j.earliest)) {
			*t = t.Add(s.shift)
		}
	}
	if j.op.Sent == store.SentNo {
		j.op.DueAt = later(j.a.at, j.op.NotBefore)
	}
	j.write = true
}

// clockWait says what about the clock keeps an operation from being sent or ended.
type clockWait uint8

const (
	clockFine        clockWait = iota // nothing
	clockInDoubt                      // it shows that the operation has expired, and is not trusted
	clockBehind                       // it shows a time before the request, and is not trusted
	clockNeverSet                     // the same, and no clock that was ever set shows so little
	clockWasNeverSet                  // it was not set when the request was made, and is not trusted
)

func clockWaitOf(o *store.Operation, now time.Time, up uptime.Reading, t trust) clockWait {
	impossible := now.Before(t.earliest)
	switch {
	case o.Phase.Ended() || standingOf(o, now, up, t).sure:
		return clockFine
	case !now.Before(o.CreatedAt) && o.CreatedAt.Before(t.earliest) && !impossible:
		return clockWasNeverSet
	case !now.Before(o.CreatedAt):
		return clockInDoubt
	case impossible && !o.CreatedAt.Before(t.earliest):
		return clockNeverSet
	}
	return clockBehind
}
