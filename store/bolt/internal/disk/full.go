package disk

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/rouse-dev/rouse/store"
)

// NoSpace lists the errors that say that there is no space, and nothing worse.
func NoSpace() []error {
	return []error{syscall.ENOSPC, errQuota, syscall.EFBIG, berrors.ErrMaxSizeReached}
}

// IsFull reports whether err says that there is no space. If growing the file fails,
// bbolt keeps only the text of the error.
func IsFull(err error) bool {
	for _, e := range NoSpace() {
		if errors.Is(err, e) || strings.HasSuffix(err.Error(), ": "+e.Error()) {
			return true
		}
	}
	return false
}

// AsFull makes an error that says that there is no space wrap store.ErrFull too.
func AsFull(err error) error {
	if err != nil && IsFull(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}
