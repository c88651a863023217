//go:build !linux

package bolt

import (
	"errors"
	"os"
)

// allocate works on Linux only.
func allocate(*os.File, int64, int64) error { return errors.ErrUnsupported }
