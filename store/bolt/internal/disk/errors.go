package disk

import (
	"errors"
	"fmt"
	"time"
)

// These errors mean that a file cannot be used. Each is wrapped with the path and the next
// step.
var (
	// ErrLocked means that another process, or another Store of this process, has the file
	// open. A *LockedError wraps it.
	ErrLocked = errors.New("bolt: database is held by another process")
	// ErrForeign means that the path names something that is no database of this package.
	ErrForeign = errors.New("bolt: not a database of rouse")
	// ErrReadOnly means that the file cannot be written, or that the store was opened with
	// Config.ReadOnly.
	ErrReadOnly = errors.New("bolt: database cannot be written")
	// ErrNetworkFS means that the file system's locks or syncs may not hold. It also
	// means an unknown file system without a disk of this machine behind it.
	// Config.AllowNetworkFS turns the check off.
	ErrNetworkFS = errors.New("bolt: database is on a network file system")
	// ErrUnsafe means that another user could redirect a write, could replace the database, or
	// has made it. The path has a folder that every user may write to, or a symbolic link in
	// place of a file of this package. Or it has another user's folder, link or file in a
	// folder such as /tmp.
	ErrUnsafe = errors.New("bolt: database is not safe from other users")
	// ErrNotOwner means that a file must be made next to the database or in its place.
	// This process cannot give it the database's owner, group and mode. Nothing was
	// written.
	ErrNotOwner = errors.New("bolt: database belongs to another user")
)

// LockedError says which process holds a database. It wraps ErrLocked. A field is zero if
// the holder did not write it, or if the lock file could not be read.
type LockedError struct {
	Path    string
	PID     int
	Host    string
	Program string
	Since   time.Time
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%v: %s: wait until that process closes it", ErrLocked, e.Path)
	}
	return fmt.Sprintf("%v: %s: pid %d (%s) on host %s since %s: wait until it closes the database",
		ErrLocked, e.Path, e.PID, e.Program, e.Host, e.Since.UTC().Format(time.RFC3339))
}

// Unwrap returns ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }
