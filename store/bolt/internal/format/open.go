package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Stamp marks a file as a backup that was never opened.
func (w *Writer) Stamp() { w.StampAs("") }

// StampRepair begins the stamp of a repaired file that lost something.
const StampRepair = "repair "

func IsRepair(stamp []byte) bool { return bytes.HasPrefix(stamp, []byte(StampRepair)) }

func (w *Writer) StampAs(what string) {
	w.PutMeta(MetaStamp, []byte(what+time.Now().UTC().Format(time.RFC3339)))
}

// CheckSchema returns an error if a bbolt file is not of this package, or if a newer version
// wrote it.
func CheckSchema(tx *bbolt.Tx) error {
	meta := tx.Bucket([]byte(BucketMeta))
	if meta == nil || meta.Get([]byte(MetaSchema)) == nil {
		return fmt.Errorf("%w: %s is another program's bbolt file: choose another path, or move the file away", disk.ErrForeign, tx.DB().Path())
	}
	v, err := Buckets{Meta: meta}.GetMeta(MetaSchema)
	if err != nil {
		return err
	}
	have, err := strconv.ParseUint(string(v), 10, 32)
	if err != nil || have == 0 {
		return &CorruptError{Bucket: BucketMeta, Key: MetaSchema, Detail: fmt.Sprintf("%q is no schema", v)}
	}
	if have > Schema {
		return fmt.Errorf("%w: %s has schema %d, and this version knows %d: use a newer version", ErrNewer, tx.DB().Path(), have, Schema)
	}
	_, err = In(tx)
	return err
}

// LayOut makes the buckets of an empty store.
func LayOut(tx *bbolt.Tx) error {
	for _, name := range BucketNames() {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	return Writing(func(w *Writer) {
		w.PutMeta(MetaSchema, []byte(strconv.Itoa(Schema)))
		w.PutMeta(MetaCreated, binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))) //nolint:gosec // bits
		w.NewID()
	})(tx)
}

// NewID gives the store an id that no other store has.
func (w *Writer) NewID() {
	id, err := uuid.NewRandom()
	w.Keep(w.Meta, []byte(MetaID), err)
	w.PutMeta(MetaID, id[:])
}

// OpenBolt opens a bbolt file. bbolt trusts the pages that it maps: OpenBolt turns a panic
// into a *CorruptError, and leaves no file open.
func OpenBolt(path string, o *bbolt.Options) (*bbolt.DB, error) {
	db, _, err := OpenBoltFile(path, o)
	return db, err
}

// OpenBoltFile is OpenBolt for callers that also need the open file.
func OpenBoltFile(path string, o *bbolt.Options) (db *bbolt.DB, file *os.File, err error) {
	// The array takes the first run of pages that fits. The map takes any run. After some
	// large prunings no run is left that is long enough for the list of free pages itself, and
	// the file grows forever.
	o.FreelistType = bbolt.FreelistArrayType
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag|disk.NoFollow, mode) //nolint:gosec // the host's own path
		file = f
		return f, err
	}
	err = Guard(path, func() (err error) {
		db, err = bbolt.Open(path, 0o600, o)
		return err
	})
	var c *CorruptError
	switch {
	case err == nil:
		return db, file, nil
	case errors.As(err, &c):
		if file != nil {
			disk.UnlockMapped(file)
			_ = file.Close()
		}
		return nil, nil, err
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, &disk.LockedError{Path: path}
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, nil, &CorruptError{Path: path, Detail: err.Error()}
	}
	return nil, nil, fmt.Errorf("bolt: opening %s: %w", path, disk.AsFull(err))
}

// Reading opens the bbolt file at path for reading, runs fn, and closes the file.
func Reading(path string, fn func(db *bbolt.DB) error) error {
	db, file, err := OpenBoltFile(path, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	err = fn(db)
	disk.UnlockMapped(file) // bbolt does not unlock a file that it only reads
	if cerr := CloseDB(db, err); err == nil && cerr != nil {
		err = fmt.Errorf("bolt: %w", cerr)
	}
	return Named(path, err)
}
