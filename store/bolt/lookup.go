package bolt

import (
	"context"
	"errors"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/transport"
)

// Operation implements store.Store.
func (s *Store) Operation(ctx context.Context, id store.ID) (store.Operation, error) {
	return s.lookup(ctx, func(b format.Buckets) (store.Operation, error) {
		key, ok := format.ParseID(id)
		if !ok {
			return store.Operation{}, store.ErrNotFound
		}
		o, err := b.Operation(key)
		if errors.Is(err, store.ErrNotFound) {
			o, err = b.ByLater(id)
		}
		return o, err
	})
}

// BySession implements store.Store.
func (s *Store) BySession(ctx context.Context, ref transport.Ref) (store.Operation, error) {
	// The index is read before the file: an operation that ends in between is found in the
	// file as ended. In the reverse order it would be found in neither.
	among := s.candidates(format.SessionHash(ref))
	return s.lookup(ctx, func(b format.Buckets) (store.Operation, error) {
		o, err := b.ActiveAmong(among, ref)
		if !errors.Is(err, store.ErrNotFound) {
			return o, err
		}
		key := format.SessionKey(ref)
		o, err = b.Pointed(format.BucketEnded, key, b.Ended.Get(key))
		if err != nil || o.Later == nil {
			return o, err
		}
		// One commit stores the end of o and the operation that follows it. The index, which
		// among comes from, is updated after the file.
		if key, ok := format.ParseID(o.Later.ID); ok {
			if next, err := b.Operation(key); err == nil && next.Active() {
				return next, nil
			}
		}
		return o, nil
	})
}

// ByToken implements store.Store.
func (s *Store) ByToken(ctx context.Context, token string) (store.Operation, error) {
	return s.lookup(ctx, func(b format.Buckets) (store.Operation, error) {
		o, err := b.ByToken(token)
		if err == nil && o == nil {
			err = store.ErrNotFound
		}
		if err != nil {
			return store.Operation{}, err
		}
		return *o, nil
	})
}

func (s *Store) lookup(ctx context.Context, fn func(b format.Buckets) (store.Operation, error)) (store.Operation, error) {
	var o store.Operation
	err := s.view(ctx, func(b format.Buckets) (err error) {
		o, err = fn(b)
		return err
	})
	if err != nil {
		s.note(err)
		return store.Operation{}, err
	}
	return s.shown(o), nil
}
