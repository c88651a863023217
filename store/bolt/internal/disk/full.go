package disk

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/rouse-dev/rouse/store"
)

// NoSpace returns the errors that mean that there is no space, and nothing worse.
func NoSpace() []error {
	return []error{syscall.ENOSPC, errQuota, syscall.EFBIG, berrors.ErrMaxSizeReached}
}

// IsFull reports whether err means that there is no space. It also compares texts: when
// growing the file fails, bbolt keeps only the text of the error.
func IsFull(err error) bool {
	for _, e := range NoSpace() {
		if errors.Is(err, e) || strings.HasSuffix(err.Error(), ": "+e.Error()) {
			return true
		}
	}
	return false
}

// AsFull makes an error that means that there is no space wrap store.ErrFull too.
func AsFull(err error) error {
	if err != nil && IsFull(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}
