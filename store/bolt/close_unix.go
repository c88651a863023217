//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package bolt

import (
	"os"
	"syscall"
)

// unlockMapped unlocks a file that bbolt has locked. Closing it is not enough where
// it is mapped for good: the map holds the lock. Nor while a process is being
// started, which has it open as well for a moment.
func unlockMapped(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) } //nolint:gosec // a descriptor
