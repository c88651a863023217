//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package disk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// shareFile takes the lock that bbolt takes of a file that it only reads, or returns
// a *LockedError if somebody has it open for writing. let lets go of it.
func shareFile(path string) (let func(), err error) {
	f, err := OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("bolt: %w", err)
	}
	// A file system without locks has none that could be held.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) { //nolint:gosec // a descriptor
		_ = f.Close()
		return nil, LockedBy(path)
	}
	return func() {
		UnlockMapped(f)
		_ = f.Close()
	}, nil
}

// UnlockMapped unlocks a file that bbolt has locked. Closing it is not enough where
// it is mapped for good: the map holds the lock. Nor while a process is being
// started, which has it open as well for a moment.
func UnlockMapped(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) } //nolint:gosec // a descriptor
