package engine

import (
	"github.com/rouse-dev/rouse/engine/internal/decide"
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
)

// trust returns how far the wall clock is trusted about one operation. mu must be held.
func (r *run) trust(o *store.Operation) decide.Trust {
	r.noticeJump()
	return r.clocks.trust(o)
}

// expiry returns the expiry of an operation that a worker has claimed.
func (r *run) expiry(o *store.Operation) decide.Expiry {
	r.mu.Lock()
	t := r.trust(o)
	r.mu.Unlock()
	return decide.ExpiryOf(o, r.e.now(), r.e.up(), t)
}

// clockWait says why the clock keeps an operation from being sent or ended.
type clockWait uint8

const (
	clockFine        clockWait = iota // nothing
	clockUntrusted                    // it shows that the operation has expired, and is not decide.Trusted
	clockBehind                       // it shows a time before the request, and is not decide.Trusted
	clockNeverSet                     // the same, and no clock that was ever set shows so little
	clockWasNeverSet                  // it was not set when the request was made, and is not decide.Trusted
)

func clockWaitOf(o *store.Operation, now time.Time, up uptime.Reading, t decide.Trust) clockWait {
	impossible := now.Before(t.Earliest)
	switch {
	case o.Phase.Ended() || decide.ExpiryOf(o, now, up, t).Certain:
		return clockFine
	case !now.Before(o.CreatedAt) && o.CreatedAt.Before(t.Earliest) && !impossible:
		return clockWasNeverSet
	case !now.Before(o.CreatedAt):
		return clockUntrusted
	case impossible && !o.CreatedAt.Before(t.Earliest):
		return clockNeverSet
	}
	return clockBehind
}
