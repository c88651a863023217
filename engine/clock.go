package engine

import (
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
)

// clock is what a lane's answers tell of the provider's clock.
type clock struct {
	offset time.Duration // the provider's less ours
	error  time.Duration // by how much offset may be off
	known  bool
}

// earliestTime is before any request for this program was made: a clock that shows
// less was never set, and a time that is stored as less is not known.
var earliestTime = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// farthest is by how much two clocks may differ: one that begins in 1970 with each
// boot does by less. What differs by more is no clock's, and would neither be kept
// nor reckoned with as it is.
const farthest = 100 * 365 * 24 * time.Hour

// measure takes the date of an answer, and reports whether it could. A date has
// whole seconds, and was set at some instant of the call.
func (c *clock) measure(a answer) bool {
	if a.date.IsZero() {
		return false
	}
	round := a.at.Sub(a.began)
	if round < 0 || round > time.Minute { // the wall clock jumped, or the call hung
		return false
	}
	offset := a.date.Add(time.Second / 2).Sub(a.began.Add(round / 2))
	if offset > farthest || offset < -farthest {
		return false
	}
	c.offset = offset
	c.error = round/2 + time.Second/2
	c.known = true
	return true
}

const (
	// bigJump of the wall clock puts its word in doubt again.
	bigJump = 5 * time.Minute
	// smallJump is one that is noticed at all: a suspend, a clock set right.
	smallJump = 5 * time.Second
	// believeAfter: nobody confirmed the clock, nor denied it.
	believeAfter = 10 * time.Minute
	// agrees: a provider's date confirms a clock that differs by less.
	agrees = 2 * time.Minute
	// longestNap: no timer is trusted for longer; in suspend it stands still.
	longestNap = 30 * time.Second
)

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
	if passed, ok := elapsed(up).Since(elapsed(w.up)); ok {
		wrong = wall.Sub(w.wall) - passed
	}
	w.wall, w.mono, w.up = wall, mono, up
	if w.wrong = wrong > bigJump || wrong < -bigJump; w.wrong {
		w.doubtSince = mono
	}
	if jump > smallJump || jump < -smallJump {
		return jump
	}
	return 0
}

// elapsed returns a reading of the clock that runs while the machine sleeps.
func elapsed(r uptime.Reading) store.Uptime { return store.Uptime{Boot: r.Boot, At: r.Elapsed} }

// awake returns a reading of the clock that stands still while the machine sleeps.
func awake(r uptime.Reading) store.Uptime { return store.Uptime{Boot: r.Boot, At: r.Awake} }

// confirm takes a provider's clock, just measured: one that agrees with ours
// confirms it.
func (w *watch) confirm(c clock) {
	if c.offset < agrees && c.offset > -agrees {
		w.doubtSince = time.Time{}
	}
}

// believed reports whether the wall clock is trusted, and else how long it takes
// until it is.
func (w *watch) believed(mono time.Time) (bool, time.Duration) {
	if w.doubtSince.IsZero() {
		return true, 0
	}
	if left := believeAfter - mono.Sub(w.doubtSince); left > 0 {
		return false, left
	}
	w.doubtSince = time.Time{}
	return true, 0
}

// served returns for how long the wall clock has behaved: believeAfter at most, which
// makes it trusted.
func (w *watch) served(mono time.Time) time.Duration {
	if ok, left := w.believed(mono); !ok {
		return believeAfter - left
	}
	return believeAfter
}
