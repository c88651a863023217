package format

import (
	"errors"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// ByLater returns the operation that keeps a later request with this id.
func (b Buckets) ByLater(id store.ID) (store.Operation, error) {
	o, err := b.ByRow(string(id))
	switch {
	case err != nil:
		return store.Operation{}, err
	case o == nil || o.Later == nil || o.Later.ID != id:
		return store.Operation{}, store.ErrNotFound
	}
	return *o, nil
}

// Operation reads one record. It returns store.ErrNotFound or a *CorruptError if it cannot.
func (b Buckets) Operation(key RowID) (store.Operation, error) {
	sealed := b.Ops.Get(key[:])
	if sealed == nil {
		return store.Operation{}, store.ErrNotFound
	}
	o, err := DecodeOperation(key, sealed)
	if err != nil {
		return o, &CorruptError{Bucket: BucketOperations, Key: KeyText(BucketOperations, key[:]), Detail: err.Error()}
	}
	return o, nil
}

// Pointed reads the operation that a row of another bucket points to.
func (b Buckets) Pointed(bucket string, key, sealed []byte) (store.Operation, error) {
	if sealed == nil {
		return store.Operation{}, store.ErrNotFound
	}
	id, ok := Unseal(key, sealed)
	if !ok || len(id) != 16 {
		return store.Operation{}, &CorruptError{Bucket: bucket, Key: KeyText(bucket, key), Detail: "wrong checksum"}
	}
	return b.Operation(RowID(id))
}

// ByToken returns the operation that has a token, or nil. If the caller brought no token,
// the operation's id is its token and needs no row.
func (b Buckets) ByToken(token string) (*store.Operation, error) {
	o, err := b.byID(token)
	if o == nil && err == nil {
		o, err = b.ByRow(token)
	}
	return o, err
}

// byID is ByToken for a token that is the operation's id.
func (b Buckets) byID(token string) (*store.Operation, error) {
	key, ok := ParseID(store.ID(token))
	if !ok || b.Ops.Get(key[:]) == nil {
		return nil, nil
	}
	o, err := b.Operation(key)
	if err == nil && o.ClientToken != token {
		return nil, nil
	}
	return &o, err
}

// ByRow is ByToken for a token that the caller brought.
func (b Buckets) ByRow(token string) (*store.Operation, error) {
	row := []byte(token)
	id := b.Tokens.Get(row)
	if id == nil { // also for the empty token, which no operation has
		return nil, nil
	}
	o, err := b.Pointed(BucketTokens, row, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &o, err
}

// ActiveAmong returns the operation among keys that is active and belongs to this session. A
// corrupt record belongs to no session.
func (b Buckets) ActiveAmong(keys [][16]byte, ref transport.Ref) (store.Operation, error) {
	for _, key := range keys {
		o, err := b.Operation(key)
		if err == nil && o.Ref == ref && o.Active() {
			return o, nil
		}
	}
	return store.Operation{}, store.ErrNotFound
}
