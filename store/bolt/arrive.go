package bolt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/store"
)

// What an opening finds out about where a file comes from. A backup that is opened
// for the first time becomes a store of its own. A file that was copied or moved to
// another machine is held. Both may have been carried out elsewhere since: what is
// active counts as perhaps sent.

// arrival is what an opening writes of that.
type arrival struct {
	buckets
	here    machine
	now     time.Time
	held    *store.Held
	changed bool
	must    bool // it may not be left for the next opening
}

// arrive finds it out, and writes what has changed.
func (s *Store) arrive() error {
	s.here = thisMachine(s.config.Machine)
	a := &arrival{here: s.here, now: time.Now().UTC()}
	err := inside(s.path, s.db, true, withBuckets(func(b buckets) error {
		a.buckets, a.held, a.changed, a.must = b, nil, false, false
		if err := a.settle(); err != nil {
			return err
		}
		if b.meta.Sequence() == 0 { // it is of a version that said nothing of what it holds
			return b.witnessAll()
		}
		if !a.changed {
			return errNothing
		}
		return nil
	}))
	s.held = a.held
	switch {
	case err == nil && a.held != nil:
		s.config.Logger.Info("the database belongs to another machine: it is held", "path", s.path, "home", a.held.Home)
		return nil
	case err == nil, errors.Is(err, errNothing):
		return nil
	case isFull(err) && !a.must: // a mark can wait; that the disk is full must not keep anybody from reading
		s.config.Logger.Warn("no space to note which machine the database belongs to", "path", s.path, "error", err.Error())
		if err := s.db.Close(); err != nil {
			return fmt.Errorf("bolt: %w", err)
		}
		_, err = s.openDB()
		return err
	}
	return fmt.Errorf("bolt: %s: opening it here for the first time: %w", s.path, asFull(named(s.path, err)))
}

// settle decides, and puts what is new.
func (a *arrival) settle() error {
	if a.meta.Get([]byte(metaStamp)) != nil {
		if err := a.ownStore(); err != nil {
			return err
		}
	}
	home, known, err := getAs[machine](a.buckets, metaMachine)
	was, held, herr := getAs[holding](a.buckets, metaHeld)
	if err = errors.Join(err, herr); err != nil && !errors.Is(err, store.ErrCorrupt) {
		return err // a damaged mark says nothing
	}
	switch {
	case len(a.here.Marks) == 0: // nobody can tell
		return nil
	case !known || len(home.Marks) == 0:
		return a.put(metaMachine, a.here)
	case a.here.differs(home):
		return a.hold(home, was, held)
	case held: // it is back
		a.changed = true
		return a.meta.Delete([]byte(metaHeld))
	case home.learn(a.here):
		return a.put(metaMachine, home)
	}
	return nil
}

func (a *arrival) put(key string, value any) error {
	a.changed = true
	return a.putAs(key, value)
}

// ownStore makes of a backup a store of its own, at home wherever it is opened.
func (a *arrival) ownStore() error {
	a.changed, a.must = true, true
	err := errors.Join(a.newID(), a.doubtSends())
	for _, key := range []string{metaStamp, metaMachine, metaHeld} {
		err = errors.Join(err, a.meta.Delete([]byte(key)))
	}
	return err
}

// hold notes that the file is away from home. What comes to it from now on was
// sent by nobody, so that only the first opening here doubts.
func (a *arrival) hold(home machine, was holding, held bool) error {
	if !held || a.here.differs(was.Here) {
		was = holding{Here: a.here, Since: nanos(a.now)}
		a.must = true
		if err := errors.Join(a.doubtSends(), a.put(metaHeld, was)); err != nil {
			return err
		}
	}
	a.held = &store.Held{Home: home.Host, Since: fromNanos(was.Since)}
	return nil
}

// doubtSends makes every active operation that was never sent one that perhaps
// was. A damaged record is left as it is.
func (b buckets) doubtSends() error {
	type changed struct{ key, record []byte }
	var all []changed
	c := b.ops.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) != 16 {
			continue
		}
		o, err := decodeOperation(rowID(k), v)
		if err != nil || !o.Active() || o.Sent != store.SentNo {
			continue
		}
		o.Sent = store.SentUnknown
		o.SentAt, o.LastSentAt = o.CreatedAt, o.CreatedAt // no sooner than that
		o.Version++
		_, record, err := encodeOperation(rowID(k), &o)
		if err != nil {
			return err
		}
		all = append(all, changed{append([]byte(nil), k...), record})
	}
	for _, ch := range all {
		if err := putWeighed(b.ops, ch.key, ch.record, b.ops.Get(ch.key)); err != nil {
			return err
		}
	}
	return nil
}

// Adopt implements store.Store: the file belongs to this machine from now on.
func (s *Store) Adopt(ctx context.Context, by string, at time.Time) error {
	if s.heldNow() == nil {
		return s.ready(ctx)
	}
	text, err := encodeEvent(&store.Event{Reason: store.Adopted, By: by, At: at})
	if err != nil {
		return err
	}
	return s.commit(ctx, 1, func(b *batch) error {
		if s.heldNow() == nil {
			return nil // somebody was faster
		}
		b.adopted = true
		return errors.Join(b.putAs(metaMachine, s.here), b.meta.Delete([]byte(metaHeld)), b.putEvent(text))
	})
}

// heldNow says that the file belongs to another machine; nil: it does not.
func (s *Store) heldNow() *store.Held {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}
