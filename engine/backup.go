package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/rouse-dev/rouse/store"
)

// Backup writes a consistent copy of the store to a new file at path, while other calls
// and Run go on. It may be called concurrently. If the file exists, the error wraps
// fs.ErrExist. If the store is no store.Backuper, the error wraps errors.ErrUnsupported.
func (e *Engine) Backup(ctx context.Context, path string) error {
	if err := e.open(); err != nil {
		return err
	}
	s, ok := e.store.(store.Backuper)
	if !ok {
		return fmt.Errorf("engine: backup to %s: %w by a %T", path, errors.ErrUnsupported, e.store)
	}
	return e.storeError(s.Backup(ctx, path))
}
