package bolt

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/internal/index"
	bbolt "go.etcd.io/bbolt"
)

// Config says how to open a store. The zero value works.
type Config struct {
	// Logger logs corrupt records, compactions and the reasons why the store closes. Defaults
	// to none.
	Logger *slog.Logger
	// LockTimeout is how long Open waits until another process closes the file. Defaults to
	// half a second. A negative value means that Open does not wait.
	LockTimeout time.Duration
	// AllowNetworkFS opens a file on a file system that other machines may write, and on an
	// unknown one. Its lock may hold on one machine only. If two machines open the file at
	// once, they destroy it: acknowledged starts are lost, and sessions may be started twice.
	// The host must make sure that no other machine opens it. Defaults to false.
	AllowNetworkFS bool
	// ReadOnly opens an existing file and writes nothing, neither to it nor next to it. It
	// shares the lock with other readers and keeps writers out. Every call that would write,
	// and Own, returns ErrReadOnly. Some work waits for the next opening for writing. It
	// compacts the file, copies corrupt records to the quarantine, and makes a backup a
	// store of its own. Defaults to false.
	ReadOnly bool
	// MaxSize is the largest size of the file, in bytes, at least 1 MiB. New operations are
	// refused with store.ErrFull before the active ones lack the space to end: see the
	// package's guarantees. A file that is larger already is opened and does not grow.
	// Defaults to 0: only the disk limits the size.
	MaxSize int64
	// Machine names the machine that the file belongs to, if the system reports none or a
	// wrong one. A pod, for example, has a stable name. It is stored as a hash. Defaults to
	// what the system reports; see the package's caveats.
	Machine string

	noSync  bool                        // tests: commits are not synced
	sparse  int64                       // tests: a smaller file is not compacted; 0: compactFrom
	opened  func(*bbolt.DB)             // tests: called with the file whenever it is opened for writing
	growBy  int64                       // tests: replaces growStep
	growing func(do func() error) error // tests: wraps the call that makes the file grow
}

func (c Config) validate() error {
	if c.MaxSize != 0 && (c.MaxSize < minMaxSize || c.MaxSize > math.MaxInt) {
		return fmt.Errorf("bolt: Config.MaxSize is %d: set 0 or at least %d", c.MaxSize, minMaxSize)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = disk.LockTimeout
	}
	if c.sparse == 0 {
		c.sparse = compactFrom
	}
	if c.growBy == 0 {
		c.growBy = growStep
	}
	if c.growing == nil {
		c.growing = func(do func() error) error { return do() }
	}
	return c
}

// Store is a store in one file. It is safe for concurrent use.
type Store struct {
	path   string
	config Config
	lock   *flock.Flock // nil: the file is only read, and there is no lock file
	id     [16]byte     // the store's own

	// handle guards db. A transaction holds it for reading. The committer holds it for writing
	// while it opens the file again, and Close does too.
	handle sync.RWMutex
	db     *bbolt.DB

	// mu guards all fields up to the next comment. It is never held across the end of a
	// transaction, a wait or a sync.
	mu      sync.Mutex
	index   *index.Index
	owner   *claims // the latest owner of the lanes; nil: there was none
	counts  map[fsm.Phase]int
	corrupt map[string]bool // corrupt records that were read, by bucket, 0, key
	seq     uint64          // the feed's head
	link    format.Link     // the feed's link at seq
	pruned  uint64          // the last sequence that was pruned
	synced  int             // the last transaction that is known to be durable
	verdict chan struct{}   // closed and replaced after every commit
	due     chan struct{}   // closed and replaced when Due has news
	cause   error           // why the store is closed; nil: it is open
	foreign *store.Foreign  // the machine that the store belongs to; nil: this one

	// stopped is closed when cause is set.
	stopped chan struct{}

	here      machine // the machine on which this process runs
	doubts    bool    // read only: another machine may have sent active operations that this file shows as not sent
	queue     queue
	space     space       // of the committer, and of Open before the committer starts
	file      os.FileInfo // the open file
	stuck     bool        // of the committer until it ends: bbolt keeps its lock
	committed func(error) // tests: called after a commit and before its answers

	wedged  chan struct{} // closed when bbolt will never release its locks
	wedging sync.Once

	closing  sync.Once
	closeErr error
}

var (
	_ store.Store    = (*Store)(nil)
	_ store.Backuper = (*Store)(nil)
	_ store.Adopter  = (*Store)(nil)
)

// Close waits for the commit that is under way and closes the store. Waiting calls and later
// calls return store.ErrClosed. A second Close returns what the first returned.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.shut(store.ErrClosed)
		close(s.queue.quit)
		select {
		case <-s.queue.done:
		case <-s.wedged:
		}
		select {
		case <-s.wedged:
			disk.Unlock(s.lock)
			return
		default:
		}
		s.handle.Lock()
		defer s.handle.Unlock()
		if s.db != nil && !s.stuck {
			s.unlockRead()
			if err := s.db.Close(); err != nil {
				s.closeErr = fmt.Errorf("bolt: closing %s: %w", s.path, err)
			}
			s.db = nil
		}
		s.mu.Lock()
		s.index = index.New() // a closed store takes little memory even if the host keeps it
		s.mu.Unlock()
		disk.Unlock(s.lock)
	})
	return s.closeErr
}

// shut makes every waiting and later call return cause. Only the first cause counts.
func (s *Store) shut(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = cause
		close(s.stopped)
	}
}

// shutBy returns why the store is closed, or nil if it is open.
func (s *Store) shutBy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// ready returns an error if a call must not begin, because the store is closed or ctx has
// ended.
func (s *Store) ready(ctx context.Context) error {
	if err := s.shutBy(); err != nil {
		return err
	}
	return ctx.Err()
}

// wait waits until ch is closed, ctx ends or the store is closed. It returns nil if ch is
// closed.
func (s *Store) wait(ctx context.Context, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return s.shutBy()
	}
}

// Stats implements store.Store. It reads no record.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	var out store.Stats
	err := s.view(ctx, func(b format.Buckets) error {
		free := s.db.Stats().FreePageN + s.db.Stats().PendingPageN
		page := s.db.Info().PageSize
		size, err := disk.FileSize(s.path)
		if err != nil {
			return err
		}
		s.mu.Lock()
		active := s.index.Len()
		s.mu.Unlock()
		out.Bytes = size
		out.FreeBytes = int64(free)*int64(page) + max(0, size-b.Tx.Size())
		out.Full = s.full(b.Tx, size, active)
		return nil
	})
	if err != nil {
		return store.Stats{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out.StoreID, out.Foreign = format.StoreIDText(s.id), s.foreign
	out.Operations = make(map[fsm.Phase]int, len(s.counts))
	for p, n := range s.counts {
		if n > 0 {
			out.Operations[p] = n
		}
	}
	out.First, out.Head = s.pruned+1, s.seq
	out.Quarantined = len(s.corrupt)
	return out, nil
}
