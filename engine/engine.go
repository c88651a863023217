package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
)

var (
	// ErrRunning is returned by Run while another Run of the engine goes on.
	ErrRunning = errors.New("engine: another Run of this engine goes on: end it, or wait until it returns")
	// ErrClosed is returned by every call after Close, and by calls that wait when
	// Close begins.
	ErrClosed = errors.New("engine: closed")
	// ErrUnknownLane is returned by Pause and Resume for a lane in which no
	// session can be.
	ErrUnknownLane = errors.New("no such lane")
	// ErrNotEnded is returned by Retry for an operation that is active.
	ErrNotEnded = errors.New("engine: the operation has not ended")
)

// Engine keeps operations in a store and carries them out through a transport.
// It is safe for concurrent use. Make it with [Open] or [New].
type Engine struct {
	store     store.Store
	transport transport.Transport
	cfg       Config
	log       *slog.Logger
	owned     bool                  // Close closes the store
	wall      func() time.Time      // the wall clock; tests make it jump
	up        func() uptime.Reading // the clocks that cannot be set; tests replace it
	earliest  time.Time             // an earlier time comes from a clock that was never set; tests move it
	follower  *follower
	home      atomic.Bool // the store is known to be this machine's, and stays so

	// mu guards run and closed. It is never held across a call of the store or
	// the transport.
	mu     sync.Mutex
	run    *run
	closed bool

	pausing sync.Mutex      // orders Pause and Resume; held across the store's call
	life    context.Context // ends at Close
	die     context.CancelFunc
	dead    chan struct{} // closed when Close is done
	deadErr error         // what Close returned
}

// Open opens the embedded store at path, or creates it, and returns an engine on it.
// Close closes both. Starts are accepted at once. Nothing is sent until Run. Open returns
// the errors of [bolt.Open], and an error that names a wrong field of Config.
func Open(path string, t transport.Transport, c Config) (*Engine, error) {
	s, err := bolt.Open(path, bolt.Config{Logger: c.Logger})
	if err != nil {
		return nil, err
	}
	e, err := New(s, t, c)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	e.owned = true
	return e, nil
}

// New returns an engine on a store. The caller closes the store after the engine. The
// error names a wrong field of Config, or an argument that is nil.
func New(s store.Store, t transport.Transport, c Config) (*Engine, error) {
	if s == nil || t == nil {
		return nil, fmt.Errorf("engine: New needs a store and a transport (got %T and %T)", s, t)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	e := &Engine{
		store: s, transport: t, cfg: c, log: c.Logger, wall: time.Now, up: uptime.Now, earliest: earliestTime,
	}
	e.dead = make(chan struct{})
	e.life, e.die = context.WithCancel(context.Background())
	e.follower = newFollower(s)
	return e, nil
}

// foreign returns the machine that the store belongs to. Nil means this machine.
func (e *Engine) foreign(ctx context.Context) (*store.Foreign, error) {
	if e.home.Load() {
		return nil, nil
	}
	s, err := e.store.Stats(ctx)
	if err == nil && s.Foreign == nil {
		e.home.Store(true)
	}
	return s.Foreign, err
}

// Run carries out operations until ctx ends. Then it waits up to Config.Drain for calls
// in flight, commits what is known, and returns nil with no goroutine left. The
// transport's calls have the values of ctx. Run fits an errgroup. While the store is
// foreign, Run makes no call and ends nothing, until [Engine.Adopt]. ErrRunning says
// that another Run goes on. Any other error is the store's, and every waiting and later
// call returns it too.
func (e *Engine) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := newRun(ctx, e, stop)
	e.mu.Lock()
	switch {
	case e.closed:
		e.mu.Unlock()
		return ErrClosed
	case e.run != nil:
		e.mu.Unlock()
		return ErrRunning
	}
	e.run = r
	e.mu.Unlock()

	err := r.loop(ctx)

	e.mu.Lock()
	e.run = nil
	e.mu.Unlock()
	close(r.ended)
	return err
}

// Close ends Run and waits for it, wakes waiters with ErrClosed, and closes the store if
// Open opened it. Operations stay as they are, for the next Open. A second Close waits
// for the first and returns the same error.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		<-e.dead
		return e.deadErr
	}
	e.closed = true
	r := e.run
	e.mu.Unlock()
	e.die()
	if r != nil {
		r.stop()
		<-r.ended
	}
	e.follower.close()
	if e.owned {
		e.deadErr = e.store.Close()
	}
	close(e.dead)
	return e.deadErr
}

// current returns the Run that goes on, or nil.
func (e *Engine) current() *run {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.run
}

// open returns ErrClosed after Close.
func (e *Engine) open() error {
	if e.life.Err() != nil {
		return ErrClosed
	}
	return nil
}

// now returns the wall clock as it is stored: UTC, in microseconds, without the monotonic
// part, which stands still in suspend.
func (e *Engine) now() time.Time {
	return e.wall().UTC().Round(0).Truncate(time.Microsecond)
}
