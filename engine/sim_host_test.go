package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
)

// simHost is the machine and the program on it. The bubble's main goroutine walks
// through the script.
type simHost struct {
	t      *testing.T
	day    *simDay
	world  *simWorld
	oracle *simOracle
	p      *simProvider
	plant  simPlant
	path   string

	life    *simLife // nil: the host is down
	lives   int
	runs    int
	killBy  time.Duration // the latest time at which an armed life dies; 0: none
	downFor time.Duration
	upAt    time.Duration // the next boot
	rightAt time.Duration // when a wrong clock is set right; 0: it is right
	asleep  time.Duration // until then; 0: awake
	over    bool          // the oracle has seen enough
	pending []func()      // acts that wait until it is up and awake
	unsure  []int         // asks whose outcome is unknown
	ids     map[int]store.ID
	odd     time.Duration // the clock was wrong until then
}

// simulate runs one day.
func simulate(t *testing.T, folder string, seed uint64, plant simPlant) (v simVerdict) {
	t.Helper()
	dir, err := os.MkdirTemp(folder, "day-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	synctest.Test(t, func(t *testing.T) {
		d := drawDay(seed)
		w := &simWorld{began: time.Now().Round(0).UTC(), blind: seed%4 == 3}
		w.boots.Store(1)
		j := newSimOracle(w, d, plant.want)
		h := &simHost{t: t, day: d, world: w, oracle: j, p: newSimProvider(w, d, j), plant: plant, path: filepath.Join(dir, "rouse.db"), ids: map[int]store.ID{}}
		j.p = h.p
		v = h.run()
	})
	return v
}

// horizon is how long after the day the last operation must have ended. It is a request's
// day and a day in which the provider cannot be read.
const horizon = 50 * time.Hour

func (h *simHost) run() simVerdict {
	h.boot()
	for _, a := range h.day.acts {
		if h.until(a.at); h.over {
			break
		}
		h.do(a)
	}
	h.until(simLength)
	for _, l := range h.day.lanes {
		if !l.doomed {
			h.whenUp(func() { h.pause(l.name, false) })
		}
	}
	for !h.over && h.world.elapsed() < simLength+horizon && !(h.life != nil && h.idle()) {
		h.until(h.world.elapsed() + 10*time.Minute)
	}
	h.until(h.world.elapsed() + time.Minute) // the followers reach the head
	if h.life == nil {
		h.until(h.upAt + time.Minute)
	}
	h.shut()
	h.p.under.Wait()
	if h.over {
		return simVerdict{blames: h.oracle.blames, reached: h.oracle.reached}
	}
	return h.close()
}

// idle reports whether all operations have ended.
func (h *simHost) idle() bool {
	s, err := h.life.inner.Stats(context.Background())
	if err != nil {
		h.oracle.accuse("store", "Stats: %v", err)
		return true
	}
	n := 0
	for phase, k := range s.Operations {
		if !phase.Ended() {
			n += k
		}
	}
	return n == 0 && len(h.unsure) == 0
}

func (h *simHost) close() simVerdict {
	s, err := bolt.Open(h.path, bolt.Config{})
	if err != nil {
		h.oracle.accuse("store", "the last Open: %v", err)
		return simVerdict{blames: h.oracle.blames}
	}
	defer s.Close()
	data, err := os.ReadFile(h.path)
	if err != nil {
		h.oracle.accuse("store", "%v", err)
	}
	return h.oracle.close(s, string(data))
}

// until lets the day go on to at, with the deaths and boots that come before.
func (h *simHost) until(at time.Duration) {
	for !h.over {
		now := h.world.elapsed()
		next := h.next(at)
		switch {
		case now >= next && h.happen(now):
			continue
		case now >= at:
			return
		case h.asleep > 0: // the world goes on; no timer does
			h.world.slept.Add(int64(next - now))
			continue
		}
		var killed chan struct{}
		if h.life != nil {
			killed = h.life.killed
		}
		timer := time.NewTimer(next - now)
		select {
		case <-timer.C:
		case <-killed:
			h.bury()
		case <-h.oracle.enough:
			h.over = true
		}
		timer.Stop()
	}
}

