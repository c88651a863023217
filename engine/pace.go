package engine

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// pace is a lane's rate: a token bucket. Its limit begins low, or at the rate that an
// earlier Run reached without being throttled. The limit doubles each second as answers
// come. It is cut when the provider throttles, and then grows slowly. The bucket runs on
// the monotonic clock, so a jump of the wall clock neither stops nor fills it.
type pace struct {
	bucket  *rate.Limiter
	most    float64   // the configured rate
	ramping bool      // not throttled yet: the limit doubles each second
	slowed  time.Time // when the limit was last cut
}

const (
	rampPart   = 8    // a lane begins at this part of its rate
	slowFactor = 0.85 // a throttled lane goes on at this part of its limit
	regain     = 0.02 // each answer raises it by this many calls a second: 2 % a second
	slowest    = 0.1  // calls a second: a lane never stops altogether
)

// newPace returns a pace that begins at known calls a second, or at an eighth of most if
// that is more. The lane has reached known without being throttled.
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
	paceAfter      = 24 * time.Hour // for so long after a throttled answer, the stored pace does not count
	throttledEvery = time.Hour      // the least time between two writes that a lane is throttled
)

// knownPace returns the stored pace of a lane in calls a second. It returns 0 if the lane
// was throttled in the last 24 hours, or in the future by a clock that was ahead.
func knownPace(s *store.Lane, now time.Time) float64 {
	if !s.ThrottledAt.IsZero() && now.Sub(s.ThrottledAt) < paceAfter {
		return 0
	}
	return float64(s.Pace)
}

// notePace notes what an answer says about the lane's pace, and reports whether that is to
// be stored. A throttled answer is stored once an hour, and the lane's whole rate when
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

// restart begins the ramp again after an outage, so that the operations that wait are not
// sent all at once.
func (p *pace) restart(now time.Time) {
	p.ramping = true
	p.set(now, max(1, p.most/rampPart))
}

func (p *pace) set(now time.Time, limit float64) {
	limit = min(max(limit, slowest), p.most)
	p.bucket.SetLimitAt(now, rate.Limit(limit))
	p.bucket.SetBurstAt(now, max(1, int(limit/10)))
}

// answered raises the limit after an answer that was not throttled.
func (p *pace) answered(now time.Time) {
	limit := float64(p.bucket.Limit())
	switch {
	case limit >= p.most:
		return
	case p.ramping:
		p.set(now, limit+1) // limit answers a second: it doubles
	default:
		p.set(now, limit+regain)
	}
}

// throttled cuts the limit after a throttled answer to a call that began at began. Calls
// that were in flight when the limit was last cut do not cut it again.
func (p *pace) throttled(now, began time.Time) {
	p.ramping = false
	if began.Before(p.slowed) {
		return
	}
	p.slowed = now
	p.set(now, float64(p.bucket.Limit())*slowFactor)
}

// free returns how many calls may be made now.
func (p *pace) free(now time.Time) int { return max(0, int(p.bucket.TokensAt(now))) }

// take uses one call. If none is free, the bucket goes into debt.
func (p *pace) take(now time.Time) { p.bucket.ReserveN(now, 1) }

// wait returns how long it takes until a call may be made.
func (p *pace) wait(now time.Time) time.Duration {
	missing := 1 - p.bucket.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(p.bucket.Limit())*float64(time.Second)) + time.Microsecond
}
