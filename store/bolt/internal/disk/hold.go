package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Hold takes the lock of an existing file, and returns the file's real path. A caller that
// writes nothing shares the lock with other readers, and makes no lock file.
func Hold(path string, timeout time.Duration, writes bool) (string, func(), error) {
	path, err := RealPath(path, writes)
	if err != nil {
		return "", nil, err
	}
	exists, err := Exists(path)
	switch {
	case errors.Is(err, ErrReadOnly) && !writes:
	case err != nil:
		return "", nil, err
	case !exists:
		return "", nil, fmt.Errorf("bolt: %w", &os.PathError{Op: "open", Path: path, Err: fs.ErrNotExist})
	}
	if timeout == 0 {
		timeout = LockTimeout
	}
	if !writes {
		release, err := shareDatabase(path, timeout)
		return path, release, err
	}
	if err := CheckFolder(path); err != nil {
		return "", nil, err
	}
	lock, err := LockFile(path, timeout)
	if err != nil {
		return "", nil, err
	}
	return path, func() { Unlock(lock) }, nil
}

// shareDatabase keeps writers away from a database that this process reads. If it cannot
// open a lock file, it relies on the lock that bbolt takes of the database itself. release
// ends the lock.
func shareDatabase(path string, timeout time.Duration) (release func(), err error) {
	lock, err := ShareLock(path, timeout)
	if err != nil {
		return nil, LockedBy(path)
	}
	let, err := shareFile(path)
	if err != nil {
		Unlock(lock)
		return nil, err
	}
	return func() {
		let()
		Unlock(lock)
	}, nil
}
