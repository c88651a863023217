package engine

import "time"

// clock is what a lane's answers tell of the provider's clock.
type clock struct {
	offset time.Duration // the provider's less ours
	error  time.Duration // by how much offset may be off
	known  bool
}

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

// watch compares the wall clock with the monotonic one, and keeps whether the
// wall clock is to be believed about what has expired. run.mu guards it.
type watch struct {
	wall, mono time.Time // of the last look
	doubtSince time.Time // on the monotonic clock; zero: believed
}

func newWatch(wall, mono time.Time) watch {
	return watch{wall: wall, mono: mono, doubtSince: mono}
}

// jumped takes both clocks and returns by how much the wall clock went ahead of
// the monotonic one since the last look, if that is worth noticing.
func (w *watch) jumped(wall, mono time.Time) time.Duration {
	jump := wall.Sub(w.wall) - mono.Sub(w.mono)
	w.wall, w.mono = wall, mono
	if jump > bigJump || jump < -bigJump {
		w.doubtSince = mono
	}
	if jump > smallJump || jump < -smallJump {
		return jump
	}
	return 0
}

// confirm takes a provider's clock, just measured: one that agrees with ours
// confirms it.
func (w *watch) confirm(c clock) {
	if c.offset < agrees && c.offset > -agrees {
		w.doubtSince = time.Time{}
	}
}

// believed reports whether the wall clock's word counts, and else for how long
// it does not.
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
