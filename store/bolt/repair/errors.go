package repair

import "errors"

// ErrInconclusive means that a Job did not finish for a reason outside of the file: its
// process was killed, or its time was up. The file may be sound. A JobFunc returns it, Check
// and Repair return it to their callers, and Repair then changes nothing.
var ErrInconclusive = errors.New("bolt: the examination did not finish")
