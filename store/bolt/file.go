package bolt

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	bbolt "go.etcd.io/bbolt"
)

// A file is never made, copied or compacted in its place. That happens in a file next to
// it, which is synced and then moved to its place.

// What the names of the files next to the database end with.
const (
	lockSuffix    = ".lock"    // locked while the database is open
	suspectSuffix = ".suspect" // present: a sync failed, and what reads show may not be on disk
	tempInfix     = ".temp-"   // of a file that is being made
)

// makeFolder makes a folder that only its owner can enter, and those above it. If
// root makes it, it belongs to the owner of the folder above. One that exists is left
// as it is.
func makeFolder(folder string) error {
	if _, err := os.Stat(folder); err == nil || folder == filepath.Dir(folder) {
		return nil
	}
	if err := makeFolder(filepath.Dir(folder)); err != nil {
		return err
	}
	err := os.Mkdir(folder, 0o700)
	if errors.Is(err, os.ErrExist) { // another process was faster
		return nil
	}
	if err == nil {
		err = inheritOwner(folder, filepath.Dir(folder))
	}
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return syncFolder(filepath.Dir(folder))
}

// removeLeftovers removes what a crash left of files that were being made. The caller
// makes sure that no process is making one.
func removeLeftovers(path string) {
	old, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	for _, e := range old {
		made, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+tempInfix)
		if ok && strings.Trim(made, "0123456789") == "" && e.Type().IsRegular() { // as os.CreateTemp names them
			_ = os.Remove(filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
}

// tempFile makes an empty file next to path, with the owner and mode that a file at
// path must have, whatever the umask.
func tempFile(path string) (*os.File, error) {
	o, err := ownerAt(path)
	if err != nil {
		return nil, err
	}
	return tempFileOf(path, o)
}

// tempFileOf is tempFile for a file that belongs to o.
func tempFileOf(path string, o owner) (*os.File, error) {
	if err := o.check(path); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+tempInfix)
	if err != nil {
		return nil, fmt.Errorf("bolt: %w", asFull(err))
	}
	if err := o.give(f); err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}

// tempName is tempFile for a caller that opens the file by name.
func tempName(path string) (string, error) {
	f, err := tempFile(path)
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("bolt: %w", err)
	}
	return f.Name(), nil
}

// syncFile makes what was written to a file durable.
func syncFile(path string) error {
	f, err := openFile(path, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return nil
}

// syncFolder makes a name in a folder durable. Windows has no such call.
func syncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(folder) //nolint:gosec // the host's own path
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return nil
}

// publishFile gives a synced file its name. If there is a file of that name, it returns
// os.ErrExist and leaves that file alone.
func publishFile(temp, path string) error {
	err := os.Link(temp, path)
	switch {
	case err == nil:
		err = os.Remove(temp)
	case errors.Is(err, os.ErrExist):
	default: // a file system without links
		switch _, serr := os.Lstat(path); {
		case serr == nil:
			err = &os.PathError{Op: "rename", Path: path, Err: os.ErrExist}
		case errors.Is(serr, os.ErrNotExist):
			err = os.Rename(temp, path)
		default: // it cannot tell whether the name is taken
			err = serr
		}
	}
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// replaceFile puts a synced file in the place of another.
func replaceFile(temp, path string) error {
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// create makes a new database. A crash in the middle leaves none.
func (s *Store) create() error {
	temp, err := tempName(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp) }()
	db, err := openBolt(temp, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return cmp.Or(layOut(tx), writing((*writer).witnessAll)(tx))
	})
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("bolt: making %s: %w", s.path, asFull(err))
	}
	if err := syncFile(temp); err != nil {
		return err
	}
	return publishFile(temp, s.path)
}

// layOut makes the buckets of an empty store.
func layOut(tx *bbolt.Tx) error {
	for _, name := range bucketNames() {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	return writing(func(w *writer) {
		w.putMeta(metaSchema, []byte(strconv.Itoa(schema)))
		w.putMeta(metaCreated, binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))) //nolint:gosec // bits
		w.newID()
	})(tx)
}

// newID gives the store an id that no other has.
func (w *writer) newID() {
	id, err := uuid.NewRandom()
	w.keep(w.meta, []byte(metaID), err)
	w.putMeta(metaID, id[:])
}

// copyFile copies path to a new synced file next to it and returns that file's name.
func copyFile(path string) (name string, err error) {
	from, err := openFile(path, os.O_RDONLY)
	if err != nil {
		return "", fmt.Errorf("bolt: %w", err)
	}
	defer func() { _ = from.Close() }()
	to, err := tempFile(path)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	if err == nil {
		err = to.Sync()
	}
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(to.Name())
		return "", fmt.Errorf("bolt: copying %s: %w", path, asFull(err))
	}
	return to.Name(), nil
}

func stillNamed(path string, file os.FileInfo) bool {
	now, err := os.Stat(path)
	return err == nil && os.SameFile(now, file)
}
