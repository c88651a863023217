package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// holder is the text of a lock file. A process that finds the file locked puts the holder
// into its error. The text begins at the second byte, because Windows lets no other process
// read the first byte while it is locked.
type holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Program string    `json:"program"`
	Since   time.Time `json:"since"`
}

// LockFile takes the lock of the database at path. It returns a *LockedError when timeout
// has passed. It leaves the lock file in place when the lock ends: removing it could remove
// the lock file of the next holder.
func LockFile(path string, timeout time.Duration) (*flock.Flock, error) {
	name := path + LockSuffix
	if err := makeLock(path, name); err != nil {
		return nil, err
	}
	l := flock.New(name, flock.SetFlag(os.O_RDWR|NoFollow))
	ok, err := l.TryLock()
	if !ok && err == nil && timeout > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		ok, err = l.TryLockContext(ctx, 10*time.Millisecond)
		if ctx.Err() != nil {
			err = nil
		}
		cancel()
	}
	if err != nil {
		return nil, fmt.Errorf("bolt: locking %s: %w", path, err)
	}
	if !ok {
		_ = l.Close()
		return nil, LockedBy(path)
	}
	if err := signLock(path, name, l); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// makeLock makes the lock file if there is none. It refuses anything but a regular file.
func makeLock(path, name string) error {
	info, err := os.Lstat(name)
	switch {
	case err == nil:
		return checkNeighbour(name, info)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("bolt: locking %s: %w", path, err)
	}
	o, err := OwnerAt(path)
	if err == nil {
		err = o.check(path)
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR|NoFollow, 0o600) //nolint:gosec // the host's own path
	switch {
	case errors.Is(err, fs.ErrExist): // another process was faster
		return nil
	case err != nil:
		return fmt.Errorf("bolt: locking %s: %w", path, err)
	}
	err = o.Give(f)
	_ = f.Close()
	if err != nil {
		_ = os.Remove(name)
	}
	return err
}

// signLock checks the file that was locked and writes the holder into it. It corrects the
// owner and mode if another user owns the lock file, for example after a killed process.
func signLock(path, name string, l *flock.Flock) error {
	f, err := OpenFile(name, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("bolt: locking %s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	var locked os.FileInfo
	if err == nil {
		locked, err = l.Stat()
	}
	switch {
	case err != nil:
		return fmt.Errorf("bolt: locking %s: %w", path, err)
	case !os.SameFile(info, locked):
		return fmt.Errorf("%w: %s was replaced while it was being locked: find out who replaced it", ErrUnsafe, name)
	}
	if err := checkNeighbour(name, info); err != nil {
		return err
	}
	if of, err := os.Lstat(path); err == nil {
		o, is := OwnerOf(of), OwnerOf(info)
		if o != is && (isRoot() || is.UID == os.Geteuid()) {
			_ = o.Give(f) // the lock holds even if this fails
		}
	}
	host, _ := os.Hostname()
	writeHolder(f, &holder{PID: os.Getpid(), Host: host, Program: filepath.Base(os.Args[0]), Since: time.Now().UTC()})
	return nil
}

// Unlock ends the lock. A nil lock is none.
func Unlock(l *flock.Flock) {
	if l != nil {
		_ = l.Close()
	}
}

// writeHolder writes the holder's text. The lock holds even if the write fails.
func writeHolder(f *os.File, h *holder) {
	text, err := json.Marshal(h)
	if err != nil {
		return
	}
	if _, err := f.WriteAt(append([]byte("\n"), text...), 1); err == nil {
		_ = f.Truncate(int64(len(text)) + 2)
	}
}

// LockedBy returns the error for a database that another process holds. It contains what
// that process wrote into the lock file.
func LockedBy(path string) *LockedError {
	e := &LockedError{Path: path}
	f, err := OpenFile(path+LockSuffix, os.O_RDONLY)
	if err != nil {
		return e
	}
	defer func() { _ = f.Close() }()
	var h holder
	// Only the first value counts: the text of an earlier holder may have been longer.
	if json.NewDecoder(io.NewSectionReader(f, 1, 4096)).Decode(&h) != nil {
		return e
	}
	// If the lock can be shared, only readers hold the database. They write no text, so this
	// text is of a process that ended its lock.
	if l, err := ShareLock(path, 0); l != nil || err == nil {
		Unlock(l)
		return e
	}
	e.PID, e.Host, e.Program, e.Since = h.PID, h.Host, h.Program, h.Since
	return e
}

// ShareLock takes the lock of the database at path together with other readers. It writes
// nothing. It returns nil if there is no lock file that this process can open, and a
// *LockedError when timeout has passed.
func ShareLock(path string, timeout time.Duration) (*flock.Flock, error) {
	name := path + LockSuffix
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, nil //nolint:nilerr // as documented
	}
	l := flock.New(name, flock.SetFlag(os.O_RDONLY|NoFollow))
	ok, err := l.TryRLock()
	if !ok && err == nil && timeout > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		ok, err = l.TryRLockContext(ctx, 10*time.Millisecond)
		if ctx.Err() != nil {
			err = nil
		}
		cancel()
	}
	switch {
	case err != nil: // the lock file cannot be opened, or locks do not work here
		return nil, nil //nolint:nilerr // as documented
	case !ok:
		_ = l.Close()
		return nil, &LockedError{Path: path}
	}
	return l, nil
}

// LockTimeout is the time to wait for a lock if the caller names none.
const LockTimeout = 500 * time.Millisecond
