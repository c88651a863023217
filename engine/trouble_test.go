package engine

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// troubled is a store that fails one of its calls while from is true. A call that returns
// only an error takes effect before it fails.
type troubled struct {
	store.Store
	call string
	from atomic.Bool
}

var errTrouble = errors.New("the disk is gone")

func (s *troubled) fails(call string) error {
	if s.from.Load() && call == s.call {
		return errTrouble
	}
	return nil
}

func (s *troubled) Own(ctx context.Context) (store.Claims, error) {
	if err := s.fails("Own"); err != nil {
		return nil, err
	}
	c, err := s.Store.Own(ctx)
	return troubledClaims{c, s}, err
}

// troubledClaims are the claims of a troubled store.
type troubledClaims struct {
	store.Claims
	s *troubled
}

func (c troubledClaims) BringForward(ctx context.Context, by time.Time) error {
	return errors.Join(c.s.fails("BringForward"), c.Claims.BringForward(ctx, by))
}

func (s *troubled) SetPace(ctx context.Context, lane string, pace int, throttledAt time.Time) error {
	return errors.Join(s.fails("SetPace"), s.Store.SetPace(ctx, lane, pace, throttledAt))
}

func (s *troubled) SetRetryAfter(ctx context.Context, lane string, until, at time.Time) error {
	return errors.Join(s.fails("SetRetryAfter"), s.Store.SetRetryAfter(ctx, lane, until, at))
}

func (c troubledClaims) Release(ctx context.Context, ops []store.Operation) error {
	return errors.Join(c.s.fails("Release"), c.Claims.Release(ctx, ops))
}

func (c troubledClaims) Due(ctx context.Context, seen uint64) (store.Dues, error) {
	if err := c.s.fails("Due"); err != nil {
		return store.Dues{}, err
	}
	return c.Claims.Due(ctx, seen)
}

func (c troubledClaims) Claim(ctx context.Context, r store.ClaimRequest) (store.Claimed, error) {
	if err := c.s.fails("Claim"); err != nil {
		return store.Claimed{}, err
	}
	return c.Claims.Claim(ctx, r)
}

func (s *troubled) Lanes(ctx context.Context) ([]store.Lane, error) {
	if err := s.fails("Lanes"); err != nil {
		return nil, err
	}
	return s.Store.Lanes(ctx)
}

func (s *troubled) Stats(ctx context.Context) (store.Stats, error) {
	if err := s.fails("Stats"); err != nil {
		return store.Stats{}, err
	}
	return s.Store.Stats(ctx)
}

// Apply also fences all changes if the call that fails is the look-up after a fenced
// change.
func (s *troubled) Apply(ctx context.Context, cs []store.Change) ([]error, error) {
	if err := s.fails("Apply of one"); err != nil {
		return []error{err}, nil
	}
	if err := s.fails("Apply"); err != nil {
		return nil, err
	}
	errs, err := s.Store.Apply(ctx, cs)
	if s.fails("Operation") != nil {
		for i := range errs {
			errs[i] = store.ErrFenced
		}
	}
	return errs, err
}

func (s *troubled) Operation(ctx context.Context, id ID) (store.Operation, error) {
	if err := s.fails("Operation"); err != nil {
		return store.Operation{}, err
	}
	return s.Store.Operation(ctx, id)
}

// TestRunEndsWithItsStore: a store that fails during a Run ends the Run, whichever call it
// was, and Run returns the store's error. The operation is there for the next Run.
func TestRunEndsWithItsStore(t *testing.T) {
	for _, call := range []string{"BringForward", "SetRetryAfter", "Release", "Operation", "Due"} {
		t.Run(call, func(t *testing.T) {
			s := &troubled{call: call}
			throttle := func(studio.Call) studio.Fault {
				if call == "SetRetryAfter" && s.from.Load() {
					return studio.Fault{Err: &transport.Error{Kind: transport.KindThrottled, RetryAfter: 10 * time.Minute}}
				}
				return studio.Fault{}
			}
			scenario(t, studio.Config{Boot: time.Minute, Intercept: throttle}, Config{}, func(b *bench) {
				b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
				b.restart()
				id := b.start("ws-1")
				done := make(chan error, 1)
				go func() { done <- b.Engine.Run(b.Context()) }()
				b.after(time.Second)
				s.from.Store(true)
				if call == "BringForward" { // is for a clock that is set back
					b.skew.Store(int64(-time.Hour))
				}
				select {
				case err := <-done:
					if !errors.Is(err, errTrouble) {
						b.Errorf("Run: %v, want what the store said", err)
					}
				case <-time.After(3 * time.Minute):
					b.Fatal("Run goes on")
				}
				s.from.Store(false)
				b.skew.Store(0)
				b.wrap = nil
				b.restart()
				b.goRun()
				b.after(30 * time.Minute)
				b.want(id, fsm.PhaseSucceeded, "", 1)
			})
		})
	}
}

