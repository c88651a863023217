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
// becomes a store of its own. So does a file whose repair lost something. A file that was
// copied or moved to another machine is foreign. In all three cases another process may have
// carried out active operations since, so the outcome of their sends counts as unknown.

// opening is what an opening finds out and writes about a file's origin.
type opening struct {
	*format.Writer
	here    machine
	now     time.Time
	foreign *store.Foreign
	changed bool
	must    bool // it must not wait for the next opening
}

// findHome finds out where the file comes from and writes what has changed.
func (s *Store) findHome() error {
	s.here = thisMachine(s.config.Machine)
	a := &opening{here: s.here, now: time.Now().UTC()}
	err := format.Inside(s.path, s.db, true, format.Writing(func(w *format.Writer) {
		a.Writer, a.foreign, a.changed, a.must = w, nil, false, false
		a.decide()
		switch {
		case w.Meta.Sequence() == 0: // an older version wrote it without notes
			w.NoteAll()
		case !a.changed:
			w.Failed = errNothing
		}
	}))
	s.foreign = a.foreign
	switch {
	case err == nil && a.foreign != nil:
		s.config.Logger.Info("the database is foreign: it belongs to another machine", "path", s.path, "home", a.foreign.Home)
		return nil
	case err == nil, errors.Is(err, errNothing):
		return nil
	case disk.IsFull(err) && !a.must: // a mark can wait, and a full disk must not keep the store from being read
		s.config.Logger.Warn("no space to note which machine the database belongs to", "path", s.path, "error", err.Error())
		_, err = s.openAgain()
		return err
	}
	return fmt.Errorf("bolt: %s cannot be opened here for the first time: %w", s.path, disk.AsFull(format.Named(s.path, err)))
}

// decide finds out whether the store is foreign and stores what is new. A corrupt mark
// counts as none.
func (a *opening) decide() {
	if a.Meta.Get([]byte(format.MetaStamp)) != nil {
		a.ownStore()
	}
	home, known := getAs[machine](a.Buckets, format.MetaMachine)
	was, held := getAs[holding](a.Buckets, format.MetaHeld)
	switch {
	case len(a.here.Marks) == 0: // this machine cannot be distinguished from others
	case !known || len(home.Marks) == 0:
		a.set(format.MetaMachine, a.here)
	case a.here.differs(home):
		a.setForeign(home, was, held)
	case held: // the file is back on its own machine
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
// backup belongs to the machine that opens it. A repaired file belongs to the machine of the
// damaged file, which may still be in use there.
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

// setForeign stores that the file is foreign here. No other machine can have sent operations
// that are requested after that. So only the first opening here calls doubtSends.
func (a *opening) setForeign(home machine, was holding, held bool) {
	if !held || a.here.differs(was.Here) {
		was = holding{Here: a.here, Since: format.Nanos(a.now)}
		a.must = true
		doubtSends(a.Writer)
		a.set(format.MetaHeld, was)
	}
	a.foreign = &store.Foreign{Home: home.Host, Since: format.FromNanos(was.Since)}
}

// doubtSends marks active operations that were never sent as outcome unknown. It leaves
// corrupt records alone.
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

// doubt marks an active operation that was never sent as outcome unknown. It also forgets
// the time of an operation's last send, because the original store may have sent it since.
// It reports whether it changed o.
func doubt(o *store.Operation) bool {
	if !o.Active() || o.Sent != store.SentNo && o.SentUp == (store.Uptime{}) {
		return false
	}
	if o.Sent == store.SentNo {
		o.Sent = store.SentUnknown
		o.SentAt, o.LastSentAt = o.CreatedAt, o.CreatedAt // no send was earlier than that
	}
	o.SentUp = store.Uptime{}
	o.Version++
	return true
}

// Adopt implements store.Adopter.
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

// foreignNow returns the machine that the file belongs to, or nil for this machine.
func (s *Store) foreignNow() *store.Foreign {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.foreign
}
