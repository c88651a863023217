package bolt

import (
	"context"
	"errors"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Operation implements store.Store.
func (s *Store) Operation(ctx context.Context, id store.ID) (store.Operation, error) {
	return s.lookup(ctx, func(b buckets) (store.Operation, error) {
		key, ok := parseID(id)
		if !ok {
			return store.Operation{}, store.ErrNotFound
		}
		o, err := b.operation(key)
		if errors.Is(err, store.ErrNotFound) {
			o, err = b.byWish(id)
		}
		return o, err
	})
}

// byWish returns the operation that keeps a later request of this id.
func (b buckets) byWish(id store.ID) (store.Operation, error) {
	o, err := b.byRow(string(id))
	switch {
	case err != nil:
		return store.Operation{}, err
	case o == nil || o.Later == nil || o.Later.ID != id:
		return store.Operation{}, store.ErrNotFound
	}
	return *o, nil
}

// BySession implements store.Store.
func (s *Store) BySession(ctx context.Context, ref transport.Ref) (store.Operation, error) {
	// Memory comes before the file: an operation that ends in between is found in the
	// file as ended. In the other order it would be found in neither.
	among := s.candidates(sessionHash(ref))
	return s.lookup(ctx, func(b buckets) (store.Operation, error) {
		o, err := b.activeAmong(among, ref)
		if !errors.Is(err, store.ErrNotFound) {
			return o, err
		}
		key := sessionKey(ref)
		o, err = b.pointed(bucketEnded, key, b.ended.Get(key))
		if err != nil || o.Later == nil {
			return o, err
		}
		// The end of o and the operation that follows it are one commit. The tables in
		// memory, from which among was taken, are updated after the file.
		if key, ok := parseID(o.Later.ID); ok {
			if next, err := b.operation(key); err == nil && next.Active() {
				return next, nil
			}
		}
		return o, nil
	})
}

// ByToken implements store.Store.
func (s *Store) ByToken(ctx context.Context, token string) (store.Operation, error) {
	return s.lookup(ctx, func(b buckets) (store.Operation, error) {
		o, err := b.byToken(token)
		if err == nil && o == nil {
			err = store.ErrNotFound
		}
		if err != nil {
			return store.Operation{}, err
		}
		return *o, nil
	})
}

func (s *Store) lookup(ctx context.Context, fn func(b buckets) (store.Operation, error)) (store.Operation, error) {
	var o store.Operation
	err := s.view(ctx, func(b buckets) (err error) {
		o, err = fn(b)
		return err
	})
	if err != nil {
		s.note(err)
		return store.Operation{}, err
	}
	return s.shown(o), nil
}

// operation reads one record. It returns store.ErrNotFound or a *CorruptError if it
// cannot.
func (b buckets) operation(key rowID) (store.Operation, error) {
	sealed := b.ops.Get(key[:])
	if sealed == nil {
		return store.Operation{}, store.ErrNotFound
	}
	o, err := decodeOperation(key, sealed)
	if err != nil {
		return o, &CorruptError{Bucket: bucketOperations, Key: keyText(bucketOperations, key[:]), Detail: err.Error()}
	}
	return o, nil
}

// pointed reads the operation that a row of another bucket names.
func (b buckets) pointed(bucket string, key, sealed []byte) (store.Operation, error) {
	if sealed == nil {
		return store.Operation{}, store.ErrNotFound
	}
	id, ok := unseal(key, sealed)
	if !ok || len(id) != 16 {
		return store.Operation{}, &CorruptError{Bucket: bucket, Key: keyText(bucket, key), Detail: "wrong checksum"}
	}
	return b.operation(rowID(id))
}

// byToken returns the operation that has a token, or nil. If the caller brought no token,
// the operation's id is its token, and needs no row.
func (b buckets) byToken(token string) (*store.Operation, error) {
	o, err := b.byID(token)
	if o == nil && err == nil {
		o, err = b.byRow(token)
	}
	return o, err
}

// byID is byToken for a token that is the operation's id.
func (b buckets) byID(token string) (*store.Operation, error) {
	key, ok := parseID(store.ID(token))
	if !ok || b.ops.Get(key[:]) == nil {
		return nil, nil
	}
	o, err := b.operation(key)
	if err == nil && o.ClientToken != token {
		return nil, nil
	}
	return &o, err
}

// byRow is byToken for a token that the caller brought.
func (b buckets) byRow(token string) (*store.Operation, error) {
	row := []byte(token)
	id := b.tokens.Get(row)
	if id == nil { // also for the empty token, which no operation has
		return nil, nil
	}
	o, err := b.pointed(bucketTokens, row, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &o, err
}

// activeAmong returns the one of keys that is active and of this session. A corrupt
// record belongs to no session.
func (b buckets) activeAmong(keys [][16]byte, ref transport.Ref) (store.Operation, error) {
	for _, key := range keys {
		o, err := b.operation(key)
		if err == nil && o.Ref == ref && o.Active() {
			return o, nil
		}
	}
	return store.Operation{}, store.ErrNotFound
}
