package bolt

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	bbolt "go.etcd.io/bbolt"
)

// openDB opens the file for writing and returns the transaction of its last commit.
func (s *Store) openDB() (tx int, err error) {
	o := &bbolt.Options{Timeout: time.Second, NoSync: s.config.noSync, NoGrowSync: s.config.noSync}
	if runtime.GOOS != "windows" && math.MaxInt > math.MaxInt32 {
		// This is address space and no memory. Up to this size the file grows without waiting
		// for readers. On Windows the file itself would get that size.
		o.InitialMmapSize = 1 << 30
	}
	if s.config.MaxSize > 0 { // MaxSize limits the reserve too
		size, err := disk.FileSize(s.path)
		if err != nil {
			return 0, err
		}
		o.MaxSize = int(max(size, s.config.MaxSize))
	}
	db, file, err := format.OpenBoltFile(s.path, o)
	if err != nil {
		return 0, err
	}
	db.AllocSize = 0 // makeRoom grows the file instead; if it cannot, every page counts
	s.db, s.space = db, space{file: file}
	if s.config.opened != nil {
		s.config.opened(db)
	}
	if s.file, err = os.Stat(s.path); err != nil {
		return 0, fmt.Errorf("bolt: %w", err)
	}
	return s.newest()
}

// openAgain closes the file and opens it again.
func (s *Store) openAgain() (tx int, err error) {
	err = s.db.Close()
	s.db = nil
	tx, oerr := s.openDB()
	return tx, errors.Join(err, oerr)
}

// newest returns the transaction of the file's last commit.
func (s *Store) newest() (tx int, err error) {
	err = format.Inside(s.path, s.db, false, func(t *bbolt.Tx) error {
		tx = t.ID()
		return nil
	})
	return tx, err
}
