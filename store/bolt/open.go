package bolt

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

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

// look reports whether there is a file at path that might be a database. An
// error says what else is there.
func look(path string) (exists bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if to, err := os.Readlink(path); err == nil {
			return false, fmt.Errorf("%w: %s is a link to %s, which is not there", ErrForeign, path, to)
		}
		return false, nil
	case err != nil:
		return false, fmt.Errorf("bolt: %w", err)
	case info.IsDir():
		return false, fmt.Errorf("%w: %s is a directory", ErrForeign, path)
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%w: %s is not a regular file (%s)", ErrForeign, path, info.Mode().Type())
	case info.Size() == 0:
		return false, fmt.Errorf("%w: %s is empty: remove it if nothing is missed", ErrForeign, path)
	case info.Mode().Perm()&0o200 == 0:
		return false, fmt.Errorf("%w: %s has mode %s", ErrReadOnly, path, info.Mode().Perm())
	}
	return true, nil
}

// sniff refuses a file of another kind before a lock file is made next to it. What
// it cannot read, examine reports.
func sniff(path string) error {
	f, err := openFile(path, os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	if metas, magic, err := readMetas(f); err == nil && len(metas) == 0 && !magic {
		return fmt.Errorf("%w: %s is some other kind of file", ErrForeign, path)
	}
	return nil
}

// examine checks a file before anything of it is mapped for writing.
func (s *Store) examine() error {
	flag := os.O_RDWR
	if s.config.ReadOnly {
		flag = os.O_RDONLY
	}
	f, err := openFile(s.path, flag)
	if errors.Is(err, os.ErrPermission) && !s.config.ReadOnly {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	err = checkFile(s.path, f, nil)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("bolt: %w", cerr)
	}
	if err != nil {
		return err
	}
	db, file, err := openBoltFile(s.path, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	err = inside(s.path, db, false, checkSchema)
	unlockMapped(file) // bbolt does not, of a file that it only reads
	if cerr := closeDB(db, err); err == nil && cerr != nil {
		err = fmt.Errorf("bolt: %w", cerr)
	}
	return named(s.path, err)
}

// checkSchema says whether a bbolt file is one of this package's, and not of a
// newer version.
func checkSchema(tx *bbolt.Tx) error {
	meta := tx.Bucket([]byte(bucketMeta))
	if meta == nil || meta.Get([]byte(metaSchema)) == nil {
		return fmt.Errorf("%w: %s is another program's bbolt file", ErrForeign, tx.DB().Path())
	}
	v, err := buckets{meta: meta}.getMeta(metaSchema)
	if err != nil {
		return err
	}
	have, err := strconv.ParseUint(string(v), 10, 32)
	if err != nil || have == 0 {
		return &CorruptError{Bucket: bucketMeta, Key: metaSchema, Detail: fmt.Sprintf("%q is no schema", v)}
	}
	if have > schema {
		return fmt.Errorf("%w: %s has schema %d, and this version knows %d: use a newer version", ErrNewer, tx.DB().Path(), have, schema)
	}
	_, err = in(tx)
	return err
}

// openBolt opens a bbolt file. A panic in bbolt, which trusts what it maps,
// becomes a *CorruptError, and leaves no file open.
func openBolt(path string, o *bbolt.Options) (*bbolt.DB, error) {
	db, _, err := openBoltFile(path, o)
	return db, err
}

// openBoltFile is openBolt for who needs the file that bbolt has open too.
func openBoltFile(path string, o *bbolt.Options) (db *bbolt.DB, file *os.File, err error) {
	// The list takes the first page that fits. The map takes any: after some
	// large prunings nothing is left in one piece that could hold the list of
	// free pages itself, and the file grows for ever.
	o.FreelistType = bbolt.FreelistArrayType
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag|noFollow, mode) //nolint:gosec // the host's own path
		file = f
		return f, err
	}
	err = guard(path, func() (err error) {
		db, err = bbolt.Open(path, 0o600, o)
		return err
	})
	var c *CorruptError
	switch {
	case err == nil:
		return db, file, nil
	case errors.As(err, &c):
		if file != nil {
			unlockMapped(file)
			_ = file.Close()
		}
		return nil, nil, err
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, &LockedError{Path: path}
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, nil, &CorruptError{Path: path, Detail: err.Error()}
	}
	return nil, nil, fmt.Errorf("bolt: opening %s: %w", path, asFull(err))
}

