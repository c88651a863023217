package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/driver"
	bbolt "go.etcd.io/bbolt"
)

// fewActive is the most active operations whose ids List takes from memory. If there are
// more, List walks the file and skips ended operations.
const fewActive = 1 << 16

// List implements store.Store. No transaction is open while the caller handles an operation.
// List leaves out corrupt records.
func (s *Store) List(ctx context.Context, f store.Filter) iter.Seq2[store.Operation, error] {
	return func(yield func(store.Operation, error) bool) {
		after, ok := format.ParseID(f.After)
		if f.After != "" && !ok {
			yield(store.Operation{}, fmt.Errorf("bolt: cannot list after %.80q: it is no operation id: %w", f.After, store.ErrNotFound))
			return
		}
		next := s.walk(f, after)
		if f.ClientToken != "" {
			next = s.holder(f)
		} else if f.Active {
			if keys, few := s.activeKeys(f, after); few {
				next = s.among(f, keys)
			}
		}
		left := f.Limit
		for more := true; more; {
			var page []store.Operation
			var err error
			if page, more, err = next(ctx); err != nil {
				yield(store.Operation{}, err)
				return
			}
			for _, o := range page {
				if !yield(s.shown(o), nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
		}
	}
}

// pager returns the next page of operations that fit, and reports whether there may be
// more.
type pager func(ctx context.Context) (page []store.Operation, more bool, err error)

// activeKeys returns the ids of the active operations after after, by age. It reports false
// if more than fewActive operations are active.
func (s *Store) activeKeys(f store.Filter, after format.RowID) ([]format.RowID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index.Len() > fewActive {
		return nil, false
	}
	keys := make([]format.RowID, 0, s.index.Len())
	for o := range s.index.All() {
		order := bytes.Compare(o.ID[:], after[:])
		if f.After == "" || f.Newest && order < 0 || !f.Newest && order > 0 {
			keys = append(keys, o.ID)
		}
	}
	slices.SortFunc(keys, func(a, b format.RowID) int {
		if f.Newest {
			a, b = b, a
		}
		return slices.Compare(a[:], b[:])
	})
	return keys, true
}

// holder returns the pager of the record that has f's token, if there is one.
func (s *Store) holder(f store.Filter) pager {
	return func(ctx context.Context) ([]store.Operation, bool, error) {
		o, err := s.ByToken(ctx, f.ClientToken)
		switch {
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrCorrupt):
			return nil, false, nil
		case err != nil || !driver.Fits(&f, &o):
			return nil, false, err
		}
		return []store.Operation{o}, false, nil
	}
}

// among returns the pager of the records of keys.
func (s *Store) among(f store.Filter, keys []format.RowID) pager {
	return func(ctx context.Context) ([]store.Operation, bool, error) {
		n := min(format.PageSize, len(keys))
		var page []store.Operation
		var corrupt []error
		err := s.view(ctx, func(b format.Buckets) error {
			page, corrupt = nil, nil
			for _, key := range keys[:n] {
				o, err := b.Operation(key)
				switch {
				case err == nil && driver.Fits(&f, &o):
					page = append(page, o)
				case err != nil && !errors.Is(err, store.ErrNotFound):
					corrupt = append(corrupt, s.named(err))
				}
			}
			return nil
		})
		s.noteAll(corrupt)
		keys = keys[n:]
		return page, len(keys) > 0, err
	}
}

// walk returns the pager of the records after after, or of all records if f has no After.
func (s *Store) walk(f store.Filter, after format.RowID) pager {
	var last *format.RowID
	if f.After != "" {
		last = &after
	}
	return func(ctx context.Context) ([]store.Operation, bool, error) {
		var page []store.Operation
		var corrupt []error
		var at format.RowID
		more := false
		err := s.view(ctx, func(b format.Buckets) error {
			page, corrupt, more = nil, nil, false
			c := b.Ops.Cursor()
			k, v := seekFrom(c, last, f.Newest)
			for n := 0; k != nil; n++ {
				if n == format.PageSize {
					more = true
					return nil
				}
				if len(k) == len(at) {
					at = format.RowID(k)
					o, err := fits(f, at, v)
					if err != nil {
						corrupt = append(corrupt, &format.CorruptError{Path: s.path, Bucket: format.BucketOperations, Key: string(at.Id()), Detail: err.Error()})
					} else if o != nil {
						page = append(page, *o)
					}
				}
				if f.Newest {
					k, v = c.Prev()
				} else {
					k, v = c.Next()
				}
			}
			return nil
		})
		s.noteAll(corrupt)
		last = &at
		return page, more, err
	}
}

// seekFrom moves c to the first record beyond last, in the given order.
func seekFrom(c *bbolt.Cursor, last *format.RowID, newest bool) (k, v []byte) {
	switch {
	case last == nil && newest:
		return c.Last()
	case last == nil:
		return c.First()
	}
	k, v = c.Seek(last[:])
	switch {
	case newest && k == nil:
		return c.Last()
	case newest:
		return c.Prev()
	case k != nil && string(k) == string(last[:]):
		return c.Next()
	}
	return k, v
}

// fits returns a record that f lets through, decoded, and nil for any other record. It does
// not decode a record that the head rules out.
func fits(f store.Filter, key format.RowID, sealed []byte) (*store.Operation, error) {
	v, ok := format.Unseal(key[:], sealed)
	if ok {
		h, _, err := format.DecodeHead(v)
		if err == nil && (f.Active && h.Phase.Ended() || f.Lane != "" && f.Lane != h.Lane ||
			len(f.Phases) > 0 && !slices.Contains(f.Phases, h.Phase)) {
			return nil, nil
		}
	}
	o, err := format.DecodeOperation(key, sealed)
	if err != nil || !driver.Fits(&f, &o) {
		return nil, err
	}
	return &o, nil
}
