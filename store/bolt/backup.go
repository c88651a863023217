package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// Backup writes a copy of the store's present content to a new file at path. It leaves a
// file at path alone, and returns an error that wraps fs.ErrExist. In the database's own
// folder the copy has the database's owner, group and mode. In another folder it belongs to
// this process, or to the owner of the folder if this process is root. When Backup returns
// nil, the copy was read, checked and synced. Backup removes what a killed Backup to path
// has left next to it.
//
// Other calls go on meanwhile. Until the copy is done, the store does not reuse the pages
// that they replace.
//
// The copy is marked as a backup. When it is opened, it takes an id of its own, so that
// cursors of the original are refused. The outcome of the sends of its active operations
// counts as unknown, because the original may have sent them since. A file that was copied
// in another way while the store was open is no backup.
func (s *Store) Backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("bolt: backup: %w: choose another path", &os.PathError{Op: "create", Path: path, Err: fs.ErrExist})
	}
	defer enter(path)()
	o, err := disk.OwnerAt(path)
	if err == nil && filepath.Dir(path) == filepath.Dir(s.path) {
		o, err = disk.OwnerAt(s.path) // the copy is next to the database
	}
	if err != nil {
		return err
	}
	temp, err := disk.TempFileOf(path, o)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	err = s.view(ctx, func(b format.Buckets) error {
		w := &interruptible{ctx: ctx, s: s, f: temp}
		if _, err := b.Tx.WriteTo(w); w.err == nil {
			return err
		}
		return w.err // bbolt keeps only its text
	})
	err = cmp.Or(err, temp.Close())
	if err != nil {
		return fmt.Errorf("bolt: backup %s: %w", path, disk.AsFull(err))
	}
	if err := stampCopy(ctx, temp.Name(), s.config); err != nil {
		return fmt.Errorf("bolt: backup %s: %w", path, disk.AsFull(err))
	}
	if err := disk.SyncFile(temp.Name()); err != nil {
		return err
	}
	return disk.PublishFile(temp.Name(), path)
}

// enter removes what killed backups to path have left, unless a process makes a backup in
// that folder. Until leave, it keeps other processes from removing anything. It locks the
// folder itself: the lock ends with its process and leaves nothing. Windows has no such
// lock, so nothing is removed there.
func enter(path string) (leave func()) {
	l := flock.New(filepath.Dir(path), flock.SetFlag(os.O_RDONLY))
	if alone, err := l.TryLock(); alone && err == nil {
		disk.RemoveLeftovers(path)
	}
	// A backup holds the lock alone for a moment only. If a process holds it longer, that is
	// another program.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = l.TryRLockContext(ctx, time.Millisecond)
	return func() { _ = l.Close() }
}

// interruptible is a file that can be written until ctx ends or the store is closed.
type interruptible struct {
	ctx context.Context
	s   *Store
	f   *os.File
	err error // why a write failed
}

func (w *interruptible) Write(p []byte) (n int, err error) {
	if w.err = w.s.ready(w.ctx); w.err == nil {
		n, w.err = w.f.Write(p)
	}
	return n, w.err
}

// stampCopy marks a copy as a backup and checks it.
func stampCopy(ctx context.Context, path string, c Config) error {
	if err := format.CheckFile(path, os.O_RDONLY, nil); err != nil {
		return err
	}
	copied := &Store{path: path, config: c}
	if _, err := copied.openDB(); err != nil {
		if copied.db != nil {
			_ = format.CloseDB(copied.db, err)
		}
		return err
	}
	err := format.Inside(path, copied.db, true, format.Writing((*format.Writer).Stamp))
	var r format.Report
	if err == nil {
		r, err = format.CheckDB(ctx, path, func(fn func(b format.Buckets) error) error {
			return format.Inside(path, copied.db, false, format.WithBuckets(fn))
		}, nil)
	}
	err = cmp.Or(err, format.CloseDB(copied.db, err))
	if err == nil && len(r.Problems) > 0 {
		err = errors.Join(fmt.Errorf("the copy has %d damaged records", len(r.Problems)), r.Problems[0])
	}
	return err
}
