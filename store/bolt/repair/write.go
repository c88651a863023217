package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	bbolt "go.etcd.io/bbolt"
)

// rewriteSize is how many records one transaction of the new file writes.
const rewriteSize = 10_000

// rewriter writes a new file.
type rewriter struct {
	ctx  context.Context
	path string
	db   *bbolt.DB
	s    *content
	tell Progress
	done uint64
}

// rewrite writes s to an empty file, and syncs it.
func rewrite(ctx context.Context, path string, s *content, tell Progress) error {
	db, err := format.OpenBolt(path, &bbolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		return err
	}
	w := &rewriter{ctx: ctx, path: path, db: db, s: s, tell: tell}
	for _, step := range []func() error{w.settings, w.operations, w.feed, w.note} {
		if err == nil {
			err = step()
		}
	}
	if err = errors.Join(err, format.CloseDB(db, err)); err != nil {
		return fmt.Errorf("bolt: writing %s: %w", path, disk.AsFull(err))
	}
	return disk.SyncFile(path)
}

// settings writes everything except operations and events.
func (w *rewriter) settings() error {
	return format.Inside(w.path, w.db, true, func(tx *bbolt.Tx) error {
		return cmp.Or(format.LayOut(tx), format.Writing(w.s.putSettings)(tx)) // LayOut gives it a new id and date
	})
}

func (s *content) putSettings(w *format.Writer) {
	for key, value := range map[string][]byte{format.MetaID: s.id, format.MetaCreated: s.created} {
		if value != nil {
			w.PutMeta(key, value)
		}
	}
	if s.pruned > 0 {
		w.PutPruned(s.pruned, s.link)
	}
	switch {
	case s.stamp != nil && !format.IsRepair(s.stamp): // a backup stays one
		w.Stamp()
	case s.stamp != nil || s.outcome.Forked:
		w.StampAs(format.StampRepair)
	}
	for key, sealed := range s.other {
		w.Put(w.Meta, []byte(key), sealed)
	}
	for name, sealed := range s.lanes {
		w.Put(w.Lanes, []byte(name), sealed)
	}
	for key, sealed := range s.records {
		w.Put(w.RecordsBucket(), []byte(key), sealed)
	}
	for key, value := range s.aside {
		w.Put(w.Qu, []byte(key), value)
	}
}

// note writes the note of what the file holds.
func (w *rewriter) note() error {
	return format.Inside(w.path, w.db, true, format.Writing((*format.Writer).NoteAll))
}

// parts calls each n times, in transactions of rewriteSize calls.
func (w *rewriter) parts(n int, each func(to *format.Writer, i int)) error {
	for first := 0; first < n; first += rewriteSize {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		err := format.Inside(w.path, w.db, true, format.Writing(func(to *format.Writer) {
			to.Ops.FillPercent, to.Events.FillPercent = format.Fill, format.Fill
			for i := first; i < min(first+rewriteSize, n); i++ {
				each(to, i)
				w.done++
				w.tell.Call("records", w.done, uint64(len(w.s.ops)+len(w.s.events)))
			}
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

// operations writes the operations and the rows that point to them.
func (w *rewriter) operations() error {
	return w.parts(len(w.s.ops), func(to *format.Writer, i int) {
		o, record := &w.s.ops[i].op, w.s.ops[i].sealed
		key, _ := format.ParseID(o.ID)
		if record == nil {
			var err error
			_, record, err = format.EncodeOperation(key, o)
			to.Keep(to.Ops, key[:], err)
		}
		for _, t := range format.TokensOf(o) {
			token := []byte(t)
			to.Put(to.Tokens, token, format.Seal(token, append([]byte(nil), key[:]...)))
		}
		session := format.SessionKey(o.Ref)
		if w.s.ended[string(session)] == key {
			to.Put(to.Ended, session, format.Seal(session, append([]byte(nil), key[:]...)))
		}
		to.Put(to.Ops, key[:], record)
	})
}

// feed writes the events. If readers must see that it is a different feed, it gives the
// events a new running hash.
func (w *rewriter) feed() error {
	at, seq := w.s.link, w.s.pruned
	put := func(to *format.Writer, text []byte, err error) {
		seq++
		at = at.Next(seq, text)
		to.Keep(to.Events, format.SeqKey(seq), err)
		to.Put(to.Events, format.SeqKey(seq), format.SealEvent(seq, at, text))
	}
	err := w.parts(len(w.s.events), func(to *format.Writer, i int) {
		sealed := w.s.events[i]
		switch {
		case sealed == nil:
			put(to, format.LostEvent(), nil)
		case w.s.outcome.Forked:
			text, err := format.EventText(seq+1, sealed)
			put(to, text, err)
		default:
			seq++
			to.Put(to.Events, format.SeqKey(seq), sealed)
		}
	})
	if err != nil {
		return err
	}
	return w.parts(len(w.s.more), func(to *format.Writer, i int) {
		key, _ := format.ParseID(w.s.more[i].Operation)
		text, err := format.EncodeEvent(key, &w.s.more[i])
		put(to, text, err)
	})
}
