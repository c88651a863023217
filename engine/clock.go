package engine

import (
	"slices"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
)

// earliestTime is before any request for this program was made: a clock that shows
// less was never set, and a time that is stored as less is not known.
var earliestTime = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// watch compares the wall clock with clocks that cannot be set, and decides
// whether the wall clock is trusted about what has expired. run.mu guards it.
type watch struct {
	wall, mono time.Time      // of the last look
	up         uptime.Reading // of the last look, too
	doubtSince time.Time      // on the monotonic clock; zero: trusted
	wrong      bool           // the last look showed that the wall clock jumped
}

func newWatch(wall, mono time.Time, up uptime.Reading) watch {
	return watch{wall: wall, mono: mono, up: up, doubtSince: mono}
}

// behaved takes over for how long the clock has behaved before this Run.
func (w *watch) behaved(d time.Duration) { w.doubtSince = w.mono.Add(-d) }

// jumped takes all clocks and returns by how much the wall clock went ahead of
// the monotonic one since the last look, if that is worth noticing. A machine that
// slept accounts for it where a clock that runs in sleep says so: then the wall
// clock stays trusted.
func (w *watch) jumped(wall, mono time.Time, up uptime.Reading) time.Duration {
	jump := wall.Sub(w.wall) - mono.Sub(w.mono)
	wrong := jump
	if passed, ok := decide.Elapsed(up).Since(decide.Elapsed(w.up)); ok {
		wrong = wall.Sub(w.wall) - passed
	}
	w.wall, w.mono, w.up = wall, mono, up
	if w.wrong = wrong > decide.BigJump || wrong < -decide.BigJump; w.wrong {
		w.doubtSince = mono
	}
	if jump > decide.SmallJump || jump < -decide.SmallJump {
		return jump
	}
	return 0
}

// confirm takes a provider's clock, just measured: one that agrees with ours
// confirms it.
func (w *watch) confirm(c decide.ProviderClock) {
	if c.Offset < decide.Agrees && c.Offset > -decide.Agrees {
		w.doubtSince = time.Time{}
	}
}

// believed reports whether the wall clock is trusted, and else how long it takes
// until it is.
func (w *watch) believed(mono time.Time) (bool, time.Duration) {
	if w.doubtSince.IsZero() {
		return true, 0
	}
	if left := decide.TrustAfter - mono.Sub(w.doubtSince); left > 0 {
		return false, left
	}
	w.doubtSince = time.Time{}
	return true, 0
}

// served returns for how long the wall clock has behaved: believeAfter at most, which
// makes it trusted.
func (w *watch) served(mono time.Time) time.Duration {
	if ok, left := w.believed(mono); !ok {
		return decide.TrustAfter - left
	}
	return decide.TrustAfter
}

// clocks is what a run knows about time: the one place where the facts about the
// clocks come from that decisions depend on. run.mu guards it.
type clocks struct {
	watch    watch
	began    time.Time     // the run, on the wall clock
	mono     time.Time     // when it began, on the monotonic clock
	sleeps   []decide.Span // by which the wall clock went ahead of the monotonic one
	steady   time.Time     // on the wall clock: it has not jumped since; zero: not in this run
	setBack  time.Time     // on the wall clock: it was not set back since
	ahead    []decide.Span // what this run has seen of clocks that were set back since, on those clocks
	watched  time.Duration // for how long runs before this one followed one another closely
	earliest time.Time     // see Engine.earliest
}

func newClocks(e *Engine) clocks {
	now, mono := e.now(), time.Now()
	return clocks{watch: newWatch(now, mono, e.up()), began: now, mono: mono, earliest: e.earliest}
}

// trust returns what is known of the wall clock about one request.
func (c *clocks) trust(o *store.Operation) decide.Trust {
	trusted, _ := c.watch.believed(time.Now())
	return decide.Trust{Doubt: !trusted, WasAhead: within(c.ahead, o.CreatedAt), Earliest: c.earliest}
}

// facts returns what this run knows about time, for one answec.
func (c *clocks) facts(l *lane, op *store.Operation, a *decide.Answer, was *decide.Sighting) decide.ClockFacts {
	from, idle := op.AcceptedAt, time.Duration(0)
	watched := c.began.Add(-c.watched)
	if !from.IsZero() && from.Before(watched) { // no Run could poll it before
		idle = watched.Sub(from)
		from = watched
	}
	pending := op.LastSentAt
	if op.Sent == store.SentAccepted {
		pending = op.AcceptedAt
	}
	unheard := time.Duration(0)
	if !was.Silent.IsZero() { // the rest of it is the lane's
		unheard = max(0, a.At.Sub(was.Silent)-l.unreachable(was.Silent, a.At)-decide.SpanSum(c.sleeps, was.Silent))
	}
	var sleeps []decide.Span
	if d := op.Deadline(); !d.IsZero() && !a.At.Before(d) {
		sleeps = slices.Clone(c.sleeps)
	}
	same := !op.SentAt.Before(c.began) // otherwise another Run's clock dated it, and that may have been wrong
	setBack := op.SentAt.Before(c.setBack) || op.SentAt.After(a.At) || within(c.ahead, op.SentAt)
	return decide.ClockFacts{
		Up: c.watch.up, Provider: l.clock, Trust: c.trust(op),
		Steady: same && !setBack && !op.SentAt.Before(c.steady), SetBack: setBack,
		Began:   a.At.Add(-a.BeganMono.Sub(c.mono)),
		Blind:   idle + l.unreachable(from, a.At) + decide.SpanSum(c.sleeps, from) + was.Blind + unheard,
		Unheard: unheard, Asleep: decide.SpanSum(c.sleeps, pending), Blocked: c.blockedFor(l, a.At), Sleeps: sleeps,
	}
}

// blockedFor returns how long this run, while the machine was awake, has found the
// lane blocked. Zero means that it is not.
func (c *clocks) blockedFor(l *lane, now time.Time) time.Duration {
	if l.block == nil {
		return 0
	}
	return now.Sub(l.block.since) - decide.SpanSum(c.sleeps, l.block.since)
}
