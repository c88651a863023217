package bolt

import (
	"context"
	"fmt"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// view runs fn in a read transaction. Every reader goes through it, for three reasons. It
// shows only durable commits, it turns a fault in a damaged file into an error, and it
// holds the handle while fn runs. The func fn must copy what it keeps, and must call
// nothing outside of this package.
func (s *Store) view(ctx context.Context, fn func(b format.Buckets) error) error {
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
func (s *Store) viewOnce(synced int, fn func(b format.Buckets) error) (newer bool, err error) {
	s.handle.RLock()
	defer s.handle.RUnlock()
	if s.db == nil {
		if err := s.shutBy(); err != nil {
			return false, err
		}
		return false, fmt.Errorf("%w: %s", store.ErrFailed, s.path) // the committer is about to set the cause
	}
	begun := false
	err = format.Guard(s.path, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			begun = true
			if tx.ID() > synced {
				newer = true
				return nil
			}
			return format.WithBuckets(fn)(tx)
		})
	})
	if err = s.named(err); err != nil && !begun {
		s.wedge(err)
	}
	return newer, err
}

// wedge closes the store after a fault inside bbolt's own Begin. bbolt's locks stay held,
// and a call that needs them would wait forever. So no later call uses bbolt, and Close
// leaves the file open.
func (s *Store) wedge(err error) {
	s.shut(fmt.Errorf("%w: %w", store.ErrFailed, err))
	s.wedging.Do(func() { close(s.wedged) })
	s.queue.end(s.shutBy())
}

// named adds the file's name to a *CorruptError that lacks it.
func (s *Store) named(err error) error { return format.Named(s.path, err) }

// nothing writes nothing. Inside makes an empty commit with it.
func nothing(*bbolt.Tx) error { return nil }
