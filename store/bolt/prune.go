package bolt

import (
	"context"
	"math"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// pruneSize is how many records one commit of Prune removes. Other commits can come between.
const pruneSize = 1000

// Prune implements store.Store. It reads the heads of all operations, one page at a time.
func (s *Store) Prune(ctx context.Context, k store.Retention) (int, error) {
	gone, err := s.pruneOperations(ctx, k.EndedSince, k.Impossible)
	if err != nil || k.Events <= 0 {
		return gone, err
	}
	events, err := s.pruneEvents(ctx, uint64(k.Events))
	return gone + events, err
}

// pruneOperations removes the operations that finished from impossible on and before since,
// and the rows that point to them.
func (s *Store) pruneOperations(ctx context.Context, since, impossible time.Time) (int, error) {
	if since.IsZero() {
		return 0, nil
	}
	before, from := format.Nanos(since), int64(math.MinInt64)
	if !impossible.IsZero() {
		from = format.Nanos(impossible)
	}
	gone := 0
	var last *format.RowID
	for more := true; more; {
		var old []format.RowID
		err := s.view(ctx, func(b format.Buckets) error {
			old, more = nil, false
			c := b.Ops.Cursor()
			k, v := seekFrom(c, last, false)
			for n := 0; len(k) == 16; k, v = c.Next() {
				if n++; n > 10*format.PageSize || len(old) == pruneSize {
					more = true
					return nil
				}
				at := format.RowID(k)
				last = &at
				if h, _, err := format.DecodeHead(v); err == nil && h.Phase.Ended() && h.Finished >= from && h.Finished < before {
					old = append(old, at)
				}
			}
			return nil
		})
		if err == nil && len(old) > 0 {
			var n int
			n, err = s.removeOperations(ctx, old, before)
			gone += n
		}
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// removeOperations removes the operations among keys that have not changed since they were
// read. An ended operation stays ended, but a fact may have been stored in it meanwhile.
func (s *Store) removeOperations(ctx context.Context, keys []format.RowID, before int64) (int, error) {
	gone := 0
	err := s.commit(ctx, len(keys), func(b *batch) error {
		gone = 0
		for _, key := range keys {
			o, err := b.Operation(key)
			if err != nil || o.Active() || format.Nanos(o.FinishedAt) >= before {
				continue
			}
			b.removeOperation(key, &o)
			gone++
		}
		return nil
	})
	if err != nil {
		return 0, err // if ctx ended first, the committer still changes n
	}
	return gone, nil
}

func (b *batch) removeOperation(key format.RowID, o *store.Operation) {
	for _, t := range format.TokensOf(o) {
		token := []byte(t)
		if id, ok := format.Unseal(token, b.Tokens.Get(token)); ok && string(id) == string(key[:]) {
			b.RemoveWeighed(b.Tokens, token)
		}
	}
	session := format.SessionKey(o.Ref)
	if id, ok := format.Unseal(session, b.Ended.Get(session)); ok && string(id) == string(key[:]) {
		b.RemoveWeighed(b.Ended, session)
	}
	h := format.HeadOf(o)
	b.changes = append(b.changes, change{id: key, before: o.Phase, head: &h})
	b.RemoveWeighed(b.Ops, key[:])
}

// pruneEvents removes all events except the newest keep. It stores the link of the last
// event that it removed, so that the rest of the chain can still be checked.
func (s *Store) pruneEvents(ctx context.Context, keep uint64) (int, error) {
	s.mu.Lock()
	few := s.seq-s.pruned <= keep
	s.mu.Unlock()
	if few { // an empty removal is not worth a commit
		return 0, nil
	}
	gone := 0
	for {
		n := 0
		err := s.commit(ctx, pruneSize, func(b *batch) error {
			n = 0
			if b.seq-b.pruned <= keep {
				return nil
			}
			until := min(b.seq-keep, b.pruned+pruneSize)
			var at format.Link
			for seq := b.pruned + 1; seq <= until; seq++ {
				at = format.LinkOf(b.Events.Get(format.SeqKey(seq)))
				b.Remove(b.Events, format.SeqKey(seq))
				n++
			}
			b.pruned = until
			b.PutPruned(until, at)
			return nil
		})
		if err != nil {
			return gone, err // if ctx ended first, the committer still writes n
		}
		if gone += n; n < pruneSize {
			return gone, nil
		}
	}
}
