package bolt

import (
	"context"
	"encoding/binary"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// Events implements store.Store. It returns at most 500 events at once, and at least one if
// there is any. An empty cursor begins with the oldest stored event.
func (s *Store) Events(ctx context.Context, after store.Cursor, limit int) ([]store.Event, error) {
	if limit <= 0 || limit > format.PageSize {
		limit = format.PageSize
	}
	var out []store.Event
	var corrupt []error
	err := s.view(ctx, func(b format.Buckets) error {
		out, corrupt = nil, nil
		seq, err := s.locate(b, after)
		if err != nil {
			return err
		}
		c := b.Events.Cursor()
		want := seq + 1
		k, v := c.Seek(format.SeqKey(want))
		for ; k != nil && len(out) < limit; k, v = c.Next() {
			e, err := format.DecodeEvent(s.id, want, v)
			if len(k) != 8 || binary.BigEndian.Uint64(k) != want {
				return &format.CorruptError{Bucket: format.BucketEvents, Key: format.KeyText(format.BucketEvents, format.SeqKey(want)), Detail: "the event is missing"}
			}
			if err != nil {
				corrupt = append(corrupt, &format.CorruptError{Path: s.path, Bucket: format.BucketEvents, Key: format.KeyText(format.BucketEvents, k), Detail: err.Error()})
			}
			out = append(out, e)
			want++
		}
		return nil
	})
	for _, r := range corrupt {
		s.note(r)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Head implements store.Store. For a feed that never had an event it returns the place
// before the first event.
func (s *Store) Head(ctx context.Context) (store.Cursor, error) {
	if err := s.ready(ctx); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return format.MakeCursor(s.id, s.seq, s.link), nil
}

// Await implements store.Store.
func (s *Store) Await(ctx context.Context, after store.Cursor) error {
	var seq uint64
	err := s.view(ctx, func(b format.Buckets) (err error) {
		seq, err = s.locate(b, after)
		return err
	})
	for err == nil {
		s.mu.Lock()
		head, news := s.seq, s.verdict
		s.mu.Unlock()
		if head > seq {
			return nil
		}
		err = s.wait(ctx, news)
	}
	return err
}

// locate returns the sequence of a cursor. It returns a *store.CursorError if a reader that
// continues from there would skip events.
func (s *Store) locate(b format.Buckets, after store.Cursor) (uint64, error) {
	pruned, prunedLink, err := b.GetPruned()
	if err != nil || after == "" {
		return pruned, err
	}
	head := pruned
	if k, _ := b.Events.Cursor().Last(); len(k) == 8 {
		head = binary.BigEndian.Uint64(k)
	}
	wrong := &store.CursorError{After: after, First: pruned + 1, Head: head}
	p, ok := format.ParseCursor(after)
	if !ok {
		return 0, wrong
	}
	at := prunedLink
	switch {
	case p.Store != [format.CursorStore]byte(s.id[:format.CursorStore]) || p.Seq > head:
		wrong.Forked = true
		return 0, wrong
	case p.Seq < pruned:
		wrong.Pruned = true
		return 0, wrong
	case p.Seq > pruned:
		sealed := b.Events.Get(format.SeqKey(p.Seq))
		if _, corrupt := format.EventText(p.Seq, sealed); corrupt != nil {
			copy(at[:], p.Link[:]) // its link cannot be compared
		} else {
			at = format.LinkOf(sealed)
		}
	}
	if p.Link != [format.CursorLink]byte(at[:format.CursorLink]) {
		wrong.Forked = true
		return 0, wrong
	}
	return p.Seq, nil
}
