package bolt

import (
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// Returned by Open, in addition to store.ErrCorrupt.
var (
	// ErrLocked: another process, or another Store of this one, has the file
	// open. It is inside a *LockedError.
	ErrLocked = disk.ErrLocked
	// ErrForeign: the path names something that is no database of this package.
	ErrForeign = disk.ErrForeign
	// ErrReadOnly: the file cannot be written, or the store was opened with
	// Config.ReadOnly.
	ErrReadOnly = disk.ErrReadOnly
	// ErrNetworkFS: the file is on a file system whose locks or syncs may not hold, or on
	// an unknown one without a disk of this machine. Config.AllowNetworkFS turns the check
	// off.
	ErrNetworkFS = disk.ErrNetworkFS
	// ErrUnsafe: another user could redirect what is written to another file, could
	// replace the database, or has made it. The path has a folder that every user may
	// write to, a symbolic link in place of a file of this package, or another user's
	// folder, link or file in a folder such as /tmp.
	ErrUnsafe = disk.ErrUnsafe
	// ErrNotOwner: a file must be made next to the database or in its place, and this
	// process cannot give it the database's owner, group and mode. Nothing was written.
	ErrNotOwner = disk.ErrNotOwner
	// ErrNewer: the file was written by a newer version of this package.
	ErrNewer = format.ErrNewer
)

// LockedError says which process holds a database. It wraps ErrLocked. A field is zero if
// the holder did not write it, or if it could not be read.
type LockedError = disk.LockedError

// CorruptError says what in a file is not as it was written. It wraps store.ErrCorrupt.
type CorruptError = format.CorruptError

// Report is what Check found.
type Report = format.Report
