package bolt

import (
	"context"
	"errors"
	"fmt"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// wanted is an operation asked for, encoded outside of the transaction.
type wanted struct {
	key    rowID
	op     store.Operation
	record []byte // as it is stored if it is created
	event  []byte
}

// Enqueue implements store.Store. A call with very many operations takes
// several commits. An item whose token's holder is damaged has a *CorruptError.
func (s *Store) Enqueue(ctx context.Context, ops []store.Operation) ([]store.Enqueued, error) {
	wants := make([]wanted, len(ops))
	for i, o := range ops {
		w, err := want(o)
		if err != nil {
			return nil, err
		}
		wants[i] = w
	}
	out := make([]store.Enqueued, 0, len(ops))
	for first := 0; first < len(wants) || first == 0; first += maxRequest {
		part := wants[first:min(first+maxRequest, len(wants))]
		var results []store.Enqueued
		err := s.commit(ctx, len(part), func(b *batch) error {
			results = make([]store.Enqueued, len(part))
			for i := range part {
				var err error
				if results[i], err = b.enqueue(&part[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, partial(err, first > 0)
		}
		out = append(out, results...)
	}
	return out, nil
}

// partial is the error of a call of which something may be stored already.
func partial(err error, some bool) error {
	if some && errors.Is(err, store.ErrFull) {
		return fmt.Errorf("%w: no space for all of it", store.ErrUnknown)
	}
	return err
}

func want(o store.Operation) (wanted, error) {
	key, ok := parseID(o.ID)
	if !ok {
		return wanted{}, fmt.Errorf("bolt: operation id %.80q is not the text of a UUID", o.ID)
	}
	w := wanted{key: key, op: normal(o)}
	if w.op.ClientToken == "" {
		return wanted{}, fmt.Errorf("bolt: operation %s has no client token", o.ID)
	}
	created := w.op
	created.Version = 1
	var err error
	if w.record, err = encodeOperation(key, &created); err != nil {
		return wanted{}, err
	}
	e := store.Created(created)
	w.event, err = encodeEvent(&e)
	return w, err
}

// enqueue looks up who stands in the way, lets the port's rules decide, and
// stores what they say.
func (b *batch) enqueue(w *wanted) (store.Enqueued, error) {
	byToken, err := b.byToken(w.op.ClientToken)
	if err != nil { // what its holder says cannot be read: this item alone
		return store.Enqueued{Operation: w.op, Err: b.s.named(err)}, nil
	}
	active, err := b.activeOf(w.op.Ref)
	if err != nil {
		return store.Enqueued{}, err
	}
	out, verdict := store.Decide(w.op, byToken, active)
	switch verdict {
	case store.Create:
		return out, b.create(w)
	case store.Join:
		key, _ := parseID(out.Operation.ID)
		record, err := encodeOperation(key, &out.Operation)
		if err != nil {
			return out, err
		}
		return out, b.putOperation(key, &out.Operation, record, out.Operation.Phase, false)
	}
	return out, nil
}

func (b *batch) create(w *wanted) error {
	if b.ops.Get(w.key[:]) != nil {
		return fmt.Errorf("bolt: operation id %s is taken", w.op.ID)
	}
	if w.op.ClientToken != string(w.op.ID) {
		token := []byte(w.op.ClientToken)
		if err := b.tokens.Put(token, seal(token, append([]byte(nil), w.key[:]...))); err != nil {
			return fmt.Errorf("bolt: client token of operation %s: %w", w.op.ID, err)
		}
	}
	created := w.op
	created.Version = 1
	if err := b.putOperation(w.key, &created, w.record, "", false); err != nil {
		return err
	}
	if created.Active() {
		b.created[created.Ref] = w.key
	}
	return b.putEvent(w.event)
}

// activeOf is the active operation of a session as this transaction sees it, or
// nil.
func (b *batch) activeOf(ref transport.Ref) (*store.Operation, error) {
	if key, ok := b.created[ref]; ok {
		if o, err := b.operation(key); err != nil || o.Active() {
			return &o, err
		}
	}
	o, err := b.activeAmong(b.s.candidates(ref), ref)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &o, err
}

// candidates lists the operations that may be a session's active one.
func (s *Store) candidates(ref transport.Ref) []rowID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []rowID
	s.index.candidates(sessionHash(ref), func(n uint32) bool {
		keys = append(keys, s.index.rows.at(int(n)).id)
		return true
	})
	return keys
}