// next returns when something outside the script happens, but no later than at.
func (h *simHost) next(at time.Duration) time.Duration {
	if h.asleep > 0 {
		return min(at, h.asleep)
	}
	if h.life == nil {
		at = min(at, h.upAt)
	}
	for _, t := range []time.Duration{h.killBy, h.rightAt} {
		if t > 0 {
			at = min(at, t)
		}
	}
	return at
}

// happen does what is due outside the script, and reports whether anything was.
func (h *simHost) happen(now time.Duration) bool {
	switch {
	case h.life != nil && h.life.dead.Load():
		h.bury()
	case h.asleep > 0 && now >= h.asleep:
		h.asleep = 0
		h.wake()
	case h.asleep > 0:
		return false
	case h.rightAt > 0 && now >= h.rightAt:
		h.setClock(0)
		h.rightAt = 0
	case h.killBy > 0 && now >= h.killBy:
		h.killBy = 0
		if h.life != nil {
			h.life.kill(dieAnyTime)
		}
	case h.life == nil && now >= h.upAt:
		h.boot()
	default:
		return false
	}
	return true
}

// setClock sets the wall clock wrong by d, or right.
func (h *simHost) setClock(d time.Duration) {
	h.oracle.mu.Lock()
	defer h.oracle.mu.Unlock()
	if was := time.Duration(h.world.wrong.Load()); was > d {
		h.oracle.ahead = append(h.oracle.ahead, [2]time.Time{h.world.began.Add(h.odd + was), h.world.now().Add(was)})
	}
	h.world.wrong.Store(int64(d))
	h.odd = h.world.elapsed()
	for _, o := range h.oracle.ops {
		o.odd = o.odd || o.sent && o.accepted.IsZero()
	}
	for _, w := range h.oracle.laters {
		w.odd = true
	}
}

// boot begins a life.
func (h *simHost) boot() {
	h.lives++
	r := simDraws(h.day.seed, "boot", h.lives)
	if r.IntN(7) == 0 && h.rightAt == 0 {
		h.setClock(wrongBy(r))
		h.rightAt = h.world.elapsed() + between(r, 10*time.Second, 9*time.Minute)
		h.oracle.reach("booted with a wrong clock")
		h.world.boots.Add(1)
	}
	inner, err := bolt.Open(h.path, bolt.Config{})
	if err != nil {
		h.t.Fatalf("the %d. Open: %v", h.lives, err)
	}
	l := &simLife{oracle: h.oracle, inner: inner, killed: make(chan struct{})}
	var s store.Store = &simStore{Store: inner, l: l}
	if h.plant.store != nil {
		s = h.plant.store(l, s)
	}
	w := &simWire{p: h.p, life: l}
	var tr transport.Transport = w
	if h.plant.wire != nil {
		tr = h.plant.wire(w)
	}
	l.e, err = engine.New(s, tr, engine.Config{KeepEvents: h.day.keepEvents, Lane: h.laneConfig})
	if err != nil {
		h.t.Fatal(err)
	}
	l.e.SetWall(h.world.wall)
	l.e.SetUptime(h.world.uptime)
	l.e.SetEarliest(simEarliest)
	h.life, h.upAt = l, 0
	h.inherit(l)
	h.follow(l)
	h.runEngine(l)
	h.wake()
}

func (h *simHost) laneConfig(name string) engine.LaneConfig {
	c := h.p.lane(engine.Ref{StudioID: name}).cfg
	if h.plant.lane != nil {
		c = h.plant.lane(c)
	}
	return c
}

