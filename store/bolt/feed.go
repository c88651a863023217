package bolt

import (
	"context"
	"encoding/binary"

	"github.com/rouse-dev/rouse/store"
)

// pageSize is how many records one read transaction covers: a transaction that stays
// open keeps bbolt from using freed pages again.
const pageSize = 500

// Events implements store.Store. It returns at most 500 events at once, and at
// least one if there is any. "" begins with the oldest event that is stored.
func (s *Store) Events(ctx context.Context, after store.Cursor, limit int) ([]store.Event, error) {
	if limit <= 0 || limit > pageSize {
		limit = pageSize
	}
	var out []store.Event
	var rotten []error
	err := s.view(ctx, func(b buckets) error {
		out, rotten = nil, nil
		seq, err := s.locate(b, after)
		if err != nil {
			return err
		}
		c := b.events.Cursor()
		want := seq + 1
		k, v := c.Seek(seqKey(want))
		for ; k != nil && len(out) < limit; k, v = c.Next() {
			e, err := decodeEvent(s.id, want, v)
			if len(k) != 8 || binary.BigEndian.Uint64(k) != want {
				return &CorruptError{Bucket: bucketEvents, Key: keyText(bucketEvents, seqKey(want)), Detail: "the event is missing"}
			}
			if err != nil {
				rotten = append(rotten, &CorruptError{Path: s.path, Bucket: bucketEvents, Key: keyText(bucketEvents, k), Detail: err.Error()})
			}
			out = append(out, e)
			want++
		}
		return nil
	})
	for _, r := range rotten {
		s.note(r)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Head implements store.Store. For a feed that never had an event it returns the place
// before the first.
func (s *Store) Head(ctx context.Context) (store.Cursor, error) {
	if err := s.ready(ctx); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return makeCursor(s.id, s.seq, s.link), nil
}

// Await implements store.Store.
func (s *Store) Await(ctx context.Context, after store.Cursor) error {
	var seq uint64
	err := s.view(ctx, func(b buckets) (err error) {
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

// locate returns the sequence of a cursor, or a *store.CursorError if reading cannot go
// on from there without skipping events.
func (s *Store) locate(b buckets, after store.Cursor) (uint64, error) {
	pruned, prunedLink, err := b.getPruned()
	if err != nil || after == "" {
		return pruned, err
	}
	head := pruned
	if k, _ := b.events.Cursor().Last(); len(k) == 8 {
		head = binary.BigEndian.Uint64(k)
	}
	wrong := &store.CursorError{After: after, First: pruned + 1, Head: head}
	p, ok := parseCursor(after)
	if !ok {
		return 0, wrong
	}
	at := prunedLink
	switch {
	case p.store != [cursorStore]byte(s.id[:cursorStore]) || p.seq > head:
		wrong.Forked = true
		return 0, wrong
	case p.seq < pruned:
		wrong.Pruned = true
		return 0, wrong
	case p.seq > pruned:
		sealed := b.events.Get(seqKey(p.seq))
		if _, rotten := eventText(p.seq, sealed); rotten != nil {
			copy(at[:], p.link[:]) // its link cannot be compared
		} else {
			at = linkOf(sealed)
		}
	}
	if p.link != [cursorLink]byte(at[:cursorLink]) {
		wrong.Forked = true
		return 0, wrong
	}
	return p.seq, nil
}

// getPruned returns the last sequence that was pruned, and the link there; 0 if nothing
// was pruned.
func (b buckets) getPruned() (uint64, link, error) {
	v, err := b.getMeta(metaPruned)
	if err != nil || v == nil {
		return 0, link{}, err
	}
	if len(v) != 8+hashSize {
		return 0, link{}, &CorruptError{Bucket: bucketMeta, Key: metaPruned, Detail: "wrong length"}
	}
	return binary.BigEndian.Uint64(v), link(v[8:]), nil
}

func (w *writer) putPruned(seq uint64, l link) {
	w.putMeta(metaPruned, append(seqKey(seq), l[:]...))
}
