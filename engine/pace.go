package engine

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// pace is a lane's rate: a token bucket whose limit begins low, or where an earlier
// Run came to without being throttled. It doubles each second as answers come, is
// cut when the provider throttles, and from then on grows slowly. It runs on the
// monotonic clock, so a jump of the wall clock neither stops it nor opens it.
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

// newPace begins at known, the calls a second that the lane is known to bear, if that
// is more than a part of its rate.
func newPace(most, known float64, now time.Time) *pace {
	p := &pace{most: most}
	p.bucket = rate.NewLimiter(0, 1)
	p.restart(now)
	if known > float64(p.bucket.Limit()) {
		p.set(now, known)
	}
	return p
}

const (
	paceAfter      = 24 * time.Hour // a lane that was throttled is not known to bear its rate for so long
	throttledEvery = time.Hour      // at most so often it is written that a lane is throttled
)

// knownPace is the stored pace of a lane, or 0 if it was throttled lately, or at a
// time to come, of a clock that was ahead.
func knownPace(s *store.Lane, now time.Time) float64 {
	if !s.ThrottledAt.IsZero() && now.Sub(s.ThrottledAt) < paceAfter {
		return 0
	}
	return float64(s.Pace)
}

// notePace takes over what an answer tells of the lane's pace, and reports whether
// that is to be written: a throttled answer once an hour, the lane's whole rate when
// it is reached. run.mu must be held.
func (l *lane) notePace(a *decide.Answer, now time.Time) bool {
	s := l.stored
	if a.Kind == transport.KindThrottled && !a.OnlySession {
		if age := now.Sub(s.ThrottledAt); s.Pace == 0 && age >= 0 && age < throttledEvery {
			return false
		}
		s.Pace, s.ThrottledAt = 0, now
		return true
	}
	switch most := l.pace.most; {
	case a.Silent() || float64(l.pace.bucket.Limit()) < most:
		return false
	case most <= max(1, most/rampPart): // it begins there anyway
		return false
	case s.Pace >= int(most) || !s.ThrottledAt.IsZero() && now.Sub(s.ThrottledAt) < paceAfter:
		return false
	}
	s.Pace = int(l.pace.most)
	return true
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
