package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/rouse-dev/rouse/store"
)

// noSpace lists the errors that say that there is no space, and nothing worse.
func noSpace() []error {
	return []error{syscall.ENOSPC, errQuota, syscall.EFBIG, berrors.ErrMaxSizeReached}
}

// isFull reports whether err says that there is no space. If growing the file fails,
// bbolt keeps only the text of the error.
func isFull(err error) bool {
	for _, e := range noSpace() {
		if errors.Is(err, e) || strings.HasSuffix(err.Error(), ": "+e.Error()) {
			return true
		}
	}
	return false
}

// asFull makes an error that says that there is no space wrap store.ErrFull too.
func asFull(err error) error {
	if err != nil && isFull(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}

// judge returns what the callers of a failed commit are told, and does what the error
// requires. It runs in the committer. The commit may have been kept all the same: bbolt
// writes its meta page and then syncs it.
//
// If there was no space, judge opens the file again, which shows whether the commit was
// kept, and the store goes on. Any other error closes the store: after an error of input
// or output, reads may show what the disk lacks.
func (s *Store) judge(b *batch, err error) error {
	if !isFull(err) || b == nil {
		return s.fail(err)
	}
	kept, rerr := s.reopen(b.id)
	if rerr != nil {
		s.stuck = s.stuck || isStuck(rerr)
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
	if f, merr := os.OpenFile(s.path+suspectSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY|noFollow, 0o600); merr == nil {
		if o, oerr := ownerAt(s.path); oerr == nil {
			_ = o.give(f) // a marker that belongs to another user is better than none
		}
		_, _ = f.WriteString(err.Error() + "\n")
		_ = f.Sync()
		_ = f.Close()
		_ = syncFolder(filepath.Dir(s.path))
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
		if err := inside(s.path, s.db, true, nothing); err != nil {
			return true, err
		}
	}
	return true, nil
}

// replaceInode copies a file whose last sync failed to a new one. The page cache may hold
// what the disk lacks, and only a new copy that is synced makes the two agree.
func (s *Store) replaceInode() error {
	marker := s.path + suspectSuffix
	if _, err := os.Lstat(marker); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	s.config.Logger.Warn("a sync failed when the file was last open: copying it", "path", s.path)
	temp, err := copyFile(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp) }()
	if err := replaceFile(temp, s.path); err != nil {
		return err
	}
	if err := os.Remove(marker); err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return syncFolder(filepath.Dir(s.path))
}
