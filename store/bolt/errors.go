package bolt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/store"
)

// Returned by Open, beside store.ErrCorrupt.
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
	// ErrNetworkFS: the file is on a file system whose locks or syncs may not
	// hold, or which is not known and has no disk of this machine behind it.
	// Config.AllowNetworkFS lifts the check.
	ErrNetworkFS = errors.New("bolt: database is on a network file system")
	// ErrUnsafe: another user could divert what is written to another file, could
	// replace the database, or has made it. There is a folder that every user may
	// write to, a symbolic link in place of a file of this package, or another user's
	// folder, link or file in a folder such as /tmp.
	ErrUnsafe = errors.New("bolt: database is not safe from other users")
	// ErrNotOwner: a file has to be made next to the database or in its place, and
	// this process cannot give it the owner, the group and the mode of the database.
	// Nothing was written.
	ErrNotOwner = errors.New("bolt: database belongs to another user")
	// ErrInconclusive: a Job did not finish, for a reason outside of the file: its
	// process was killed, or its time was up. The file may be sound. A JobFunc
	// returns it; Verify and Repair pass it on, and Repair changes nothing then.
	ErrInconclusive = errors.New("bolt: the examination did not finish")
)

// LockedError says who holds a database. errors.Is(err, ErrLocked) is true of
// it. What the holder did not write, or what could not be read, is zero.
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

// Unwrap gives ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }

// CorruptError says what in a file is not as it was written. errors.Is(err,
// store.ErrCorrupt) is true of it.
type CorruptError struct {
	Path   string
	Bucket string // "" where the damage is below the records
	Key    string // as a person would write it; "" as for Bucket
	Detail string

	stuck bool // bbolt's locks were left held by the fault
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

// Unwrap gives store.ErrCorrupt.
func (e *CorruptError) Unwrap() error { return store.ErrCorrupt }
