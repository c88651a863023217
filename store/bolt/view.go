package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/store"
)

// view runs fn in a read transaction. Every reader goes through it, for three reasons. It
// shows no commit that is not known to be durable. It makes a fault in a damaged file an
// error. It holds the handle while fn runs. fn copies what it keeps, and calls nothing
// outside of this package.
func (s *Store) view(ctx context.Context, fn func(b buckets) error) error {
	for {
		if err := s.ready(ctx); err != nil {
			return err
		}
		s.mu.Lock()
		synced, verdict := s.synced, s.verdict
		s.mu.Unlock()
		newer, err := s.viewOnce(synced, fn)
		if !newer {
			return err
		}
		// bbolt shows a commit when its meta page is written, which is before the sync.
		if err := s.wait(ctx, verdict); err != nil {
			return err
		}
	}
}

// viewOnce runs fn unless the newest state is newer than synced.
func (s *Store) viewOnce(synced int, fn func(b buckets) error) (newer bool, err error) {
	s.handle.RLock()
	defer s.handle.RUnlock()
	if s.db == nil {
		if err := s.shutBy(); err != nil {
			return false, err
		}
		return false, fmt.Errorf("%w: %s", store.ErrFailed, s.path) // the committer is about to set the cause
	}
	begun := false
	err = guard(s.path, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			begun = true
			if tx.ID() > synced {
				newer = true
				return nil
			}
			return withBuckets(fn)(tx)
		})
	})
	if err = s.named(err); err != nil && !begun {
		s.wedge(err)
	}
	return newer, err
}

// wedge closes the store after a fault inside bbolt's own Begin. bbolt's locks stay held,
// and a call that needs them would wait forever. So no later call reaches bbolt, and
// Close leaves the file as it is.
func (s *Store) wedge(err error) {
	s.shut(fmt.Errorf("%w: %w", store.ErrFailed, err))
	s.wedging.Do(func() { close(s.wedged) })
	s.queue.end(s.shutBy())
}

// named puts the file's name into a *CorruptError that lacks it.
func (s *Store) named(err error) error { return named(s.path, err) }

func named(path string, err error) error {
	var c *CorruptError
	if errors.As(err, &c) && c.Path == "" {
		c.Path = path
	}
	return err
}

// inside runs fn in a transaction of a file that no other goroutine reads yet, and commits
// it if it writes. A fault is a *CorruptError, as with guard, which records for closeDB
// whether bbolt's locks are still held.
func inside(path string, db *bbolt.DB, writes bool, fn func(tx *bbolt.Tx) error) error {
	held := true
	err := guard(path, func() error {
		tx, err := db.Begin(writes)
		if err != nil {
			held = false
			return err
		}
		defer func() {
			_ = tx.Rollback() // after a commit it only says so; after a fault it may fault too
			held = false
		}()
		if err := fn(tx); err != nil || !writes {
			return err
		}
		bearWitness(tx)
		return tx.Commit()
	})
	var c *CorruptError
	if errors.As(err, &c) {
		c.stuck = held
	}
	return err
}

// nothing writes nothing: with it, inside makes an empty commit.
func nothing(*bbolt.Tx) error { return nil }

// withBuckets is fn for a transaction whose buckets are not looked up yet.
func withBuckets(fn func(b buckets) error) func(tx *bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		b, err := in(tx)
		if err != nil {
			return err
		}
		return fn(b)
	}
}

// closeDB closes a file after err. If err left bbolt's locks held, it does not: it would
// wait forever.
func closeDB(db *bbolt.DB, err error) error {
	if isStuck(err) {
		return nil
	}
	return db.Close()
}

func isStuck(err error) bool {
	var c *CorruptError
	return errors.As(err, &c) && c.stuck
}

// guard runs fn and turns a panic in it, or a fault on a mapped page, into a
// *CorruptError, because bbolt trusts its pages. It works for fn's own goroutine only.
func guard(path string, fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = &CorruptError{Path: path, Detail: fmt.Sprintf("its pages cannot be read: %v", p)}
		}
	}()
	return fn()
}
