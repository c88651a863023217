package engine

import (
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/internal/uptime"
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
