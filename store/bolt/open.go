package bolt

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store/internal/index"
)

// Open opens the store in the file at path, and makes file and folder if they
// do not exist. It takes Config.LockTimeout at most to find that another
// process holds the file (a *LockedError), and else as long as one reading of
// the file takes. It does not change a file that it refuses: ErrForeign,
// ErrReadOnly, ErrNetworkFS, ErrUnsafe, ErrNotOwner, ErrNewer, or a *CorruptError.
// With Config.ReadOnly it makes nothing, and a file that is not there is
// fs.ErrNotExist.
func Open(path string, c Config) (*Store, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	path, err := realPath(path, !c.ReadOnly)
	if err != nil {
		return nil, err
	}
	exists, err := look(path)
	if c.ReadOnly {
		return openReadOnly(path, c, exists, err)
	}
	if err != nil {
		return nil, err
	}
	if exists {
		if err := sniff(path); err != nil {
			return nil, err
		}
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := checkFS(path, c.AllowNetworkFS); err != nil {
		return nil, err
	}
	if err := checkFolder(path); err != nil {
		return nil, err
	}
	lock, err := lockFile(path, c.LockTimeout)
	if err != nil {
		return nil, err
	}
	s := newStore(path, c, lock)
	return s.begin(s.start(exists))
}

func newStore(path string, c Config, lock *flock.Flock) *Store {
	return &Store{
		path: path, config: c, lock: lock, index: index.New(), counts: map[fsm.Phase]int{},
		rotten: map[string]bool{}, verdict: make(chan struct{}), due: make(chan struct{}),
		stopped: make(chan struct{}), wedged: make(chan struct{}), queue: newQueue(),
	}
}

// begin lets the committer run, unless err says why the store could not be opened.
func (s *Store) begin(err error) (*Store, error) {
	if err != nil {
		if s.db != nil {
			s.unlockRead()
			_ = closeDB(s.db, err)
		}
		unlock(s.lock)
		return nil, err
	}
	go s.run()
	return s, nil
}

// realPath is the file itself: it is replaced at times, and a link to it is not
// what must be replaced then. For a caller that writes, it follows no link that
// another user may have made: a link in /tmp, say.
func realPath(path string, writes bool) (string, error) {
	if strings.Contains(path, "://") {
		return "", fmt.Errorf("%w: %s is a URL, and the database is a file: give a path", ErrForeign, path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("bolt: %w", err)
	}
	if writes {
		if err := checkMakers(path); err != nil {
			return "", err
		}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	return path, nil // there is none yet
}

// start makes a new file, or checks and mends an existing one, and reads it.
// The lock is held.
func (s *Store) start(exists bool) error {
	removeLeftovers(s.path)
	if !exists {
		// Another process may have made it before the lock was ours.
		var err error
		if exists, err = look(s.path); err != nil {
			return err
		}
	}
	if !exists {
		if err := s.create(); err != nil {
			return err
		}
	} else if err := s.examine(); err != nil {
		return err
	}
	// Another user may have made the file or the lock since Open looked. What is this
	// user's own now stays so.
	if err := checkFolder(s.path); err != nil {
		return err
	}
	if err := s.replaceInode(); err != nil {
		return err
	}
	if _, err := s.openDB(); err != nil {
		return err
	}
	if err := s.compactIfSparse(); err != nil {
		return err
	}
	// Who gave the file its name may have ended before that was synced.
	if err := syncFolder(filepath.Dir(s.path)); err != nil {
		return err
	}
	if err := s.arrive(); err != nil {
		return err
	}
	return s.scan()
}
