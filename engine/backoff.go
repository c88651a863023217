package engine

import (
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// pause is a schedule of growing waits. The interval reached is data, kept by
// the caller, so that a restart goes on where it was:
//
//	                first  then    at most
//	quick           1 s    × 2     1 min    a conflict, an unclear outcome
//	long            1 min  × 2     15 min   quota, capacity, looks refused
//	probe           1 s    × 2     1 min    a lane that is offline
//	poll            1 s    × 1.25  12 s     a session that boots
type pause struct {
	first, most time.Duration
	factor      float64
}

var (
	quick = pause{time.Second, time.Minute, 2}
	long  = pause{time.Minute, 15 * time.Minute, 2}
	probe = pause{time.Second, time.Minute, 2}
	poll  = pause{time.Second, 12 * time.Second, 1.25}
)

// longest is the longest of all waits: a due time further ahead than that,
// jitter included, and not for a not-before, is the work of a wrong clock.
const longest = 15*time.Minute + 15*time.Minute/jitterPart

// next is the interval after one of length interval; 0 is before the first.
func (p pause) next(interval time.Duration) time.Duration {
	if interval <= 0 {
		return p.first
	}
	b := p.from(min(max(interval, p.first), p.most))
	b.NextBackOff() // the stored interval itself
	return b.NextBackOff()
}

// from is cenkalti's backoff from a stored interval on. It never ends by
// itself and has no jitter: both are ours.
func (p pause) from(interval time.Duration) *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(interval), backoff.WithMultiplier(p.factor), backoff.WithMaxInterval(p.most),
		backoff.WithMaxElapsedTime(0), backoff.WithRandomizationFactor(0))
}

// after is how long to wait, counted from elapsed into the schedule, until the
// next of its steps. The schedule is a pure function of the time that it began,
// so nothing of it need be stored.
func (p pause) after(elapsed time.Duration) time.Duration {
	b := p.from(p.first)
	at := time.Duration(0)
	for {
		step := b.NextBackOff()
		at += step
		if at > elapsed {
			return at - elapsed
		}
		if step >= p.most { // from here on it is regular
			return p.most - (elapsed-at)%p.most
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

// jitterPart: a wait is varied by up to one part in so many, both ways.
const jitterPart = 10

// jitter varies d by up to a tenth, so that what failed together does not come
// back together.
func jitter(d time.Duration) time.Duration {
	if d < jitterPart {
		return d
	}
	span := int64(d) / jitterPart
	return d + time.Duration(rand.Int64N(2*span+1)-span)
}
