package engine

import (
	"slices"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
)

// earliestTime is before the first request that any program made. A clock that shows an
// earlier time was never set, and an earlier stored time counts as not known.
var earliestTime = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// watch compares the wall clock with clocks that cannot be set. It decides whether the
// engine trusts the wall clock about what has expired. run.mu guards it.
type watch struct {
	wall, mono     time.Time      // at the last comparison
	up             uptime.Reading // at the last comparison
	untrustedSince time.Time      // on the monotonic clock; zero: trusted
	wrong          bool           // the last comparison showed that the wall clock jumped
}

func newWatch(wall, mono time.Time, up uptime.Reading) watch {
	return watch{wall: wall, mono: mono, up: up, untrustedSince: mono}
}

// behaved sets for how long the clock has behaved before this Run.
func (w *watch) behaved(d time.Duration) { w.untrustedSince = w.mono.Add(-d) }

// jumped compares the clocks. It returns how far the wall clock went ahead of the
// monotonic one since the last comparison. Zero means too little to notice. The wall
// clock stays trusted if a clock that runs in sleep shows that the machine slept.
func (w *watch) jumped(wall, mono time.Time, up uptime.Reading) time.Duration {
	jump := wall.Sub(w.wall) - mono.Sub(w.mono)
	wrong := jump
	if passed, ok := decide.Elapsed(up).Since(decide.Elapsed(w.up)); ok {
		wrong = wall.Sub(w.wall) - passed
	}
	w.wall, w.mono, w.up = wall, mono, up
	if w.wrong = wrong > decide.BigJump || wrong < -decide.BigJump; w.wrong {
		w.untrustedSince = mono
	}
	if jump > decide.SmallJump || jump < -decide.SmallJump {
		return jump
	}
	return 0
}

// confirm trusts the wall clock if a provider's clock, just measured, agrees with it.
func (w *watch) confirm(c decide.ProviderClock) {
	if c.Offset < decide.Agrees && c.Offset > -decide.Agrees {
		w.untrustedSince = time.Time{}
	}
}

// trusted reports whether the wall clock is trusted. If not, it also returns how long
// that will take.
func (w *watch) trusted(mono time.Time) (bool, time.Duration) {
	if w.untrustedSince.IsZero() {
		return true, 0
	}
	if left := decide.TrustAfter - mono.Sub(w.untrustedSince); left > 0 {
		return false, left
	}
	w.untrustedSince = time.Time{}
	return true, 0
}

// behavedFor returns for how long the wall clock has behaved. The most that it returns is
// decide.TrustAfter, which means that the clock is trusted.
func (w *watch) behavedFor(mono time.Time) time.Duration {
	if ok, left := w.trusted(mono); !ok {
		return decide.TrustAfter - left
	}
	return decide.TrustAfter
}

// clocks is what a run knows about time. All clock facts that decisions depend on come
// from it. run.mu guards it.
type clocks struct {
	watch    watch
	began    time.Time     // the run, on the wall clock
	mono     time.Time     // when the run began, on the monotonic clock
	sleeps   []decide.Span // the spans by which the wall clock went ahead of the monotonic one
	steady   time.Time     // the last jump of the wall clock, on the wall clock; zero: none in this run
	setBack  time.Time     // when the wall clock was last set back, on the wall clock; zero: never in this run
	ahead    []decide.Span // what the wall clock showed in this run before it was set back
	watched  time.Duration // for how long the runs before this one followed one another closely
	earliest time.Time     // see Engine.earliest
}

func newClocks(e *Engine) clocks {
	now, mono := e.now(), time.Now()
	return clocks{watch: newWatch(now, mono, e.up()), began: now, mono: mono, earliest: e.earliest}
}

// trust returns how far the wall clock is trusted about one request.
func (c *clocks) trust(o *store.Operation) decide.Trust {
	trusted, _ := c.watch.trusted(time.Now())
	return decide.Trust{Untrusted: !trusted, WasAhead: within(c.ahead, o.CreatedAt), Earliest: c.earliest}
}

// facts returns what this run knows about time, for one answer.
func (c *clocks) facts(l *lane, op *store.Operation, a *decide.Answer, was *decide.Sighting) decide.ClockFacts {
	from, idle := op.AcceptedAt, time.Duration(0)
	watched := c.began.Add(-c.watched)
	if !from.IsZero() && from.Before(watched) { // no Run polled it before
		idle = watched.Sub(from)
		from = watched
	}
	pending := op.LastSentAt
	if op.Sent == store.SentAccepted {
		pending = op.AcceptedAt
	}
	silence := time.Duration(0)
	if !was.Silent.IsZero() { // the lane's outages and sleeps count already
		silence = max(0, a.At.Sub(was.Silent)-l.unreachable(was.Silent, a.At)-decide.SpanSum(c.sleeps, was.Silent))
	}
	var sleeps []decide.Span
	if d := op.Deadline(); !d.IsZero() && !a.At.Before(d) {
		sleeps = slices.Clone(c.sleeps)
	}
	same := !op.SentAt.Before(c.began) // otherwise another Run's clock, which may have been wrong, dated it
	setBack := op.SentAt.Before(c.setBack) || op.SentAt.After(a.At) || within(c.ahead, op.SentAt)
	return decide.ClockFacts{
		Up: c.watch.up, Provider: l.clock, Trust: c.trust(op),
		Steady: same && !setBack && !op.SentAt.Before(c.steady), SetBack: setBack,
		Began:    a.At.Add(-a.BeganMono.Sub(c.mono)),
		Unpolled: idle + l.unreachable(from, a.At) + decide.SpanSum(c.sleeps, from) + was.SilentBefore + silence,
		Silence:  silence, Asleep: decide.SpanSum(c.sleeps, pending), Blocked: c.blockedFor(l, a.At), Sleeps: sleeps,
	}
}

// blockedFor returns for how long this run has found the lane blocked. Time asleep does
// not count. Zero means that the lane is not blocked.
func (c *clocks) blockedFor(l *lane, now time.Time) time.Duration {
	if l.block == nil {
		return 0
	}
	return now.Sub(l.block.since) - decide.SpanSum(c.sleeps, l.block.since)
}
