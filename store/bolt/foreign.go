package bolt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// An opening finds out where a file comes from. A backup that is opened for the first time
// becomes a store of its own, and so does a file whose repair lost something. A file that
// was copied or moved to another machine is foreign. Another process may have carried out
// since what is active in any of these, so the outcome of its sends counts as unknown.

// opening is what an opening writes about that.
type opening struct {
	*format.Writer
	here    machine
	now     time.Time
	foreign *store.Foreign
	changed bool
	must    bool // it must not be left to the next opening
}

// findHome finds out where the file comes from and writes what has changed.
func (s *Store) findHome() error {
	s.here = thisMachine(s.config.Machine)
	a := &opening{here: s.here, now: time.Now().UTC()}
	err := format.Inside(s.path, s.db, true, format.Writing(func(w *format.Writer) {
		a.Writer, a.foreign, a.changed, a.must = w, nil, false, false
		a.decide()
		switch {
		case w.Meta.Sequence() == 0: // it is of a version that did not store what the file holds
			w.NoteAll()
		case !a.changed:
			w.Failed = errNothing
		}
	}))
	s.foreign = a.foreign
	switch {
	case err == nil && a.foreign != nil:
		s.config.Logger.Info("the database belongs to another machine: it is foreign", "path", s.path, "home", a.foreign.Home)
		return nil
	case err == nil, errors.Is(err, errNothing):
		return nil
	case disk.IsFull(err) && !a.must: // a mark can wait: a full disk must not keep the store from being read
		s.config.Logger.Warn("no space to note which machine the database belongs to", "path", s.path, "error", err.Error())
		_, err = s.openAnew()
		return err
	}
	return fmt.Errorf("bolt: %s: opening it here for the first time: %w", s.path, disk.AsFull(format.Named(s.path, err)))
}

// decide finds out whether the store is foreign and stores what is new. A corrupt mark counts as none.
func (a *opening) decide() {
	if a.Meta.Get([]byte(format.MetaStamp)) != nil {
		a.ownStore()
	}
	home, known := getAs[machine](a.Buckets, format.MetaMachine)
	was, held := getAs[holding](a.Buckets, format.MetaHeld)
	switch {
	case len(a.here.Marks) == 0: // this machine cannot be told from others
	case !known || len(home.Marks) == 0:
		a.set(format.MetaMachine, a.here)
	case a.here.differs(home):
		a.setForeign(home, was, held)
	case held: // the file is back at home
		a.unset(format.MetaHeld)
	case home.learn(a.here):
		a.set(format.MetaMachine, home)
	}
}

func (a *opening) set(key string, value any) {
	a.changed = true
	a.PutMeta(key, format.Encoded(value))
}

func (a *opening) unset(key string) {
	a.changed = true
	a.Remove(a.Meta, []byte(key))
}

// ownStore makes a backup, or a file whose repair lost something, a store of its own. A
// backup is at home wherever it is opened. A repaired file is at home where the damaged
// one was, which may still be in use there.
func (a *opening) ownStore() {
	a.must = true
	a.NewID()
	doubtSends(a.Writer)
	if stamp, err := a.GetMeta(format.MetaStamp); err == nil && !format.IsRepair(stamp) {
		a.unset(format.MetaMachine)
		a.unset(format.MetaHeld)
	}
	a.unset(format.MetaStamp)
}

// setForeign stores that the file is foreign here. No other machine can have sent what is
// enqueued from now on, so only the first opening here calls doubtSends.
func (a *opening) setForeign(home machine, was holding, held bool) {
	if !held || a.here.differs(was.Here) {
		was = holding{Here: a.here, Since: format.Nanos(a.now)}
		a.must = true
		doubtSends(a.Writer)
		a.set(format.MetaHeld, was)
	}
	a.foreign = &store.Foreign{Home: home.Host, Since: format.FromNanos(was.Since)}
}

// doubtSends makes the outcome of every active operation unknown that was never sent. A
// corrupt record is left as it is.
func doubtSends(w *format.Writer) {
	type changed struct {
		key    format.RowID
		record []byte
	}
	var all []changed
	c := w.Ops.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) != 16 {
			continue
		}
		key := format.RowID(k)
		o, err := format.DecodeOperation(key, v)
		if err != nil || !doubt(&o) {
			continue
		}
		_, record, err := format.EncodeOperation(key, &o)
		w.Keep(w.Ops, k, err)
		all = append(all, changed{key, record})
	}
	for _, ch := range all {
		w.PutWeighed(w.Ops, ch.key[:], ch.record, w.Ops.Get(ch.key[:]))
	}
}

// doubt makes the outcome of an active operation unknown if it was never sent. It also
// forgets when an operation was sent last: the store that this one was copied from may
// have sent it since. It reports whether it changed o.
func doubt(o *store.Operation) bool {
	if !o.Active() || o.Sent != store.SentNo && o.SentUp == (store.Uptime{}) {
		return false
	}
	if o.Sent == store.SentNo {
		o.Sent = store.SentUnknown
		o.SentAt, o.LastSentAt = o.CreatedAt, o.CreatedAt // it was sent no earlier than that
	}
	o.SentUp = store.Uptime{}
	o.Version++
	return true
}

// Adopt implements store.Adopter: the file belongs to this machine from now on.
func (s *Store) Adopt(ctx context.Context, by string, at time.Time) error {
	if s.foreignNow() == nil {
		return s.ready(ctx)
	}
	return s.commit(ctx, 1, func(b *batch) error {
		if s.foreignNow() == nil {
			return nil // another call was faster
		}
		b.adopted = true
		b.PutMeta(format.MetaMachine, format.Encoded(s.here))
		b.Remove(b.Meta, []byte(format.MetaHeld))
		text, err := format.EncodeEvent(format.RowID{}, &store.Event{Reason: store.ReasonAdopted, By: by, At: at})
		b.putEvent(text)
		return err
	})
}

// foreignNow returns the machine that the file belongs to; nil: this one.
func (s *Store) foreignNow() *store.Foreign {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.foreign
}
