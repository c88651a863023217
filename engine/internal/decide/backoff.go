package decide

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Backoff is a schedule of growing waits. The caller stores the interval that was reached,
// so that a restart goes on from there:
//
//	                first  then    at most
//	quick           1 s    × 2     1 min    a conflict, an unknown outcome
//	long            1 min  × 2     15 min   quota, capacity, refused reads
//	trials          1 s    × 2     1 min    the trial calls of a blocked lane
//	poll            1 s    × 1.25  12 s     a session that boots
type Backoff struct {
	First, Most time.Duration
	Factor      float64
}

var (
	Quick  = Backoff{time.Second, time.Minute, 2}
	Long   = Backoff{time.Minute, 15 * time.Minute, 2}
	Trials = Backoff{time.Second, time.Minute, 2}
	Polls  = Backoff{time.Second, 12 * time.Second, 1.25}
)

// Longest is the longest of all waits, jitter included. A due time further ahead that is
// not a not-before was set by a wrong clock.
const Longest = 15*time.Minute + 15*time.Minute/JitterPart

// Next returns the interval that follows interval. Zero means that there was none yet.
func (p Backoff) Next(interval time.Duration) time.Duration {
	if interval <= 0 {
		return p.First
	}
	b := p.from(min(max(interval, p.First), p.Most))
	b.NextBackOff() // the stored interval itself
	return b.NextBackOff()
}

// from returns the library's backoff, beginning at a stored interval. It never ends and
// has no jitter, since the engine decides both.
func (p Backoff) from(interval time.Duration) *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(interval), backoff.WithMultiplier(p.Factor), backoff.WithMaxInterval(p.Most),
		backoff.WithMaxElapsedTime(0), backoff.WithRandomizationFactor(0))
}

// After returns the wait until the next step of the schedule, which began elapsed ago.
// The schedule is a pure function of its beginning, so nothing of it is stored.
func (p Backoff) After(elapsed time.Duration) time.Duration {
	b := p.from(p.First)
	at := time.Duration(0)
	for {
		step := b.NextBackOff()
		at += step
		if at > elapsed {
			return at - elapsed
		}
		if step >= p.Most { // from here on the steps have one length
			return p.Most - (elapsed-at)%p.Most
		}
	}
}

// tickAt returns the tick of batch polls, elapsed after the schedule of polls began. A
// tick is about a quarter of the schedule's step. Ticks divide one another, so that
// sessions accepted at different times still share a call.
func tickAt(elapsed time.Duration) time.Duration {
	tick := 250 * time.Millisecond
	for tick < 2*time.Second && 2*tick <= elapsed/16 {
		tick *= 2
	}
	return tick
}

// JitterPart is the divisor of the jitter: a wait is varied by up to one tenth, both ways.
const JitterPart = 10

// Jitter varies d by up to a tenth, so that operations that failed together are not tried
// again together. The func draw(n) returns a number of at least 0 and less than n.
func Jitter(d time.Duration, draw func(n int64) int64) time.Duration {
	if d < JitterPart {
		return d
	}
	span := int64(d) / JitterPart
	return d + time.Duration(draw(2*span+1)-span)
}
