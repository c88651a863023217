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
	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/internal/index"
)

// Config says how to open a store. The zero value works.
type Config struct {
	// Logger hears of damaged records, of a compaction and of what ends the
	// store. Defaults to none.
	Logger *slog.Logger
	// LockTimeout is how long Open waits for another process to let go of the
	// file. Defaults to half a second; negative: it does not wait.
	LockTimeout time.Duration
	// AllowNetworkFS opens a file on a file system that another machine may write
	// too, and on one that is not known. Its lock may hold on one machine only.
	// If two machines open the file at once they destroy it, acknowledged starts
	// are lost, and sessions may be started twice: the host must make sure that
	// no other machine does. Defaults to false.
	AllowNetworkFS bool
	// ReadOnly opens a file that is there, and writes nothing: neither to it nor
	// next to it. It shares the lock with other readers and keeps writers out. Every
	// call that would write, and Own, returns ErrReadOnly. What the next opening
	// for writing will do is left to it: to compact the file, to set damaged records
	// aside, to make a backup a store of its own. Defaults to false.
	ReadOnly bool
	// MaxSize is how large the file may become, in bytes, at least 1 MiB. Starts
	// are refused with store.ErrFull while what the active operations need to end
	// would not fit any more; see the package's guarantees. A file that is larger
	// already is opened, and does not grow. Defaults to 0: as large as the disk
	// allows.
	MaxSize int64
	// Machine names the machine that the file belongs to, where the system does not
	// say or says it wrongly: a pod by its stable name, say. It is stored as a hash.
	// Defaults to what the system says; see the package's caveats.
	Machine string

	noSync  bool                        // tests: a crash of the machine is not what they are about
	sparse  int64                       // tests: how large a file is compacted; 0: as compactFrom says
	opened  func(*bbolt.DB)             // tests: called with the file whenever it is opened for writing
	growBy  int64                       // tests: growStep
	growing func(do func() error) error // tests: what makes the file grow
}

func (c Config) validate() error {
	if c.MaxSize != 0 && (c.MaxSize < minMaxSize || c.MaxSize > math.MaxInt) {
		return fmt.Errorf("bolt: Config.MaxSize is %d: it must be 0 or at least %d", c.MaxSize, minMaxSize)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = 500 * time.Millisecond
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
	lock   *flock.Flock // nil: it is only read, and there is no lock file
	id     [16]byte     // the store's own

	// handle guards db: held for reading by whoever has a transaction open, for
	// writing by the committer while it opens the file anew, and by Close.
	handle sync.RWMutex
	db     *bbolt.DB

	// mu guards all that follows up to the next comment. It is never held
	// across a transaction's end, a wait or a sync.
	mu      sync.Mutex
	index   *index.Index
	owner   *claims // the latest owner of the lanes; nil: there was none
	counts  map[fsm.Phase]int
	rotten  map[string]bool // bucket, 0, key of the damaged records that were met
	seq     uint64          // the feed's head
	link    link            // the feed's link there
	pruned  uint64          // the last sequence that is gone
	synced  int             // the transaction of the last commit known to be durable
	verdict chan struct{}   // closed and renewed after every commit
	due     chan struct{}   // closed and renewed when Due has news
	cause   error           // why the store is shut; nil: it is not
	held    *store.Foreign  // it belongs to another machine; nil: it does not

	// stopped is closed when cause is set.
	stopped chan struct{}

	here      machine // where it is open
	doubts    bool    // it is only read, and what is active and was not sent may have been sent from elsewhere
	queue     queue
	space     space       // the committer's, and Open's before it
	file      os.FileInfo // the file that is open
	stuck     bool        // the committer's, until it ends: bbolt did not let go of its lock
	committed func(error) // tests: called between a commit and its verdict

	wedged  chan struct{} // closed when bbolt's locks will never be let go
	wedging sync.Once

	closing  sync.Once
	closeErr error
}

var (
	_ store.Store    = (*Store)(nil)
	_ store.Backuper = (*Store)(nil)
	_ store.Adopter  = (*Store)(nil)
)

// Close waits for the commit under way and shuts the store. Calls that wait
// return store.ErrClosed. A second Close does nothing.
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
			unlock(s.lock)
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
		s.index = index.New() // who keeps a closed store keeps little
		s.mu.Unlock()
		unlock(s.lock)
	})
	return s.closeErr
}

// shut makes every waiting and later call return cause. Only the first counts.
func (s *Store) shut(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = cause
		close(s.stopped)
	}
}

// shutBy is why the store is shut; nil: it is not.
func (s *Store) shutBy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// ready is the error of a call that need not begin.
func (s *Store) ready(ctx context.Context) error {
	if err := s.shutBy(); err != nil {
		return err
	}
	return ctx.Err()
}

// wait returns nil when ch is closed, else why it is waited for no longer.
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

// Stats counts what is stored. It reads no record.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	var out store.Stats
	err := s.view(ctx, func(b buckets) error {
		free := s.db.Stats().FreePageN + s.db.Stats().PendingPageN
		page := s.db.Info().PageSize
		size, err := fileSize(s.path)
		if err != nil {
			return err
		}
		s.mu.Lock()
		active := s.index.Len()
		s.mu.Unlock()
		out.Bytes = size
		out.FreeBytes = int64(free)*int64(page) + max(0, size-b.tx.Size())
		out.Full = s.full(b.tx, size, active)
		return nil
	})
	if err != nil {
		return store.Stats{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out.StoreID, out.Foreign = storeIDText(s.id), s.held
	out.Operations = make(map[fsm.Phase]int, len(s.counts))
	for p, n := range s.counts {
		if n > 0 {
			out.Operations[p] = n
		}
	}
	out.First, out.Head = s.pruned+1, s.seq
	out.Quarantined = len(s.rotten)
	return out, nil
}
