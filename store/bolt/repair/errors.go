package repair

import "errors"

// ErrInconclusive: a Job did not finish, for a reason outside of the file: its
// process was killed, or its time was up. The file may be sound. A JobFunc
// returns it; Verify and Repair pass it on, and Repair changes nothing then.
var ErrInconclusive = errors.New("bolt: the examination did not finish")
