package bolt

import (
	"context"
	"errors"
	"fmt"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/driver"
)

// changed is one change of Apply, encoded outside of the transaction.
type changed struct {
	key     format.RowID
	op      *store.Operation // with the version that the caller read
	head    format.Head      // with the next version
	record  []byte
	events  [][]byte
	release bool
	next    *wanted // what its later request becomes; nil: there is none
}

// Apply implements store.Store. A call with very many changes takes several commits. So does
// a call when there is little space, because each commit frees the pages that it replaces.
func (s *Store) Apply(ctx context.Context, changes []store.Change) ([]error, error) {
	todo := make([]changed, len(changes))
	for i := range changes {
		var err error
		if todo[i], err = toChange(&changes[i]); err != nil {
			return nil, err
		}
	}
	out := make([]error, 0, len(changes))
	size := maxRequest
	for first := 0; first < len(todo) || first == 0; {
		part := todo[first:min(first+size, len(todo))]
		var results []error
		err := s.commit(ctx, len(part), func(b *batch) error {
			results = make([]error, len(part))
			for i := range part {
				var err error
				if results[i], err = b.change(&part[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if len(part) > 1 && errors.Is(err, store.ErrFull) {
			size = len(part) / 2
			continue
		}
		if err != nil {
			return nil, partial(err, first > 0)
		}
		out = append(out, results...)
		first += size
	}
	return out, nil
}

func toChange(c *store.Change) (changed, error) {
	key, ok := format.ParseID(c.Operation.ID)
	if !ok {
		return changed{}, fmt.Errorf("bolt: operation id %.80q is not the canonical text of a UUID", c.Operation.ID)
	}
	out := changed{key: key, op: &c.Operation, release: c.Release}
	var err error
	if out.head, out.record, err = format.EncodeVersion(key, out.op, out.op.Version+1); err != nil {
		return changed{}, err
	}
	for i := range c.Events {
		if c.Events[i].Operation != out.op.ID {
			return changed{}, fmt.Errorf("bolt: an event of operation %q cannot be stored with operation %s: store it with its own operation", c.Events[i].Operation, out.op.ID)
		}
		text, encErr := format.EncodeEvent(key, &c.Events[i])
		out.events, err = append(out.events, text), errors.Join(err, encErr)
	}
	if c.Next != nil {
		var nextErr error
		out.next, nextErr = toNext(c)
		err = errors.Join(err, nextErr)
	}
	return out, err
}

// toNext encodes the operation that a change creates.
func toNext(c *store.Change) (*wanted, error) {
	o, next := &c.Operation, *c.Next
	switch {
	case o.Active() || next.Ref != o.Ref || !next.Active():
		return nil, fmt.Errorf("bolt: operation %s (%s) of %s cannot follow operation %s (%s) of %s: the first must have ended, and both must be of one session", next.ID, next.Phase, next.Ref, o.ID, o.Phase, o.Ref)
	case o.Later == nil || o.Later.ID != next.ID:
		return nil, fmt.Errorf("bolt: operation %s is not the later request of operation %s: only that request may follow it", next.ID, o.ID)
	}
	format.Normalize(&next)
	w, err := want(&next)
	if err != nil {
		return nil, err
	}
	e := driver.CreatedNext(c)
	w.event, err = format.EncodeEvent(w.key, &e)
	return &w, err
}

// change applies c to the version that it was made from. refused is the error of this change
// alone. err is the error of the whole call.
func (b *batch) change(c *changed) (refused, err error) {
	sealed := get(b.opsAt, c.key[:])
	if sealed == nil {
		return store.ErrNotFound, nil
	}
	v, ok := format.Unseal(c.key[:], sealed)
	if !ok {
		return &format.CorruptError{Path: b.s.path, Bucket: format.BucketOperations, Key: string(c.op.ID), Detail: "wrong checksum"}, nil
	}
	was, _, err := format.DecodeHead(v)
	if err != nil {
		return &format.CorruptError{Path: b.s.path, Bucket: format.BucketOperations, Key: string(c.op.ID), Detail: err.Error()}, nil
	}
	if was.Version != c.op.Version {
		return store.ErrFenced, nil
	}
	if was.Lane != c.op.Lane || was.Session != c.head.Session {
		return nil, fmt.Errorf("bolt: operation %s: its session and its lane cannot change", c.op.ID)
	}
	if was.Phase.Ended() && c.op.Active() {
		return nil, fmt.Errorf("bolt: operation %s: it ended as %s and cannot become %s", c.op.ID, was.Phase, c.op.Phase)
	}
	if c.next != nil && (was.Phase.Ended() || get(b.opsAt, c.next.key[:]) != nil) {
		return nil, fmt.Errorf("bolt: operation %s cannot follow operation %s, which is %s: its id is taken, or that operation had ended before: read it again", c.next.op.ID, c.op.ID, was.Phase)
	}
	b.putOperation(c.key, &c.head, c.record, sealed, was.Phase, c.release)
	if !was.Phase.Ended() && !c.op.Active() {
		key := format.SessionKey(c.op.Ref)
		b.PutWeighed(b.Ended, key, format.Seal(key, append([]byte(nil), c.key[:]...)), b.Ended.Get(key))
	}
	for _, text := range c.events {
		b.putEvent(text)
	}
	if c.op.Later != nil {
		b.putTokens(c.key, c.op)
	}
	if c.next != nil {
		b.create(c.next)
	}
	return nil, nil
}
