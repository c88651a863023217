package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// openReadOnly is Open for Config.ReadOnly. exists and err are the results of disk.Exists.
func openReadOnly(path string, c Config, exists bool, err error) (*Store, error) {
	switch {
	case errors.Is(err, disk.ErrReadOnly): // it is opened for reading only
	case err != nil:
		return nil, err
	case !exists:
		return nil, fmt.Errorf("bolt: %w", &os.PathError{Op: "open", Path: path, Err: fs.ErrNotExist})
	}
	if err := disk.CheckFS(path, c.AllowNetworkFS); err != nil {
		return nil, err
	}
	lock, err := disk.ShareLock(path, c.LockTimeout)
	if err != nil {
		return nil, disk.LockedBy(path)
	}
	s := newStore(path, c, lock)
	err = s.startReading()
	var held *disk.LockedError
	if errors.As(err, &held) { // by the lock of the database itself
		err = disk.LockedBy(path)
	}
	return s.begin(err)
}

// startReading is start for a store that writes nothing.
func (s *Store) startReading() error {
	if err := s.examine(); err != nil {
		return err
	}
	if _, err := os.Lstat(s.path + disk.SuspectSuffix); err == nil {
		s.config.Logger.Warn("a sync failed when the file was last open, so what is read may not be on disk", "path", s.path)
	}
	db, file, err := format.OpenBoltFile(s.path, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	s.db, s.space = db, space{file: file}
	if s.file, err = os.Stat(s.path); err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	s.here = thisMachine(s.config.Machine)
	err = format.Inside(s.path, db, false, format.WithBuckets(func(b format.Buckets) error {
		s.foreign, s.doubts = foresee(b, s.here, time.Now().UTC())
		return nil
	}))
	if err != nil {
		return format.Named(s.path, err)
	}
	return s.scan()
}

// foresee returns what the next opening for writing on this machine will find out. The
// result foreign is the machine that the file belongs to, or nil for this one. The result
// doubts says that another machine may have sent what is active. See opening.decide.
func foresee(b format.Buckets, here machine, now time.Time) (foreign *store.Foreign, doubts bool) {
	stamp := b.Meta.Get([]byte(format.MetaStamp)) != nil
	if text, err := b.GetMeta(format.MetaStamp); stamp && err == nil && !format.IsRepair(text) {
		return nil, true // a backup belongs to the machine that opens it
	}
	home, known := getAs[machine](b, format.MetaMachine)
	if !known || !here.differs(home) {
		return nil, stamp
	}
	was, noted := getAs[holding](b, format.MetaHeld)
	if !noted || here.differs(was.Here) {
		return &store.Foreign{Home: home.Host, Since: now}, true
	}
	return &store.Foreign{Home: home.Host, Since: format.FromNanos(was.Since)}, stamp
}

// shown returns an operation as readers must see it: see Store.doubts.
func (s *Store) shown(o store.Operation) store.Operation {
	if s.doubts {
		doubt(&o)
	}
	return o
}

// unlockRead ends the lock of a file that is only read, because bbolt does not.
func (s *Store) unlockRead() {
	if s.config.ReadOnly {
		disk.UnlockMapped(s.space.file)
	}
}

// writable returns ErrReadOnly for a store that is only read.
func (s *Store) writable() error {
	if s.config.ReadOnly {
		return fmt.Errorf("%w: %s was opened for reading only: open it without Config.ReadOnly", disk.ErrReadOnly, s.path)
	}
	return nil
}
