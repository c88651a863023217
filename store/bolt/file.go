package bolt

import (
	"cmp"
	"fmt"
	"os"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	bbolt "go.etcd.io/bbolt"
)

// This package never makes, copies or compacts a file in its place. It writes a file next to
// it, syncs that file and then moves it into place.

// create makes a new database. A crash before its end leaves none.
func (s *Store) create() error {
	temp, err := disk.TempName(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp) }()
	db, err := format.OpenBolt(temp, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return cmp.Or(format.LayOut(tx), format.Writing((*format.Writer).NoteAll)(tx))
	})
	if err := cmp.Or(err, db.Close()); err != nil {
		return fmt.Errorf("bolt: making %s: %w", s.path, disk.AsFull(err))
	}
	if err := disk.SyncFile(temp); err != nil {
		return err
	}
	return disk.PublishFile(temp, s.path)
}

func stillNamed(path string, file os.FileInfo) bool {
	now, err := os.Stat(path)
	return err == nil && os.SameFile(now, file)
}