// inherit compares what a new life finds in the file with what was acknowledged.
func (h *simHost) inherit(l *simLife) {
	j := h.oracle
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, o := range j.ops {
		o.refund = false
		if !o.acked || o.forgettable() {
			continue
		}
		if op, err := l.inner.Operation(context.Background(), id); err != nil || op.ClientToken != o.token || op.Ref != o.ref {
			j.blame("lost", "%s was acknowledged; after a restart: %s %q, %v", id, op.Ref, op.ClientToken, err)
		}
	}
	lanes, err := l.inner.Lanes(context.Background())
	if err != nil {
		j.blame("lost", "lanes: %v", err)
	}
	stored := map[string]store.Lane{}
	for _, k := range lanes {
		stored[k.Name] = k
	}
	for name, k := range j.lanes {
		k.inFlight, k.gone = 0, time.Time{}
		asked := stored[name].RetryAfter
		if most := stored[name].RetryAfterHeard.Add(time.Hour); asked.After(most) {
			asked = most
		}
		if stored[name].RetryAfterHeard.After(j.world.wall()) { // by a clock that was ahead: it is not trusted
			asked = time.Time{}
		}
		if !k.floor.IsZero() && asked.Before(k.floor.Add(-time.Second)) {
			if k.wrong == h.world.wrong.Load() && j.world.wall().Before(k.floor) && j.died.Sub(k.heard) > time.Second {
				j.blame("retry-after", "%s: asked %v ago to wait until %v, and after a restart it is %v", name, time.Since(k.heard), k.floor, asked)
			}
			k.floor = time.Time{}
		}
		if k.unsure {
			k.unsure, k.paused = false, time.Time{}
			if stored[name].Paused {
				k.paused = time.Now()
			}
		}
		if stored[name].Paused != !k.paused.IsZero() {
			j.blame("paused", "%s: paused %v after a restart", name, stored[name].Paused)
		}
	}
}

// runEngine begins Run, which ends with the life.
func (h *simHost) runEngine(l *simLife) {
	begin := func() (end func()) {
		h.runs++
		l.runs = h.runs
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		l.work.Go(func() {
			defer close(done)
			err := l.e.Run(ctx)
			if err != nil && !l.dead.Load() && !errors.Is(err, engine.ErrClosed) {
				h.oracle.accuse("run", "Run returned %v", err)
			}
		})
		return func() { stop(); <-done }
	}
	end := begin()
	l.rerun = func() {
		end()
		h.oracle.forget()
		end = begin()
	}
}

// follow reads the feed from the cursor of the last life's reader.
func (h *simHost) follow(l *simLife) {
	h.oracle.mu.Lock()
	at := h.oracle.cursor
	h.oracle.mu.Unlock()
	l.work.Go(func() {
		for ev, err := range l.e.Follow(context.Background(), at) {
			if err != nil {
				if !l.dead.Load() && !errors.Is(err, engine.ErrClosed) {
					h.oracle.accuse("feed", "Follow: %v", err)
				}
				return
			}
			if h.plant.event != nil {
				var ok bool
				if ev, ok = h.plant.event(ev); !ok {
					continue
				}
			}
			h.oracle.event(l, ev)
		}
	})
}

// bury ends the goroutines that a dead life left.
func (h *simHost) bury() {
	l := h.life
	h.oracle.reach("deaths")
	h.end(l)
	h.life, h.killBy = nil, 0
	h.upAt = max(h.world.elapsed()+h.downFor, h.asleep)
}

func (h *simHost) end(l *simLife) {
	h.oracle.mu.Lock()
	h.oracle.died = time.Now()
	h.oracle.mu.Unlock()
	if err := l.e.Close(); err != nil && !l.dead.Load() {
		h.oracle.accuse("run", "Close: %v", err)
	}
	l.work.Wait()
	if err := l.inner.Close(); err != nil {
		h.oracle.accuse("store", "closing: %v", err)
	}
}

// shut ends a life as a host does that is not killed.
func (h *simHost) shut() {
	if h.life != nil {
		h.end(h.life)
		h.life, h.killBy = nil, 0
	}
}

// whenUp calls f now, or when the host is up and awake.
func (h *simHost) whenUp(f func()) {
	if h.life == nil || h.asleep > 0 || h.life.dead.Load() {
		h.pending = append(h.pending, f)
		return
	}
	f()
}

// wake does the acts that waited, and repeats requests without an answer.
func (h *simHost) wake() {
	if h.life == nil || h.asleep > 0 {
		return
	}
	unsure, pending := h.unsure, h.pending
	h.unsure, h.pending = nil, nil
	for _, n := range unsure {
		h.whenUp(func() { h.ask(n, h.request(n)) })
	}
	for _, f := range pending {
		h.whenUp(f)
	}
}
