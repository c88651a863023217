package bolt

import (
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// Open returns these errors in addition to store.ErrCorrupt.
var (
	// ErrLocked means that another process, or another Store of this process, has the file
	// open. A *LockedError wraps it.
	ErrLocked = disk.ErrLocked
	// ErrForeign means that the path names something that is no database of this package.
	ErrForeign = disk.ErrForeign
	// ErrReadOnly means that the file cannot be written, or that the store was opened with
	// Config.ReadOnly.
	ErrReadOnly = disk.ErrReadOnly
	// ErrNetworkFS means that the file system's locks or syncs may not hold. It also
	// means an unknown file system without a disk of this machine behind it.
	// Config.AllowNetworkFS turns the check off.
	ErrNetworkFS = disk.ErrNetworkFS
	// ErrUnsafe means that another user could redirect a write, could replace the database, or
	// has made it. The path has a folder that every user may write to, or a symbolic link in
	// place of a file of this package. Or it has another user's folder, link or file in a
	// folder such as /tmp.
	ErrUnsafe = disk.ErrUnsafe
	// ErrNotOwner means that a file must be made next to the database or in its place.
	// This process cannot give it the database's owner, group and mode. Nothing was
	// written.
	ErrNotOwner = disk.ErrNotOwner
	// ErrNewer means that a newer version of this package wrote the file.
	ErrNewer = format.ErrNewer
)

// LockedError says which process holds a database. It wraps ErrLocked. A field is zero if
// the holder did not write it, or if the lock file could not be read.
type LockedError = disk.LockedError

// CorruptError says which part of a file is damaged. It wraps store.ErrCorrupt.
type CorruptError = format.CorruptError

// Report is the result of Check.
type Report = format.Report
