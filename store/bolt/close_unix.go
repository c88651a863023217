//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package bolt

import (
	"os"
	"syscall"
)

// closeMapped closes a file that bbolt has locked, and may have mapped for good: the
// map would hold the lock.
func closeMapped(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) //nolint:gosec // a descriptor
	_ = f.Close()
}