// corrupting is a store with one record that is corrupt while from is true.
type corrupting struct {
	store.Store
	id   ID
	from atomic.Bool
}

func (s *corrupting) corrupt(id ID) bool { return s.from.Load() && id == s.id }

func (s *corrupting) Apply(ctx context.Context, cs []store.Change) ([]error, error) {
	errs, err := s.Store.Apply(ctx, cs)
	for i := range errs {
		if s.corrupt(cs[i].Operation.ID) {
			errs[i] = store.ErrCorrupt
		}
	}
	return errs, err
}

func (s *corrupting) Operation(ctx context.Context, id ID) (store.Operation, error) {
	if s.corrupt(id) {
		return store.Operation{}, store.ErrCorrupt
	}
	return s.Store.Operation(ctx, id)
}

// TestCorruptMeanwhile: a record that becomes corrupt while its session is read does not stop
// other operations.
func TestCorruptMeanwhile(t *testing.T) {
	s := &corrupting{}
	scenario(t, studio.Config{Boot: time.Minute}, Config{}, func(b *bench) {
		b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
		b.restart()
		ids := b.startMany("studio", 5)
		s.id = ids[2]
		b.goRun()
		b.after(10 * time.Second)
		s.from.Store(true)
		b.all(append(ids[:2:2], ids[3:]...))
		b.end() // fails the test if Run was over
		s.from.Store(false)
		b.wrap = nil
		b.restart()
	})
}

// short is a provider that answers a read of several sessions with one result too few.
type short struct{ *studio.Studio }

func (s short) BatchGet(ctx context.Context, refs []Ref) ([]transport.Result, error) {
	rs, err := s.Studio.BatchGet(ctx, refs)
	return rs[:len(rs)-1], err
}

// TestTooFewResults: the engine does not guess which result of a short batch is missing.
func TestTooFewResults(t *testing.T) {
	one := func(string) LaneConfig { return LaneConfig{Concurrency: 1, Rate: 1e6} } // so that one read has many sessions
	scenario(t, studio.Config{Boot: 10 * time.Second}, Config{Lane: one}, func(b *bench) {
		b.close()
		b.open(short{b.studio})
		ids := b.startMany("studio", 50)
		b.goRun()
		b.after(10 * time.Minute)
		shown := 0
		for _, id := range ids {
			if op := b.op(id); op.Phase == fsm.PhaseStarting && strings.Contains(op.LastError, "results") {
				shown++
			}
		}
		if shown < 2 {
			b.Errorf("%d of 50 operations wait and show the error", shown)
		}
		b.restart()
		b.goRun()
		b.all(ids)
	})
}

// pruned is a store whose feed was pruned beyond its reader, once.
type pruned struct {
	store.Store
	noticed atomic.Bool
}

func (s *pruned) Events(ctx context.Context, after store.Cursor, limit int) ([]store.Event, error) {
	if after != "" && s.noticed.CompareAndSwap(false, true) {
		return nil, &store.CursorError{After: after, Pruned: true}
	}
	return s.Store.Events(ctx, after, limit)
}

// TestWaitBeyondThePruning: the feed is pruned before the engine has read it. Wait still
// returns the end.
func TestWaitBeyondThePruning(t *testing.T) {
	scenario(t, studio.Config{Boot: 10 * time.Second}, Config{}, func(b *bench) {
		s := &pruned{}
		b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
		b.restart()
		id := b.start("ws-1")
		ended := make(chan error, 1)
		go func() { _, err := b.Wait(b.Context(), id); ended <- err }()
		b.after(time.Second)
		b.goRun()
		b.after(time.Minute)
		select {
		case err := <-ended:
			if err != nil || !s.noticed.Load() {
				b.Errorf("Wait: %v, the gap was noticed: %v", err, s.noticed.Load())
			}
		default:
			b.Error("Wait goes on")
		}
		b.wrap = nil
		b.restart()
	})
}
