// Package uptime reads the clocks that cannot be set: they count since the machine booted. Together
// with the identity of the boot, two readings prove how much time passed between them, across
// processes, whatever the wall clock shows.
package uptime

import "time"

// Reading is one reading of those clocks. The zero value means that they are not known.
// That is so on systems other than Linux, and in a synctest bubble, whose time is not the
// system's.
type Reading struct {
	// Boot identifies the boot of the machine: a hash of the kernel's random id. Two
	// readings can be compared only if it is equal.
	Boot uint32
	// Elapsed also runs while the machine sleeps. Awake does not.
	Elapsed, Awake time.Duration
}

// Known reports whether the clocks could be read.
func (r Reading) Known() bool { return r.Boot != 0 }
