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

// judge returns the error for the callers of a failed commit, and does what the error
// requires. It runs in the committer. The commit may have been kept all the same: bbolt
// writes its meta page and then syncs it.
//
// If there was no space, judge opens the file again, which shows whether the commit was
// kept, and the store goes on. Any other error closes the store: after an error of input
// or output, reads may show what the disk lacks.
func (s *Store) judge(b *batch, err error) error {
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
		// The callers do not know that their changes were kept. They go on as if they
		// had the claims that the changes would have ended.
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

// fail closes the store for good. A marker file makes the next Open copy the database.
func (s *Store) fail(err error) error {
	cause := fmt.Errorf("%w: %s: %w", store.ErrFailed, s.path, err)
	s.config.Logger.Error("store failed", "path", s.path, "error", err.Error())
	// Only the name counts: O_EXCL leaves alone what has it already.
	if f, merr := os.OpenFile(s.path+disk.SuspectSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY|disk.NoFollow, 0o600); merr == nil {
		if o, oerr := disk.OwnerAt(s.path); oerr == nil {
			_ = o.Give(f) // a marker that belongs to another user is better than none
		}
		_, _ = f.WriteString(err.Error() + "\n")
		_ = f.Sync()
		_ = f.Close()
		_ = disk.SyncFolder(filepath.Dir(s.path))
	}
	s.shut(cause)
	return cause
}

// extraCommits is how many empty commits reopen makes: bbolt has two meta pages
// and writes them in turn.
const extraCommits = 2

// reopen opens the file again and reports whether the commit id is in it. If it is, empty
// commits follow. They write and sync both meta pages again, so that nothing depends on a
// page that only the cache has.
func (s *Store) reopen(id int) (kept bool, err error) {
	s.handle.Lock()
	defer s.handle.Unlock()
	newest, err := s.openAnew()
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

// replaceInode copies a file whose last sync failed to a new one. The page cache may hold
// what the disk lacks, and only a new copy that is synced makes the two agree.
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
