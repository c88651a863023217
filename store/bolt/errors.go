package bolt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/store"
)

// Returned by Open, in addition to store.ErrCorrupt.
var (
	// ErrLocked: another process, or another Store of this one, has the file
	// open. It is inside a *LockedError.
	ErrLocked = errors.New("bolt: database is held by another process")
	// ErrNewer: the file was written by a newer version of this package.
	ErrNewer = errors.New("bolt: database has a newer schema")
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
	// ErrInconclusive: a Job did not finish, for a reason outside of the file: its
	// process was killed, or its time was up. The file may be sound. A JobFunc
	// returns it; Verify and Repair pass it on, and Repair changes nothing then.
	ErrInconclusive = errors.New("bolt: the examination did not finish")
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

// CorruptError says what in a file is not as it was written. It wraps store.ErrCorrupt.
type CorruptError struct {
	Path   string
	Bucket string // "" if the damage is below the records
	Key    string // as a person would write it; "" if Bucket is
	Detail string

	stuck bool // the fault left bbolt's locks held
}

func (e *CorruptError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "bolt: %s is damaged", e.Path)
	if e.Bucket != "" {
		fmt.Fprintf(&b, " in bucket %q", e.Bucket)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, " at key %q", e.Key)
	}
	fmt.Fprintf(&b, ": %s: run: rouse check --db %q, and rouse repair to mend it", e.Detail, e.Path)
	return b.String()
}

// Unwrap returns store.ErrCorrupt.
func (e *CorruptError) Unwrap() error { return store.ErrCorrupt }
