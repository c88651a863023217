package bolt

import (
	"errors"
	"fmt"
	"os"
	"time"

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
	f, err := disk.OpenFile(s.path, flag)
	if errors.Is(err, os.ErrPermission) && !s.config.ReadOnly {
		return fmt.Errorf("%w: %w", disk.ErrReadOnly, err)
	}
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	err = format.CheckFile(s.path, f, nil)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("bolt: %w", cerr)
	}
	if err != nil {
		return err
	}
	db, file, err := format.OpenBoltFile(s.path, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	err = format.Inside(s.path, db, false, format.CheckSchema)
	disk.UnlockMapped(file) // bbolt does not unlock a file that it only reads
	if cerr := format.CloseDB(db, err); err == nil && cerr != nil {
		err = fmt.Errorf("bolt: %w", cerr)
	}
	return format.Named(s.path, err)
}
