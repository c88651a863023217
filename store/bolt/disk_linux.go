package bolt

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// allocate gives a part of a file its blocks. If the part is beyond the end, it makes the
// file longer. It keeps the content. The error wraps errors.ErrUnsupported if the file
// system cannot do it.
func allocate(f *os.File, from, to int64) error {
	if from >= to {
		return nil
	}
	for {
		err := unix.Fallocate(int(f.Fd()), 0, from, to-from) //nolint:gosec // a descriptor
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return errors.ErrUnsupported
		default:
			return fmt.Errorf("allocating %d bytes: %w", to-from, err)
		}
	}
}
