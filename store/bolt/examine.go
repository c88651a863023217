package bolt

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	bbolt "go.etcd.io/bbolt"
)

// look reports whether there is a file at path that might be a database. An error says
// what else is there.
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

// sniff refuses a file of another kind before a lock file is made next to it. If it
// cannot read the file, examine reports that.
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

// examine checks a file before it is mapped for writing.
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
	unlockMapped(file) // bbolt does not unlock a file that it only reads
	if cerr := closeDB(db, err); err == nil && cerr != nil {
		err = fmt.Errorf("bolt: %w", cerr)
	}
	return named(s.path, err)
}

// checkSchema returns an error if a bbolt file is not of this package, or is of a newer
// version.
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
