package bolt

import (
	"cmp"
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
		return cmp.Or(layOut(tx), writing(w.s.putSettings)(tx)) // with an id and a date of its own
	})
}

func (s *settled) putSettings(w *writer) {
	for key, value := range map[string][]byte{metaID: s.id, metaCreated: s.created} {
		if value != nil {
			w.putMeta(key, value)
		}
	}
	if s.pruned > 0 {
		w.putPruned(s.pruned, s.link)
	}
	switch {
	case s.stamp != nil && !isRepair(s.stamp): // a backup stays one
		w.stamp()
	case s.stamp != nil || s.mended.Forked:
		w.stampAs(stampRepair)
	}
	for key, sealed := range s.other {
		w.put(w.meta, []byte(key), sealed)
	}
	for name, sealed := range s.lanes {
		w.put(w.lanes, []byte(name), sealed)
	}
	for key, sealed := range s.records {
		w.put(w.recordsBucket(), []byte(key), sealed)
	}
	for key, value := range s.aside {
		w.put(w.qu, []byte(key), value)
	}
}

// witness says what the file holds now.
func (w *rewriter) witness() error {
	return inside(w.path, w.db, true, writing((*writer).witnessAll))
}

// parts calls each for n things, a transaction for every rewriteSize of them.
func (w *rewriter) parts(n int, each func(to *writer, i int)) error {
	for first := 0; first < n; first += rewriteSize {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		err := inside(w.path, w.db, true, writing(func(to *writer) {
			to.ops.FillPercent, to.events.FillPercent = fill, fill
			for i := first; i < min(first+rewriteSize, n); i++ {
				each(to, i)
				w.done++
				w.tell.say("records", w.done, uint64(len(w.s.ops)+len(w.s.events)))
			}
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

// operations writes them and what leads to them.
func (w *rewriter) operations() error {
	return w.parts(len(w.s.ops), func(to *writer, i int) {
		o, record := &w.s.ops[i].op, w.s.ops[i].sealed
		key, _ := parseID(o.ID)
		if record == nil {
			var err error
			_, record, err = encodeOperation(key, o)
			to.keep(to.ops, key[:], err)
		}
		for _, t := range tokensOf(o) {
			token := []byte(t)
			to.put(to.tokens, token, seal(token, append([]byte(nil), key[:]...)))
		}
		session := sessionKey(o.Ref)
		if w.s.ended[string(session)] == key {
			to.put(to.ended, session, seal(session, append([]byte(nil), key[:]...)))
		}
		to.put(to.ops, key[:], record)
	})
}

// feed writes the events: as they were, or, where readers must see that it is
// another feed, with a new running hash.
func (w *rewriter) feed() error {
	at, seq := w.s.link, w.s.pruned
	put := func(to *writer, text []byte, err error) {
		seq++
		at = at.next(seq, text)
		to.keep(to.events, seqKey(seq), err)
		to.put(to.events, seqKey(seq), sealEvent(seq, at, text))
	}
	err := w.parts(len(w.s.events), func(to *writer, i int) {
		sealed := w.s.events[i]
		switch {
		case sealed == nil:
			put(to, lostEvent(), nil)
		case w.s.mended.Forked:
			text, err := eventText(seq+1, sealed)
			put(to, text, err)
		default:
			seq++
			to.put(to.events, seqKey(seq), sealed)
		}
	})
	if err != nil {
		return err
	}
	return w.parts(len(w.s.more), func(to *writer, i int) {
		key, _ := parseID(w.s.more[i].Operation)
		text, err := encodeEvent(key, &w.s.more[i])
		put(to, text, err)
	})
}
