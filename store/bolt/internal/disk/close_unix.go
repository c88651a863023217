//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package disk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// shareFile takes the lock that bbolt takes of a file that it only reads. It returns a
// *LockedError if a process has the file open for writing. let ends the lock.
func shareFile(path string) (let func(), err error) {
	f, err := OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("bolt: %w", err)
	}
	// On a file system without locks no process can hold one.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) { //nolint:gosec // a descriptor
		_ = f.Close()
		return nil, LockedBy(path)
	}
	return func() {
		UnlockMapped(f)
		_ = f.Close()
	}, nil
}

// UnlockMapped unlocks a file that bbolt has locked. Closing the file does not end the lock
// while the file is mapped, because the mapping holds the lock. Nor does it while this
// process starts another process, which has the file open for a moment.
func UnlockMapped(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) } //nolint:gosec // a descriptor
