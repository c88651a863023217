package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// recoverFrom returns the error for the callers of a failed commit, and does what the error
// requires. The committer calls it. The file may hold the commit all the same, because bbolt
// writes its meta page before the sync.
//
// If there was no space, recoverFrom opens the file again, which shows whether the file
// holds the commit, and the store goes on. Any other error closes the store: after a failed
// read or write, the page cache may hold what the disk lacks.
func (s *Store) recoverFrom(b *batch, err error) error {
	if !disk.IsFull(err) || b == nil {
		return s.fail(err)
	}
	kept, rerr := s.reopen(b.id)
	if rerr != nil {
		s.stuck = s.stuck || format.IsStuck(rerr)
		return s.fail(errors.Join(err, rerr))
	}
	s.config.Logger.Error("no space", "path", s.path, "kept", kept, "error", err.Error())
	if kept {
		// The callers do not know that the file holds their changes. They still count on the
		// claims that the changes would have ended.
		for i := range b.changes {
			b.changes[i].release = false
		}
		s.accept(b, extraCommits)
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeReaders()
	return fmt.Errorf("%w: %w", store.ErrFull, err)
}

// fail closes the store for good. It leaves a marker file, and the next Open copies the
// database when it finds the marker.
func (s *Store) fail(err error) error {
	cause := fmt.Errorf("%w: %s: %w", store.ErrFailed, s.path, err)
	s.config.Logger.Error("store failed", "path", s.path, "error", err.Error())
	// Only the marker's name counts, so O_EXCL leaves an existing file alone.
	if f, merr := os.OpenFile(s.path+disk.SuspectSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY|disk.NoFollow, 0o600); merr == nil {
		if o, oerr := disk.OwnerAt(s.path); oerr == nil {
			_ = o.Give(f) // a marker of another user is better than none
		}
		_, _ = f.WriteString(err.Error() + "\n")
		_ = f.Sync()
		_ = f.Close()
		_ = disk.SyncFolder(filepath.Dir(s.path))
	}
	s.shut(cause)
	return cause
}

// extraCommits is how many empty commits reopen makes. bbolt has two meta pages and writes
// them in turn.
const extraCommits = 2

// reopen opens the file again and reports whether it holds the commit id. If it does, empty
// commits follow. They write and sync both meta pages again, so that nothing depends on a
// page that is only in the page cache.
func (s *Store) reopen(id int) (kept bool, err error) {
	s.handle.Lock()
	defer s.handle.Unlock()
	newest, err := s.openAgain()
	if err != nil || newest < id {
		return false, err
	}
	for range extraCommits {
		if err := format.Inside(s.path, s.db, true, nothing); err != nil {
			return true, err
		}
	}
	return true, nil
}

// replaceInode replaces a file whose last sync failed by a copy. The page cache may hold
// what the disk lacks, and only a new, synced copy makes the two agree.
func (s *Store) replaceInode() error {
	marker := s.path + disk.SuspectSuffix
	if _, err := os.Lstat(marker); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	s.config.Logger.Warn("a sync failed when the file was last open: copying it", "path", s.path)
	temp, err := disk.CopyFile(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp) }()
	if err := disk.ReplaceFile(temp, s.path); err != nil {
		return err
	}
	if err := os.Remove(marker); err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return disk.SyncFolder(filepath.Dir(s.path))
}
