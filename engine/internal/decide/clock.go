package decide

import (
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
)

// ClockFacts is what a run knows about time when it decides. The engine computes
// it in one place, for one operation and one answer.
type ClockFacts struct {
	Up       uptime.Reading // the clocks that cannot be set, when the answer came
	Provider ProviderClock
	Trust              // in the wall clock
	Began    time.Time // this run, on the wall clock of the answer
	Steady   bool      // the wall clock has not jumped since the first send
	SetBack  bool      // the wall clock was set back since the first send
	// Asleep is the time by which the wall clock went ahead of the monotonic one since the
	// last send, or since acceptance.
	Asleep time.Duration
	// Unpolled is the time since acceptance in which the session could not be polled.
	Unpolled time.Duration
	// Silence is the part of Unpolled for which this session alone has given no answer, up
	// to this answer.
	Silence time.Duration
	// Blocked is how long this run has found the lane blocked. Time asleep does not count.
	// Zero means that the lane is not blocked.
	Blocked time.Duration
	// Sleeps are the spans in which the machine slept. They are given only for an
	// operation past its deadline.
	Sleeps []Span
}

// ProviderClock is what the answers of a lane say about the provider's clock.
type ProviderClock struct {
	Offset      time.Duration // the provider's clock minus the host's
	Uncertainty time.Duration // how far Offset may be wrong
	Known       bool
}

// farthest is the largest difference of two clocks. A clock that begins in 1970 at each
// boot differs by less. A date that differs by more comes from no clock, and does not
// count.
const farthest = 100 * 365 * 24 * time.Hour

// Measure compares the date of an answer with the host's clock, and reports whether it
// could. A date has whole seconds, and was set at some moment of the call.
func (c *ProviderClock) Measure(a Answer) bool {
	if a.Date.IsZero() {
		return false
	}
	round := a.At.Sub(a.Began)
	if round < 0 || round > time.Minute { // the wall clock jumped, or the call hung
		return false
	}
	offset := a.Date.Add(time.Second / 2).Sub(a.Began.Add(round / 2))
	if offset > farthest || offset < -farthest {
		return false
	}
	c.Offset = offset
	c.Uncertainty = round/2 + time.Second/2
	c.Known = true
	return true
}

const (
	// BigJump is a jump of the wall clock that ends the trust in it.
	BigJump = 5 * time.Minute
	// SmallJump is the smallest jump that is noticed. A suspend or a correction of the clock
	// causes one.
	SmallJump = 5 * time.Second
	// TrustAfter is how long the wall clock must not jump until it is trusted.
	TrustAfter = 10 * time.Minute
	// Agrees is how much a clock may differ from a provider's date that confirms it.
	Agrees = 2 * time.Minute
	// LongestSleep is the longest time for which a timer is set, since timers stand still
	// in suspend.
	LongestSleep = 30 * time.Second
)

// IntentFresh is how old an intent may be when its send begins, because the wait for the
// arrival of a send counts from its intent.
const IntentFresh = 15 * time.Second

// ReadFresh is how long a read that has cleared an operation for another send counts.
// Both clocks measure it, because the monotonic one does not move while the host sleeps.
// It is several turns of the slowest lane.
const ReadFresh = time.Minute

// MaxRetryAfter is the longest Retry-After of a provider that counts.
const MaxRetryAfter = time.Hour

// Elapsed returns a reading of the clock that runs while the machine sleeps.
func Elapsed(r uptime.Reading) store.Uptime { return store.Uptime{Boot: r.Boot, At: r.Elapsed} }

// Awake returns a reading of the clock that stands still while the machine sleeps.
func Awake(r uptime.Reading) store.Uptime { return store.Uptime{Boot: r.Boot, At: r.Awake} }

// Span is a time in which sessions could not be polled.
type Span struct{ From, To time.Time }

// SpanSum returns how much of spans is later than from.
func SpanSum(spans []Span, from time.Time) (sum time.Duration) {
	for _, s := range spans {
		if s.From.Before(from) {
			s.From = from
		}
		if s.To.After(s.From) {
			sum += s.To.Sub(s.From)
		}
	}
	return sum
}
