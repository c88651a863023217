package bolt

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// holder is what stands in a lock file, for the error of who comes second. It
// begins at the second byte: Windows lets nobody read the first while it is
// locked.
type holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Program string    `json:"program"`
	Since   time.Time `json:"since"`
}

// lockFile takes the lock of the database at path, or returns a *LockedError
// when timeout has passed. The file of the lock stays when it is let go of: who
// removes one may remove the next holder's.
func lockFile(path string, timeout time.Duration) (*flock.Flock, error) {
	l := flock.New(path+lockSuffix, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
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
		return nil, lockedBy(path)
	}
	host, _ := os.Hostname()
	writeHolder(path, &holder{PID: os.Getpid(), Host: host, Program: filepath.Base(os.Args[0]), Since: time.Now().UTC()})
	return l, nil
}

// unlock lets go of the lock.
func unlock(l *flock.Flock) { _ = l.Close() }

// writeHolder is a courtesy: without it the lock holds as well.
func writeHolder(path string, h *holder) {
	text, err := json.Marshal(h)
	if err != nil {
		return
	}
	f, err := os.OpenFile(path+lockSuffix, os.O_WRONLY, 0o600) //nolint:gosec // the host's own path
	if err != nil {
		return
	}
	if _, err := f.WriteAt(append([]byte("\n"), text...), 1); err == nil {
		_ = f.Truncate(int64(len(text)) + 2)
	}
	_ = f.Close()
}

func lockedBy(path string) *LockedError {
	e := &LockedError{Path: path}
	f, err := os.Open(path + lockSuffix) //nolint:gosec // the host's own path
	if err != nil {
		return e
	}
	defer func() { _ = f.Close() }()
	var h holder
	// What an earlier holder wrote may be longer: only the first value counts.
	if json.NewDecoder(io.NewSectionReader(f, 1, 4096)).Decode(&h) == nil {
		e.PID, e.Host, e.Program, e.Since = h.PID, h.Host, h.Program, h.Since
	}
	return e
}
