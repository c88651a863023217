package bolt

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	bbolt "go.etcd.io/bbolt"
)

// A file is compacted if it has used more than compactFrom bytes, and more than half of
// those are free.
const compactFrom = 8 << 20

// compactIfSparse copies the used pages to a new file. Open calls it before there are
// readers. If it fails, for lack of space for example, the file stays unchanged.
func (s *Store) compactIfSparse() error {
	var size int64 // without the reserve at its end
	err := format.Inside(s.path, s.db, false, func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
	if err != nil {
		return err
	}
	free := int64(s.db.Stats().FreePageN+s.db.Stats().PendingPageN) * int64(s.db.Info().PageSize)
	if size < s.config.sparse || free < size/2 {
		return nil
	}
	if err := s.compact(); errors.Is(err, disk.ErrNotOwner) {
		s.config.Logger.Debug("not compacted", "path", s.path, "error", err.Error())
	} else if err != nil {
		s.config.Logger.Warn("not compacted", "path", s.path, "error", err.Error())
	}
	if s.db != nil {
		return nil
	}
	_, err = s.openDB()
	return err
}

// compact replaces the file by a compacted copy. If it succeeds, it leaves s.db nil.
func (s *Store) compact() error {
	temp, err := disk.TempName(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp) }()
	to, err := format.OpenBolt(temp, &bbolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		return err
	}
	err = format.Guard(s.path, func() error { return bbolt.Compact(to, s.db, 1<<20) })
	if err == nil {
		err = format.Inside(temp, to, true, nothing) // it writes the note: the copy counts its own transactions
	}
	if err := cmp.Or(err, to.Close()); err != nil {
		return fmt.Errorf("bolt: compacting %s: %w", s.path, err)
	}
	if err := disk.SyncFile(temp); err != nil {
		return err
	}
	err = s.db.Close()
	s.db = nil
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return disk.ReplaceFile(temp, s.path)
}
