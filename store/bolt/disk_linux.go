package bolt

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// allocate gives a part of a file its blocks, and makes the file longer if the part is
// behind its end. It keeps what the part holds. The error wraps errors.ErrUnsupported if
// the file system cannot do it.
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
