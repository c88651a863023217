package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/driver"
	"github.com/rouse-dev/rouse/transport"
	bbolt "go.etcd.io/bbolt"
)

// wanted is an operation of Enqueue, encoded outside of the transaction.
type wanted struct {
	key    format.RowID
	op     *store.Operation // as it is stored if it is created
	head   format.Head
	record []byte
	event  []byte
	other  *store.Receipt // the receipt if no operation was created; nil: it was created
}

// Enqueue implements store.Store. A call with very many operations takes several commits. If
// the operation that has a request's token is corrupt, the receipt has a *CorruptError.
func (s *Store) Enqueue(ctx context.Context, ops []store.Operation) ([]store.Receipt, error) {
	out := make([]store.Receipt, len(ops))
	wants := make([]wanted, len(ops))
	for i := range ops {
		out[i].ID, out[i].Operation, out[i].Created = ops[i].ID, ops[i], true
		format.Normalize(&out[i].Operation)
		var err error
		if wants[i], err = want(&out[i].Operation); err != nil {
			return nil, err
		}
	}
	for first := 0; first < len(wants) || first == 0; first += maxRequest {
		part := wants[first:min(first+maxRequest, len(wants))]
		err := s.submit(ctx, &request{
			size: len(part), bytes: bytesOf(part),
			write: func(b *batch) error {
				for i := range part {
					if err := b.enqueue(&part[i]); err != nil {
						return err
					}
				}
				return nil
			},
			adds: func(b *batch) bool { return b.createsAny(part) },
		})
		if err != nil {
			return nil, partial(err, first > 0)
		}
	}
	for i := range wants {
		if other := wants[i].other; other != nil {
			out[i] = *other
		}
	}
	return out, nil
}

// partial returns the error of a call that may have stored a part of it.
func partial(err error, some bool) error {
	if some && errors.Is(err, store.ErrFull) {
		return fmt.Errorf("%w: there was space for a part at most: free space and repeat the call", store.ErrUnknown)
	}
	return err
}

// bytesOf returns about how many bytes of pages new operations take.
func bytesOf(wants []wanted) (n int64) {
	const each = 128 // for keys, elements and unused ends of pages
	for i := range wants {
		n += int64(len(wants[i].record) + len(wants[i].event) + len(wants[i].op.ClientToken) + each)
	}
	return n
}

// want encodes o as a new record, of version 1.
func want(o *store.Operation) (wanted, error) {
	key, ok := format.ParseID(o.ID)
	if !ok {
		return wanted{}, fmt.Errorf("bolt: operation id %.80q is not the canonical text of a UUID", o.ID)
	}
	if o.ClientToken == "" {
		return wanted{}, fmt.Errorf("bolt: operation %s has no client token: set the caller's token or the operation's id", o.ID)
	}
	o.Version = 1
	w := wanted{key: key, op: o}
	var err error
	if w.head, w.record, err = format.EncodeOperation(key, o); err != nil {
		return wanted{}, err
	}
	e := driver.Created(o)
	w.event, err = format.EncodeEvent(key, &e)
	return w, err
}

// decide looks up the operations with the token and of the session, and applies
// driver.Decide.
func (b *batch) decide(w *wanted) (out store.Receipt, verdict driver.Verdict, err error) {
	want := *w.op
	want.Version = 0 // it is not stored
	taken := get(b.opsAt, w.key[:]) != nil
	var byToken *store.Operation
	switch {
	case taken || want.ClientToken != string(want.ID):
		byToken, err = b.ByToken(want.ClientToken)
	case get(b.tokensAt, []byte(want.ClientToken)) != nil: // the token is not the operation's own id
		byToken, err = b.ByRow(want.ClientToken)
	}
	if err != nil { // only this request fails
		return store.Receipt{Operation: want, Err: b.s.named(err)}, driver.VerdictRefuse, nil
	}
	out, verdict = driver.Decide(want, byToken, b.activeOf(want.Ref, w.head.Session))
	if verdict == driver.VerdictCreate && taken {
		err = fmt.Errorf("bolt: operation id %s is taken: use a new id", want.ID)
	}
	return out, verdict, err
}

// createsAny reports whether one of wants is a new operation. A request that fails does not
// count, because enqueue returns its error.
func (b *batch) createsAny(wants []wanted) bool {
	for i := range wants {
		if _, verdict, err := b.decide(&wants[i]); err == nil && verdict == driver.VerdictCreate {
			return true
		}
	}
	return false
}

// enqueue stores what was decided.
func (b *batch) enqueue(w *wanted) error {
	w.other = nil
	out, verdict, err := b.decide(w)
	switch {
	case err != nil:
		return err
	case verdict == driver.VerdictCreate:
		b.create(w)
		return nil
	}
	other := out // only here, so that a new operation needs no allocation
	w.other = &other
	if verdict != driver.VerdictJoin {
		return nil
	}
	b.join(&other.Operation)
	return nil
}

// join stores an operation that a join has changed.
func (b *batch) join(o *store.Operation) {
	key, _ := format.ParseID(o.ID)
	h, record, err := format.EncodeOperation(key, o)
	b.Keep(b.Ops, key[:], err)
	old := b.Ops.Get(key[:])
	was, _, err := format.DecodeHead(old)
	b.Keep(b.Ops, key[:], err)
	b.putOperation(key, &h, record, old, h.Phase, false)
	c := &b.changes[len(b.changes)-1]
	c.join, c.hastened = true, h.Due != was.Due
	b.putTokens(key, o)
}

// putTokens stores the missing rows that point to an operation.
func (b *batch) putTokens(key format.RowID, o *store.Operation) {
	for _, t := range format.TokensOf(o) {
		token := []byte(t)
		sealed := format.Seal(token, append([]byte(nil), key[:]...))
		if old := get(b.tokensAt, token); !bytes.Equal(old, sealed) {
			b.PutWeighed(b.Tokens, token, sealed, old)
		}
	}
}

// get is Bucket.Get with the caller's cursor.
func get(c *bbolt.Cursor, key []byte) []byte {
	k, v := c.Seek(key)
	if !bytes.Equal(k, key) {
		return nil
	}
	return v
}

func (b *batch) create(w *wanted) {
	b.putTokens(w.key, w.op)
	b.putOperation(w.key, &w.head, w.record, nil, "", false)
	if w.op.Active() {
		if b.created == nil {
			b.created = make(map[transport.Ref]format.RowID, cap(b.changes))
		}
		b.created[w.op.Ref] = w.key
	}
	b.putEvent(w.event)
}

// activeOf returns the active operation of a session as this transaction sees it, or nil.
func (b *batch) activeOf(ref transport.Ref, session uint32) *store.Operation {
	if key, ok := b.created[ref]; ok {
		if o, err := b.Operation(key); err == nil && o.Active() {
			return &o
		}
	}
	among := b.s.candidates(session)
	if len(among) == 0 {
		return nil // the usual case, which must not allocate an operation
	}
	o, err := b.ActiveAmong(among, ref)
	if err != nil {
		return nil
	}
	return &o
}

// candidates returns the ids of the operations that may be the active one of the session
// with this hash.
func (s *Store) candidates(session uint32) [][16]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.Candidates(session)
}
