package engine_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
)

// A killed process leaves no goroutine, but in a bubble the engine's goroutines cannot
// be ended. So a life of the host is cut off: from its death on, no call of its store or
// provider has an effect or succeeds. The file keeps what was committed before, and the
// next life opens it.

// errDead is what the calls of a dead host return.
var errDead = errors.New("the host is dead")

// simPoint is a point at which a host is killed.
type simPoint uint8

const (
	dieAnyTime simPoint = iota
	dieBeforeEnqueue
	dieAfterEnqueue // committed, but not acknowledged
	dieBeforeMark   // before the commit of an intent
	dieAfterMark    // committed, but the engine has no answer yet
	dieBeforeSend   // before the first byte
	dieAfterEffect  // the answer is on its way
	dieBeforeRecord // answered, but not committed
	dieAfterRecord  // committed, but the engine has no answer yet
	dieBeforeEnd    // of an operation
	dieAfterEnd
	dieBeforeFloor // a Retry-After was heard
	dieAfterFloor
	diePruning
	simPoints
)

var simPointNames = [simPoints]string{
	"killed at any time", "killed before enqueue", "killed after enqueue", "killed before mark", "killed after mark", "killed before send",
	"killed after effect", "killed before record", "killed after record", "killed before end", "killed after end",
	"killed before floor", "killed after floor", "killed while pruning",
}

func (p simPoint) String() string { return simPointNames[p] }

// simLife is the host from a boot to its end.
type simLife struct {
	runs   int // the number of the current Run, in this day
	oracle *simOracle
	inner  *bolt.Store
	e      *engine.Engine
	killed chan struct{} // closed at its death
	dead   atomic.Bool
	dying  sync.Once
	armed  atomic.Int32   // 1 + the point at which it dies; 0: none
	work   sync.WaitGroup // Run, followers, waiters
	rerun  func()         // ends Run, and begins another
}

// reach kills the host if it must die at p, and reports whether it is dead.
func (l *simLife) reach(p simPoint) bool {
	if l.armed.Load() == int32(p)+1 {
		l.kill(p)
	}
	return l.dead.Load()
}

func (l *simLife) kill(p simPoint) {
	l.dying.Do(func() {
		l.oracle.reach(p.String())
		l.dead.Store(true)
		close(l.killed)
	})
}

// simStore is the store of one life of the host.
type simStore struct {
	store.Store // bolt's
	l           *simLife
}

// byHost marks the context of calls that the host makes itself.
type byHost struct{}

func (s *simStore) Enqueue(ctx context.Context, ops []store.Operation) ([]store.Receipt, error) {
	if s.l.reach(dieBeforeEnqueue) {
		return nil, errDead
	}
	out, err := s.Store.Enqueue(ctx, ops)
	s.l.oracle.made(out)
	if s.l.reach(dieAfterEnqueue) {
		return nil, errDead
	}
	return out, err
}

func (s *simStore) Apply(ctx context.Context, changes []store.Change) ([]error, error) {
	host := ctx.Value(byHost{}) != nil
	was := make([]store.Operation, len(changes))
	before, after := dieBeforeRecord, dieAfterRecord
	for i, c := range changes {
		was[i], _ = s.Store.Operation(context.Background(), c.Operation.ID)
		switch {
		case c.Operation.Phase.Ended():
			before, after = dieBeforeEnd, dieAfterEnd
		case marks(was[i], c.Operation) && !host:
			before, after = dieBeforeMark, dieAfterMark
		}
	}
	if host {
		before, after = dieAnyTime, dieAnyTime
	}
	if s.l.reach(before) {
		return nil, errDead
	}
	s.l.oracle.changes(s.l, host, was, changes)
	errs, err := s.Store.Apply(ctx, changes)
	if err == nil {
		s.l.oracle.changed(s.l, was, changes, errs)
	}
	if s.l.reach(after) {
		return nil, errDead
	}
	return errs, err
}

// marks reports whether a change is an intent.
func marks(was, is store.Operation) bool {
	return is.Sent == store.SentUnknown && is.Attempts > was.Attempts
}

func (s *simStore) SetBlock(ctx context.Context, lane string, b store.Block) error {
	if s.l.dead.Load() {
		return errDead
	}
	return s.Store.SetBlock(ctx, lane, b)
}

func (s *simStore) PutRecord(ctx context.Context, r store.Record) error {
	if s.l.dead.Load() {
		return errDead
	}
	err := s.Store.PutRecord(ctx, r)
	if err == nil {
		s.l.oracle.clockKept()
	}
	return err
}

func (s *simStore) SetRetryAfter(ctx context.Context, lane string, until, heard time.Time) error {
	if s.l.reach(dieBeforeFloor) {
		return errDead
	}
	err := s.Store.SetRetryAfter(ctx, lane, until, heard)
	if s.l.reach(dieAfterFloor) {
		return errDead
	}
	return err
}

func (s *simStore) SetPace(ctx context.Context, lane string, pace int, throttledAt time.Time) error {
	if s.l.dead.Load() {
		return errDead
	}
	return s.Store.SetPace(ctx, lane, pace, throttledAt)
}

func (s *simStore) SetPaused(ctx context.Context, lane string, paused bool, by string, at time.Time) error {
	if s.l.dead.Load() {
		return errDead
	}
	err := s.Store.SetPaused(ctx, lane, paused, by, at)
	if s.l.dead.Load() {
		return errDead
	}
	return err
}

func (s *simStore) Prune(ctx context.Context, k store.Retention) (int, error) {
	if s.l.dead.Load() {
		return 0, errDead
	}
	n, err := s.Store.Prune(ctx, k)
	if s.l.reach(diePruning) {
		return 0, errDead
	}
	return n, err
}

func (s *simStore) Own(ctx context.Context) (store.Claims, error) {
	c, err := s.Store.Own(ctx)
	return simClaims{c, s.l}, err
}

// simClaims are the claims of a simStore.
type simClaims struct {
	store.Claims
	l *simLife
}

func (s simClaims) Claim(ctx context.Context, r store.ClaimRequest) (store.Claimed, error) {
	if s.l.dead.Load() {
		return store.Claimed{}, errDead
	}
	return s.Claims.Claim(ctx, r)
}

func (s simClaims) Release(ctx context.Context, ops []store.Operation) error {
	if s.l.dead.Load() {
		return errDead
	}
	return s.Claims.Release(ctx, ops)
}

func (s *simStore) Operation(ctx context.Context, id store.ID) (store.Operation, error) {
	if s.l.dead.Load() {
		return store.Operation{}, errDead
	}
	return s.Store.Operation(ctx, id)
}
