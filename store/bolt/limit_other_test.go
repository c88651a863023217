//go:build !linux

package bolt

import (
	"errors"
	"io"
)

// fillLimited is for Linux only.
func fillLimited(string, io.Writer) error { return errors.ErrUnsupported }
