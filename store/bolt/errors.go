package bolt

import (
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// Returned by Open, in addition to store.ErrCorrupt.
var (

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
