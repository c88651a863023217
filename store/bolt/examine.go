package bolt

import (
	"errors"
	"fmt"
	"os"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	bbolt "go.etcd.io/bbolt"
)

// sniff refuses a file of another kind before a lock file is made next to it. It leaves a
// file that it cannot read to examine.
func sniff(path string) error {
	f, err := disk.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	if metas, magic, err := format.ReadMetas(f); err == nil && len(metas) == 0 && !magic {
		return fmt.Errorf("%w: %s is no database: choose another path, or move the file away", disk.ErrForeign, path)
	}
	return nil
}

// examine checks a file before it is mapped for writing.
func (s *Store) examine() error {
	flag := os.O_RDWR
	if s.config.ReadOnly {
		flag = os.O_RDONLY
	}
	err := format.CheckFile(s.path, flag, nil)
	if errors.Is(err, os.ErrPermission) && !s.config.ReadOnly {
		return fmt.Errorf("%w: %w", disk.ErrReadOnly, errors.Unwrap(err))
	}
	if err != nil {
		return err
	}
	return format.Reading(s.path, func(db *bbolt.DB) error {
		return format.Inside(s.path, db, false, format.CheckSchema)
	})
}
