package decide

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Backoff is a schedule of growing waits. The interval reached is data, kept by
// the caller, so that a restart goes on where it was:
//
//	                first  then    at most
//	quick           1 s    × 2     1 min    a conflict, an unclear outcome
//	long            1 min  × 2     15 min   quota, capacity, looks refused
//	probe           1 s    × 2     1 min    a lane that is offline
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

// Longest is the longest of all waits: a due time further ahead than that,
// jitter included, and not for a not-before, is the work of a wrong clock.
const Longest = 15*time.Minute + 15*time.Minute/JitterPart

// Next is the interval after one of length interval; 0 is before the first.
func (p Backoff) Next(interval time.Duration) time.Duration {
	if interval <= 0 {
		return p.First
	}
	b := p.from(min(max(interval, p.First), p.Most))
	b.NextBackOff() // the stored interval itself
	return b.NextBackOff()
}

// from is cenkalti's backoff from a stored interval on. It never ends by
// itself and has no jitter: both are ours.
func (p Backoff) from(interval time.Duration) *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(interval), backoff.WithMultiplier(p.Factor), backoff.WithMaxInterval(p.Most),
		backoff.WithMaxElapsedTime(0), backoff.WithRandomizationFactor(0))
}

// After is how long to wait, counted from elapsed into the schedule, until the
// next of its steps. The schedule is a pure function of the time that it began,
// so nothing of it need be stored.
func (p Backoff) After(elapsed time.Duration) time.Duration {
	b := p.from(p.First)
	at := time.Duration(0)
	for {
		step := b.NextBackOff()
		at += step
		if at > elapsed {
			return at - elapsed
		}
		if step >= p.Most { // from here on it is regular
			return p.Most - (elapsed-at)%p.Most
		}
	}
}

// tickAt is how far apart the polls of a batch may be, elapsed into the schedule
// of polls: about a quarter of its step then. Ticks divide one another, so that
// sessions accepted at different times still meet.
func tickAt(elapsed time.Duration) time.Duration {
	tick := 250 * time.Millisecond
	for tick < 2*time.Second && 2*tick <= elapsed/16 {
		tick *= 2
	}
	return tick
}

// JitterPart: a wait is varied by up to one part in so many, both ways.
const JitterPart = 10

// Jitter varies d by up to a tenth, so that what failed together does not come
// back together. draw returns a number from 0 to below n.
func Jitter(d time.Duration, draw func(n int64) int64) time.Duration {
	if d < JitterPart {
		return d
	}
	span := int64(d) / JitterPart
	return d + time.Duration(draw(2*span+1)-span)
}
