package bolt

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"

	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// openBolt opens a bbolt file. A panic in bbolt, which trusts what it maps,
// becomes a *CorruptError, and leaves no file open.
func openBolt(path string, o *bbolt.Options) (*bbolt.DB, error) {
	db, _, err := openBoltFile(path, o)
	return db, err
}

// openBoltFile is openBolt for who needs the file that bbolt has open too.
func openBoltFile(path string, o *bbolt.Options) (db *bbolt.DB, file *os.File, err error) {
	// The list takes the first page that fits. The map takes any: after some
	// large prunings nothing is left in one piece that could hold the list of
	// free pages itself, and the file grows for ever.
	o.FreelistType = bbolt.FreelistArrayType
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag|noFollow, mode) //nolint:gosec // the host's own path
		file = f
		return f, err
	}
	err = guard(path, func() (err error) {
		db, err = bbolt.Open(path, 0o600, o)
		return err
	})
	var c *CorruptError
	switch {
	case err == nil:
		return db, file, nil
	case errors.As(err, &c):
		if file != nil {
			unlockMapped(file)
			_ = file.Close()
		}
		return nil, nil, err
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, &LockedError{Path: path}
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, nil, &CorruptError{Path: path, Detail: err.Error()}
	}
	return nil, nil, fmt.Errorf("bolt: opening %s: %w", path, asFull(err))
}

// openDB opens the file for writing, and returns the transaction that stands in
// it.
func (s *Store) openDB() (tx int, err error) {
	o := &bbolt.Options{Timeout: time.Second, NoSync: s.config.noSync, NoGrowSync: s.config.noSync}
	if runtime.GOOS != "windows" && math.MaxInt > math.MaxInt32 {
		// Address space, not memory: growing never waits for readers below
		// this. On Windows the file itself would get that size.
		o.InitialMmapSize = 1 << 30
	}
	if s.config.MaxSize > 0 { // what is kept for operations to end is bound by it too
		size, err := fileSize(s.path)
		if err != nil {
			return 0, err
		}
		o.MaxSize = int(max(size, s.config.MaxSize))
	}
	db, file, err := openBoltFile(s.path, o)
	if err != nil {
		return 0, err
	}
	db.AllocSize = 0 // makeRoom is ahead of it; where it is not, a page counts
	s.db, s.space = db, space{file: file}
	if s.config.opened != nil {
		s.config.opened(db)
	}
	if s.file, err = os.Stat(s.path); err != nil {
		return 0, fmt.Errorf("bolt: %w", err)
	}
	return s.newest()
}

// openAnew closes the file first.
func (s *Store) openAnew() (tx int, err error) {
	err = s.db.Close()
	s.db = nil
	tx, oerr := s.openDB()
	return tx, errors.Join(err, oerr)
}

// newest is the transaction that stands in the file.
func (s *Store) newest() (tx int, err error) {
	err = inside(s.path, s.db, false, func(t *bbolt.Tx) error {
		tx = t.ID()
		return nil
	})
	return tx, err
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("bolt: %w", err)
	}
	return info.Size(), nil
}
