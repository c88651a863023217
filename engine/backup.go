package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/rouse-dev/rouse/store"
)

// Backup writes a consistent copy of the store to a new file, while everything
// goes on. The error is errors.ErrUnsupported for a store that cannot: one in a
// database server has that server's means.
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