// openDB opens the file for writing, and returns the transaction that stands in
// it.
func (s *Store) openDB() (tx int, err error) {
	o := &bbolt.Options{Timeout: time.Second, NoSync: s.config.noSync, NoGrowSync: s.config.noSync}
	if runtime.GOOS != "windows" && math.MaxInt > math.MaxInt32 {
		// Address space, not memory: growing never waits for readers below
		// this. On Windows the file itself would get that size.
		o.InitialMmapSize = 1 << 30
	}
	if s.config.MaxSize > 0 { // what is kept for operations to end is bound by it too
		size, err := fileSize(s.path)
		if err != nil {
			return 0, err
		}
		o.MaxSize = int(max(size, s.config.MaxSize))
	}
	db, file, err := openBoltFile(s.path, o)
	if err != nil {
		return 0, err
	}
	db.AllocSize = 0 // makeRoom is ahead of it; where it is not, a page counts
	s.db, s.space = db, space{file: file}
	if s.config.opened != nil {
		s.config.opened(db)
	}
	if s.file, err = os.Stat(s.path); err != nil {
		return 0, fmt.Errorf("bolt: %w", err)
	}
	return s.newest()
}

// openAnew closes the file first.
func (s *Store) openAnew() (tx int, err error) {
	err = s.db.Close()
	s.db = nil
	tx, oerr := s.openDB()
	return tx, errors.Join(err, oerr)
}

// newest is the transaction that stands in the file.
func (s *Store) newest() (tx int, err error) {
	err = inside(s.path, s.db, false, func(t *bbolt.Tx) error {
		tx = t.ID()
		return nil
	})
	return tx, err
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("bolt: %w", err)
	}
	return info.Size(), nil
}

// scan builds the tables in memory from the file: all operations, by their
// heads, and the feed's end. What stands in the file then is what readers see.
// Nobody else has the store yet.
func (s *Store) scan() error {
	x, counts := index.New(), map[fsm.Phase]int{}
	var found []aside
	var seq, pruned uint64
	var last link
	err := inside(s.path, s.db, false, withBuckets(func(b buckets) error {
		id, err := b.getMeta(metaID)
		if err != nil {
			return err
		}
		if len(id) != len(s.id) {
			return &CorruptError{Bucket: bucketMeta, Key: metaID, Detail: "the store's id is missing"}
		}
		s.id = [16]byte(id)
		if pruned, last, err = b.getPruned(); err != nil {
			return err
		}
		seq, last = b.headOfFeed(pruned, last)
		found = append(scanOperations(s.path, b, x, counts), scanTail(s.path, b, seq, pruned)...)
		return nil
	}))
	if err != nil {
		return named(s.path, err)
	}
	x.Publish()
	s.index, s.counts, s.seq, s.link, s.pruned = x, counts, seq, last, pruned
	if s.config.ReadOnly {
		for _, a := range found {
			s.note(a.err)
		}
		found = nil
	}
	if err := s.setAside(found); err != nil && !isFull(err) {
		return fmt.Errorf("bolt: %s: setting damaged records aside: %w", s.path, err)
	}
	s.synced, err = s.newest()
	return err
}

// scanOperations fills the tables and returns the damaged records.
func scanOperations(path string, b buckets, x *index.Index, counts map[fsm.Phase]int) []aside {
	var found []aside
	c := b.ops.Cursor()
	for k, sealed := c.First(); k != nil; k, sealed = c.Next() {
		v, ok := unseal(k, sealed)
		detail := "wrong checksum"
		if ok && len(k) == 16 {
			h, _, err := decodeHead(v)
			if err == nil {
				counts[h.phase]++
				if !h.phase.Ended() {
					x.Add(entry(rowID(k), &h))
				}
				continue
			}
			detail = err.Error()
		}
		found = append(found, asideOf(path, bucketOperations, k, sealed, detail))
	}
	return found
}

// tail is how many events at the end of the feed Open looks at.
const tail = 256

func scanTail(path string, b buckets, seq, pruned uint64) []aside {
	var found []aside
	first := pruned + 1
	if seq > pruned+tail {
		first = seq - tail + 1
	}
	c := b.events.Cursor()
	for k, sealed := c.Seek(seqKey(first)); k != nil; k, sealed = c.Next() {
		if _, err := decodeEvent([16]byte{}, seqOf(k), sealed); err != nil {
			found = append(found, asideOf(path, bucketEvents, k, sealed, err.Error()))
		}
	}
	return found
}

func asideOf(path, bucket string, key, value []byte, detail string) aside {
	return aside{
		err:    &CorruptError{Path: path, Bucket: bucket, Key: keyText(bucket, key), Detail: detail},
		bucket: bucket, key: append([]byte(nil), key...), value: append([]byte(nil), value...),
	}
}
