package format

import (
	"errors"
	"fmt"
	"runtime/debug"

	bbolt "go.etcd.io/bbolt"
)

func Named(path string, err error) error {
	var c *CorruptError
	if errors.As(err, &c) && c.Path == "" {
		c.Path = path
	}
	return err
}

// Inside runs fn in a transaction of a file that no other goroutine reads yet. It commits
// the transaction if writes is true. It turns a fault into a *CorruptError, as Guard does,
// and notes for CloseDB whether bbolt's locks are still held.
func Inside(path string, db *bbolt.DB, writes bool, fn func(tx *bbolt.Tx) error) error {
	held := true
	err := Guard(path, func() error {
		tx, err := db.Begin(writes)
		if err != nil {
			held = false
			return err
		}
		defer func() {
			_ = tx.Rollback() // after a commit it only returns an error; after a fault it may fault too
			held = false
		}()
		if err := fn(tx); err != nil || !writes {
			return err
		}
		NoteCommit(tx)
		return tx.Commit()
	})
	var c *CorruptError
	if errors.As(err, &c) {
		c.stuck = held
	}
	return err
}

// WithBuckets returns fn as a function of a transaction whose buckets are not looked up yet.
func WithBuckets(fn func(b Buckets) error) func(tx *bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		b, err := In(tx)
		if err != nil {
			return err
		}
		return fn(b)
	}
}

// CloseDB closes a file after err. If err left bbolt's locks held, it leaves the file open,
// because closing would wait forever.
func CloseDB(db *bbolt.DB, err error) error {
	if IsStuck(err) {
		return nil
	}
	return db.Close()
}

func IsStuck(err error) bool {
	var c *CorruptError
	return errors.As(err, &c) && c.stuck
}

// Guard runs fn and turns a panic in it, or a fault on a mapped page, into a *CorruptError,
// because bbolt trusts its pages. It works for fn's own goroutine only.
func Guard(path string, fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = &CorruptError{Path: path, Detail: fmt.Sprintf("its pages cannot be read: %v", p)}
		}
	}()
	return fn()
}
