package disk

import (
	"errors"
	"fmt"
	"time"
)

// The errors of a file that cannot be used.
var (
	// ErrLocked: another process, or another Store of this one, has the file
	// open. It is inside a *LockedError.
	ErrLocked = errors.New("bolt: database is held by another process")
	// ErrForeign: the path names something that is no database of this package.
	ErrForeign = errors.New("bolt: not a database of rouse")
	// ErrReadOnly: the file cannot be written, or the store was opened with
	// Config.ReadOnly.
	ErrReadOnly = errors.New("bolt: database cannot be written")
	// ErrNetworkFS: the file is on a file system whose locks or syncs may not hold, or on
	// an unknown one without a disk of this machine. Config.AllowNetworkFS turns the check
	// off.
	ErrNetworkFS = errors.New("bolt: database is on a network file system")
	// ErrUnsafe: another user could redirect what is written to another file, could
	// replace the database, or has made it. The path has a folder that every user may
	// write to, a symbolic link in place of a file of this package, or another user's
	// folder, link or file in a folder such as /tmp.
	ErrUnsafe = errors.New("bolt: database is not safe from other users")
	// ErrNotOwner: a file must be made next to the database or in its place, and this
	// process cannot give it the database's owner, group and mode. Nothing was written.
	ErrNotOwner = errors.New("bolt: database belongs to another user")
)

// LockedError says which process holds a database. It wraps ErrLocked. A field is zero if
// the holder did not write it, or if it could not be read.
type LockedError struct {
	Path    string
	PID     int
	Host    string
	Program string
	Since   time.Time
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%v: %s", ErrLocked, e.Path)
	}
	return fmt.Sprintf("%v: %s: pid %d (%s) on host %s since %s",
		ErrLocked, e.Path, e.PID, e.Program, e.Host, e.Since.UTC().Format(time.RFC3339))
}

// Unwrap returns ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }
