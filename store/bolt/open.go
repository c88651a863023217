package bolt

import (
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/internal/index"
)

// Open opens the store in the file at path. It makes the file and its folder if they do not
// exist. If another process holds the file, it returns a *LockedError after
// Config.LockTimeout. Otherwise it takes as long as reading the file once.
//
// Open does not change a file that it refuses with ErrForeign, ErrReadOnly, ErrNetworkFS,
// ErrUnsafe, ErrNotOwner, ErrNewer or a *CorruptError. With Config.ReadOnly it makes
// nothing, and returns fs.ErrNotExist for a file that does not exist.
func Open(path string, c Config) (*Store, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	path, err := disk.RealPath(path, !c.ReadOnly)
	if err != nil {
		return nil, err
	}
	exists, err := disk.Exists(path)
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
	if err := disk.MakeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := disk.CheckFS(path, c.AllowNetworkFS); err != nil {
		return nil, err
	}
	if err := disk.CheckFolder(path); err != nil {
		return nil, err
	}
	lock, err := disk.LockFile(path, c.LockTimeout)
	if err != nil {
		return nil, err
	}
	s := newStore(path, c, lock)
	return s.begin(s.start(exists))
}

func newStore(path string, c Config, lock *flock.Flock) *Store {
	return &Store{
		path: path, config: c, lock: lock, index: index.New(), counts: map[fsm.Phase]int{},
		corrupt: map[string]bool{}, verdict: make(chan struct{}), due: make(chan struct{}),
		stopped: make(chan struct{}), wedged: make(chan struct{}), queue: newQueue(),
	}
}

// begin starts the committer, unless err says why the store could not be opened.
func (s *Store) begin(err error) (*Store, error) {
	if err != nil {
		if s.db != nil {
			s.unlockRead()
			_ = format.CloseDB(s.db, err)
		}
		disk.Unlock(s.lock)
		return nil, err
	}
	go s.run()
	return s, nil
}

// start makes a new file, or checks an existing one, and reads it. The caller holds the
// lock.
func (s *Store) start(exists bool) error {
	disk.RemoveLeftovers(s.path)
	if !exists {
		// Another process may have made the file before this one had the lock.
		var err error
		if exists, err = disk.Exists(s.path); err != nil {
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
	// Another user may have made the file or the lock after Open looked. From here on no other
	// user can replace them.
	if err := disk.CheckFolder(s.path); err != nil {
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
	// The process that gave the file its name may have ended before it synced the folder.
	if err := disk.SyncFolder(filepath.Dir(s.path)); err != nil {
		return err
	}
	if err := s.findHome(); err != nil {
		return err
	}
	return s.scan()
}
