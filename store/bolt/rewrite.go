package bolt

import (
	"context"
	"errors"
	"fmt"
	"time"

	bbolt "go.etcd.io/bbolt"
)

// rewriteSize is how many records one transaction of a new file takes.
const rewriteSize = 10_000

// rewriter fills a new file.
type rewriter struct {
	ctx  context.Context
	path string
	db   *bbolt.DB
	s    *settled
	tell Progress
	done uint64
}

// rewrite makes an empty file a database with what was settled, and syncs it.
func rewrite(ctx context.Context, path string, s *settled, tell Progress) error {
	db, err := openBolt(path, &bbolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		return err
	}
	w := &rewriter{ctx: ctx, path: path, db: db, s: s, tell: tell}
	for _, step := range []func() error{w.settings, w.operations, w.feed, w.witness} {
		if err == nil {
			err = step()
		}
	}
	if err = errors.Join(err, closeDB(db, err)); err != nil {
		return fmt.Errorf("bolt: writing %s: %w", path, asFull(err))
	}
	return syncFile(path)
}

// settings writes all but operations and events.
func (w *rewriter) settings() error {
	return inside(w.path, w.db, true, func(tx *bbolt.Tx) error {
		if err := layOut(tx); err != nil { // with an id and a date of its own
			return err
		}
		b, err := in(tx)
		if err != nil {
			return err
		}
		for key, value := range map[string][]byte{metaID: w.s.id, metaCreated: w.s.created} {
			if value != nil {
				err = errors.Join(err, b.putMeta(key, value))
			}
		}
		if w.s.pruned > 0 {
			err = errors.Join(err, b.putPruned(w.s.pruned, w.s.link))
		}
		if w.s.stamped || w.s.mended.Forked {
			err = errors.Join(err, b.stamp())
		}
		for key, sealed := range w.s.other {
			err = errors.Join(err, b.meta.Put([]byte(key), sealed))
		}
		for name, sealed := range w.s.lanes {
			err = errors.Join(err, b.lanes.Put([]byte(name), sealed))
		}
		for key, value := range w.s.aside {
			err = errors.Join(err, b.qu.Put([]byte(key), value))
		}
		return err
	})
}

// witness says what the file holds now.
func (w *rewriter) witness() error {
	return inside(w.path, w.db, true, withBuckets(buckets.witnessAll))
}

// parts calls each for n things, a transaction for every rewriteSize of them.
func (w *rewriter) parts(n int, each func(b buckets, i int) error) error {
	for first := 0; first < n; first += rewriteSize {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		err := inside(w.path, w.db, true, withBuckets(func(b buckets) error {
			b.ops.FillPercent, b.events.FillPercent = fill, fill
			for i := first; i < min(first+rewriteSize, n); i++ {
				if err := each(b, i); err != nil {
					return err
				}
				w.done++
				w.tell.say("records", w.done, uint64(len(w.s.ops)+len(w.s.events)))
			}
			return nil
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

// operations writes them and what leads to them.
func (w *rewriter) operations() error {
	return w.parts(len(w.s.ops), func(b buckets, i int) error {
		o, record := &w.s.ops[i].op, w.s.ops[i].sealed
		key, _ := parseID(o.ID)
		var err error
		if record == nil {
			if _, record, err = encodeOperation(key, o); err != nil {
				return err
			}
		}
		if o.ClientToken != string(o.ID) {
			token := []byte(o.ClientToken)
			err = b.tokens.Put(token, seal(token, append([]byte(nil), key[:]...)))
		}
		session := sessionKey(o.Ref)
		if w.s.ended[string(session)] == key {
			err = errors.Join(err, b.ended.Put(session, seal(session, append([]byte(nil), key[:]...))))
		}
		return errors.Join(err, b.ops.Put(key[:], record))
	})
}

// feed writes the events: as they were, or, where readers must see that it is
// another feed, with a new running hash.
func (w *rewriter) feed() error {
	lost, err := lostEvent()
	if err != nil {
		return err
	}
	at, seq := w.s.link, w.s.pruned
	put := func(b buckets, text []byte) error {
		seq++
		at = at.next(seq, text)
		return b.events.Put(seqKey(seq), sealEvent(seq, at, text))
	}
	err = w.parts(len(w.s.events), func(b buckets, i int) error {
		sealed := w.s.events[i]
		switch {
		case sealed == nil:
			return put(b, lost)
		case w.s.mended.Forked:
			text, err := eventText(w.s.pruned+uint64(i)+1, sealed) //nolint:gosec // positive
			if err != nil {
				return err
			}
			return put(b, text)
		}
		seq++
		return b.events.Put(seqKey(seq), sealed)
	})
	if err != nil {
		return err
	}
	return w.parts(len(w.s.more), func(b buckets, i int) error {
		text, err := encodeEvent(&w.s.more[i])
		if err != nil {
			return err
		}
		return put(b, text)
	})
}
