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

// noSpace lists the errors that say there is no room, and nothing worse.
func noSpace() []error {
	return []error{syscall.ENOSPC, errQuota, syscall.EFBIG, berrors.ErrMaxSizeReached}
}

// isFull reports whether err says that there is no room. bbolt keeps only the
// text of an error in growing the file.
func isFull(err error) bool {
	for _, e := range noSpace() {
		if errors.Is(err, e) || strings.HasSuffix(err.Error(), ": "+e.Error()) {
			return true
		}
	}
	return false
}

// asFull makes an error of no room one that wraps store.ErrFull too.
func asFull(err error) error {
	if err != nil && isFull(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}

// judge says what an error of a commit means, and does what follows. It runs in
// the committer. The commit may have been kept all the same: bbolt writes its
// meta page, and then syncs it.
//
// No room: the file is opened anew, which shows whether the commit was kept,
// and the store goes on. Anything else is not understood, and the store shuts:
// after an input or output error reads may show what the disk lacks.
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
		// Whoever asked does not know that a change was kept, and goes on as the
		// holder of the claim that it would have ended.
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

// fail shuts the store for good. A marker makes the next Open copy the file.
func (s *Store) fail(err error) error {
	cause := fmt.Errorf("%w: %s: %w", store.ErrFailed, s.path, err)
	s.config.Logger.Error("store failed", "path", s.path, "error", err.Error())
	// That the name is there is what counts: O_EXCL leaves what has it already alone.
	if f, merr := os.OpenFile(s.path+suspectSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY|noFollow, 0o600); merr == nil {
		if o, oerr := ownerAt(s.path); oerr == nil {
			_ = o.give(f) // a mark that belongs to another user is better than none
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

// reopen opens the file anew and reports whether the commit id is in it. If it
// is, empty ones follow, so that both meta pages are written and synced again, and
// nothing rests on a page that only the cache has.
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

// replaceInode copies a file that a failed sync left in doubt to a new one: the
// page cache may hold what the disk lacks, and only a whole new copy that is
// synced makes the two one.
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
