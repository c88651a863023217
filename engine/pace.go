package engine

import (
	"time"

	"golang.org/x/time/rate"
)

// pace is a lane's rate: a token bucket whose limit begins low, doubles each
// second as answers come, is cut when the provider throttles, and from then on
// probes upward slowly. It runs on the monotonic clock, so a jump of the wall
// clock neither stops it nor opens it.
type pace struct {
	bucket  *rate.Limiter
	most    float64   // the configured rate
	ramping bool      // not throttled yet: the limit doubles each second
	slowed  time.Time // when the limit was last cut
}

const (
	rampPart   = 8    // a lane begins at this part of its rate
	slowFactor = 0.85 // a throttled lane goes on at so much of its limit
	creep      = 0.02 // and regains so much of a call a second with each answer: 2 % a second
	slowest    = 0.1  // calls a second: it never stops for good
)

func newPace(most float64, now time.Time) *pace {
	p := &pace{most: most}
	p.bucket = rate.NewLimiter(0, 1)
	p.restart(now)
	return p
}

// restart begins the ramp again, after an outage: what piled up meanwhile is not
// let go at once.
func (p *pace) restart(now time.Time) {
	p.ramping = true
	p.set(now, max(1, p.most/rampPart))
}

func (p *pace) set(now time.Time, limit float64) {
	limit = min(max(limit, slowest), p.most)
	p.bucket.SetLimitAt(now, rate.Limit(limit))
	p.bucket.SetBurstAt(now, max(1, int(limit/10)))
}

// answered is told of each answer that was not throttled.
func (p *pace) answered(now time.Time) {
	limit := float64(p.bucket.Limit())
	switch {
	case limit >= p.most:
		return
	case p.ramping:
		p.set(now, limit+1) // limit answers a second: it doubles
	default:
		p.set(now, limit+creep)
	}
}

// throttled is told of each answer that was, with when its call began: calls
// that were under way when the limit was last cut say nothing new.
func (p *pace) throttled(now, began time.Time) {
	p.ramping = false
	if began.Before(p.slowed) {
		return
	}
	p.slowed = now
	p.set(now, float64(p.bucket.Limit())*slowFactor)
}

// free is how many calls may be made now.
func (p *pace) free(now time.Time) int { return max(0, int(p.bucket.TokensAt(now))) }

// take uses one call; it was free, or it is in debt for it.
func (p *pace) take(now time.Time) { p.bucket.ReserveN(now, 1) }

// wait is how long until a call may be made.
func (p *pace) wait(now time.Time) time.Duration {
	missing := 1 - p.bucket.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(p.bucket.Limit())*float64(time.Second)) + time.Microsecond
}
