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

// openBolt opens a bbolt file. bbolt trusts what it maps: a panic in it becomes a
// *CorruptError and leaves no file open.
func openBolt(path string, o *bbolt.Options) (*bbolt.DB, error) {
	db, _, err := openBoltFile(path, o)
	return db, err
}

// openBoltFile is openBolt for callers that also need the file that bbolt has open.
func openBoltFile(path string, o *bbolt.Options) (db *bbolt.DB, file *os.File, err error) {
	// The array takes the first run of pages that fits. The map takes any: after some
	// large prunings no run is left that could hold the list of free pages itself, and
	// the file grows forever.
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

// openDB opens the file for writing and returns the transaction of its last commit.
func (s *Store) openDB() (tx int, err error) {
	o := &bbolt.Options{Timeout: time.Second, NoSync: s.config.noSync, NoGrowSync: s.config.noSync}
	if runtime.GOOS != "windows" && math.MaxInt > math.MaxInt32 {
		// This is address space, not memory: a file below this size grows without
		// waiting for readers. On Windows the file itself would get that size.
		o.InitialMmapSize = 1 << 30
	}
	if s.config.MaxSize > 0 { // it bounds the reserve too
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
	db.AllocSize = 0 // makeRoom grows the file in its place; if it cannot, each page counts
	s.db, s.space = db, space{file: file}
	if s.config.opened != nil {
		s.config.opened(db)
	}
	if s.file, err = os.Stat(s.path); err != nil {
		return 0, fmt.Errorf("bolt: %w", err)
	}
	return s.newest()
}

// openAnew closes the file and opens it again.
func (s *Store) openAnew() (tx int, err error) {
	err = s.db.Close()
	s.db = nil
	tx, oerr := s.openDB()
	return tx, errors.Join(err, oerr)
}

// newest returns the transaction of the file's last commit.
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
