package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
)

// run is one Run of an engine: the state of the dispatcher, which its workers share.
type run struct {
	e      *Engine
	claims store.Claims       // from the beginning of loop to its end
	stop   context.CancelFunc // ends the dispatcher
	ended  chan struct{}      // closed when Run has returned
	wake   chan struct{}      // holds one: the dispatcher has something to do
	over   context.Context    // ends with the dispatcher: nothing new begins
	calls  context.Context    // workers' calls; ends when the drain is over
	cut    context.CancelFunc
	work   sync.WaitGroup // the workers

	saving sync.Mutex // orders the writes of blocks; held across the store's call, taken before mu

	// mu guards what follows, the lanes' fields included. It is never held
	// across a call of the store or the transport.
	mu       sync.Mutex
	lanes    map[string]*lane
	stored   map[string]*store.Lane // what is stored of lanes
	ready    laneHeap               // lanes by when the dispatcher visits them next
	deadline time.Time              // the earliest; zero: none
	dues     uint64                 // counts what Due reported: see assign
	clocks
	jumps      []time.Duration // of the wall clock, which the dispatcher has not acted on yet
	inFlight   int
	sightings  map[ID]decide.Sighting
	lastRead   map[ID]Seen // of sessions that were sent a start: what was read last
	fullAt     time.Time   // when the store last had no space; zero: it has
	savedClock savedClock
	active     bool // there was something to do
	confirmed  bool // a provider's date confirmed the clock
	pruned     time.Time
	swept      time.Time
	late       []lateRead
	fault      error // why the store ended the run
}

// maxInFlight guards memory when very many lanes hang at once.
const maxInFlight = 4096

// fullPause is how long nothing is sent after the store had no space.
const fullPause = 10 * time.Second

func newRun(ctx context.Context, e *Engine, stop context.CancelFunc) *run {
	calls, cut := context.WithCancel(context.WithoutCancel(ctx)) // its values reach the transport; calls outlive it, for the drain
	return &run{
		e: e, stop: stop, ended: make(chan struct{}), wake: make(chan struct{}, 1),
		calls: calls, cut: cut,
		lanes: map[string]*lane{}, stored: map[string]*store.Lane{}, sightings: map[ID]decide.Sighting{}, lastRead: map[ID]Seen{},
		clocks: newClocks(e),
	}
}

// loop dispatches until ctx ends, and then drains.
func (r *run) loop(ctx context.Context) error {
	defer r.cut()
	r.over = ctx
	owning, disown := context.WithCancel(context.WithoutCancel(ctx)) // claims outlive ctx, for the drain
	defer disown()
	var err error
	if r.claims, err = r.e.store.Own(owning); err != nil {
		return r.verdict(ctx, err)
	}
	if err := r.load(ctx); err != nil {
		return r.verdict(ctx, err)
	}
	r.bringForward(ctx, decide.Longest) // the clock of the last Run may have been ahead, and jumped back unseen
	var dues sync.WaitGroup
	duesCtx, endDues := context.WithCancel(ctx)
	dues.Go(func() { r.followDues(duesCtx) })

	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil && r.failure() == nil {
		idle := r.dispatch(ctx)
		var tick <-chan time.Time // never, for an engine with nothing to do
		if idle >= 0 {
			timer.Reset(min(idle, decide.LongestSleep))
			tick = timer.C
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-tick:
		}
	}
	endDues()
	dues.Wait()
	r.drain()
	r.saveBlocks()
	if r.active && r.failure() == nil {
		r.saveClockRecord()
	}
	return r.verdict(ctx, r.failure())
}

// drain lets calls in flight finish for a bounded time.
func (r *run) drain() {
	cutOff := time.AfterFunc(r.e.cfg.Drain, r.cut)
	defer cutOff.Stop()
	r.work.Wait()
}

// verdict returns the error of Run. An error that only says that ctx ended counts as
// none.
func (r *run) verdict(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return r.e.storeError(err)
}

// load reads what is stored of lanes and of the clock, and whether the store
// belongs to another machine.
func (r *run) load(ctx context.Context) error {
	foreign, err := r.e.foreign(ctx)
	if err != nil {
		return err
	}
	if foreign != nil {
		r.e.log.Warn("the store belongs to another machine: nothing is sent until it is adopted", "home", foreign.Home, "since", foreign.Since)
	}
	lanes, err := r.e.store.Lanes(ctx)
	if err != nil {
		return err
	}
	if err := r.loadClockRecord(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range lanes {
		if s := r.stored[l.Name]; s != nil { // Pause or Resume made it first, and filled in nothing else
			s.RetryAfter, s.RetryAfterHeard, s.Block = l.RetryAfter, l.RetryAfterHeard, l.Block
			s.Pace, s.ThrottledAt = l.Pace, l.ThrottledAt
			continue
		}
		r.stored[l.Name] = &l
	}
	return nil
}

// followDues is the goroutine that waits until the store reports earlier due times.
func (r *run) followDues(ctx context.Context) {
	var seen uint64
	for {
		d, err := r.claims.Due(ctx, seen)
		if err != nil {
			if ctx.Err() == nil {
				r.fail(err)
			}
			return
		}
		seen = d.Seen
		r.merge(d)
		r.poke()
	}
}

func (r *run) merge(d store.Dues) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deadline = d.Deadline
	r.dues++
	r.active = r.active || len(d.Lanes) > 0
	for _, due := range d.Lanes {
		l := r.lane(due.Lane)
		l.due = due
		l.merges++
		r.ready.put(l, r.e.now())
	}
}

// lane returns the lane of that name, and makes it if it is new. mu must be held.
func (r *run) lane(name string) *lane {
	l := r.lanes[name]
	if l == nil {
		cfg := r.e.cfg.Lane(name).withDefaults()
		if r.stored[name] == nil {
			r.stored[name] = &store.Lane{Name: name}
		}
		s := r.stored[name]
		l = &lane{name: name, cfg: cfg, pace: newPace(cfg.Rate, knownPace(s, r.e.now()), time.Now()), stored: s, savedBlock: s.Block, at: -1}
		r.lanes[name] = l
	}
	return l
}

// poke wakes the dispatcher.
func (r *run) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// fail ends the run with an error of the store.
func (r *run) fail(err error) {
	r.mu.Lock()
	if r.fault == nil {
		r.fault = err
	}
	r.mu.Unlock()
	r.poke()
}

func (r *run) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

// nudge makes trial calls due now, since the network may be back.
func (r *run) nudge() {
	r.mu.Lock()
	now := r.e.now()
	for _, l := range r.lanes {
		r.prompt(l, now)
	}
	r.mu.Unlock()
	r.poke()
}

// prompt makes a blocked lane's next trial call due now. mu must be held.
func (r *run) prompt(l *lane, now time.Time) {
	if l.block != nil {
		l.block.wait, l.block.trialAt = 0, now
		r.ready.put(l, now)
	}
}
