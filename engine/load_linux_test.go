package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
)

// load is the load: a number of starts a second with a number of operations in flight. A
// boot of inFlight/asked seconds keeps that many in flight.
type load struct {
	time            time.Duration
	asked, least    int // starts a second: asked for, and acknowledged in each window
	inFlight        int
	events          int           // events that the feed keeps
	window, settled time.Duration // settled: from then on every measure must be flat
}

// TestLoad sustains a load for a minute (ROUSE_TEST=ci), ten minutes (long) or three
// seconds, which prove little. It needs the machine for itself:
//
//	ROUSE_TEST=ci go test -run '^TestLoad$' -v ./engine
//
// It fails if the rate was not sustained, or if memory, goroutines, descriptors or the
// file grow. It also fails if a slow follower stops others or misses an event without an
// error.
func TestLoad(t *testing.T) {
	l := load{asked: 210, least: 200, inFlight: 10_500, events: 20_000, window: 10 * time.Second}
	l.time = time.Duration(scale.Of(t, 3, 60, 600)) * time.Second
	l.settled = l.time / 3
	if l.time < l.window { // a short run, next to other tests
		t.Parallel()
		l.inFlight, l.least, l.window = 1000, 0, l.time
	}
	d := newLoadWorld(t, l)
	d.fill()
	readers := d.read()
	samples := d.hold()
	readers.finish(t)
	d.check(samples)
}

// loadWorld is the engine under load and its provider.
type loadWorld struct {
	t        *testing.T
	load     load
	engine   *engine.Engine
	provider *loadProvider
	asked    int          // the sessions so far
	under    atomic.Int32 // starts under way

	mu    sync.Mutex // guards waits
	waits []loadWait
}

// loadWait is a start: when it was due, from the beginning, and how long after that it was
// acknowledged.
type loadWait struct{ due, took time.Duration }

func newLoadWorld(t *testing.T, l load) *loadWorld {
	d := &loadWorld{t: t, load: l, provider: newLoadProvider(time.Duration(l.inFlight) * time.Second / time.Duration(l.asked))}
	e, err := engine.Open(filepath.Join(t.TempDir(), "rouse.db"), d.provider, engine.Config{
		Keep: 5 * time.Second, KeepEvents: l.events,
		Lane: func(string) engine.LaneConfig { return engine.LaneConfig{Rate: 500, Concurrency: 32} },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.engine = e
	ran := make(chan error, 1)
	go func() { ran <- e.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := errors.Join(e.Close(), <-ran); err != nil {
			t.Error(err)
		}
	})
	return d
}

// request returns a request for the next session. There are twice as many sessions as
// operations in flight, so a session is started again long after it was READY.
func (d *loadWorld) request() engine.Request {
	n := d.asked % (2 * d.load.inFlight)
	d.asked++
	return engine.Request{Ref: engine.Ref{StudioID: "studio-" + strconv.Itoa(n%20), SessionID: "ws-" + strconv.Itoa(n)}}
}

// fill starts the operations in flight. They begin to end when the load begins.
func (d *loadWorld) fill() {
	d.t.Helper()
	rs := make([]engine.Request, d.load.inFlight)
	for i := range rs {
		rs[i] = d.request()
	}
	if _, err := d.engine.StartAll(d.t.Context(), rs); err != nil {
		d.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); d.stats().Operations[fsm.PhaseStarting] < d.load.inFlight; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("%d operations were not started within a minute: %v", d.load.inFlight, d.stats().Operations)
		}
	}
	if _, err := d.engine.Prune(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	d.provider.begin()
}

func (d *loadWorld) stats() engine.Stats {
	s, err := d.engine.Stats(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// loadSample is one measurement. There is one each second.
type loadSample struct {
	at                      time.Duration
	active                  int
	memory, file, live      int64 // bytes; live: in use of the file
	goroutines, descriptors int
}

// hold requests at the rate, whatever the answers are, and measures.
func (d *loadWorld) hold() (samples []loadSample) {
	d.t.Helper()
	began := time.Now()
	var calls sync.WaitGroup
	defer calls.Wait()
	next := time.Second
	for n := 0; ; n++ {
		due := time.Duration(n) * time.Second / time.Duration(d.load.asked)
		if due >= d.load.time {
			break
		}
		time.Sleep(due - time.Since(began))
		r := d.request()
		d.under.Add(1)
		calls.Go(func() {
			defer d.under.Add(-1)
			_, err := d.engine.Start(d.t.Context(), r)
			if err != nil {
				d.t.Errorf("start: %v", err)
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.waits = append(d.waits, loadWait{due, time.Since(began) - due})
		})
		if due >= next {
			next += time.Second
			calls.Go(func() {
				if _, err := d.engine.Prune(d.t.Context()); err != nil {
					d.t.Errorf("prune: %v", err)
				}
			})
			samples = append(samples, d.sample(due))
		}
	}
	return samples
}

func (d *loadWorld) sample(at time.Duration) loadSample {
	s := d.stats()
	out := loadSample{
		at: at, active: s.Operations[fsm.PhaseQueued] + s.Operations[fsm.PhaseStarting],
		file: s.Bytes, live: s.Bytes - s.FreeBytes,
		goroutines: runtime.NumGoroutine() - int(d.under.Load()) - s.InFlight,
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		d.t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		d.t.Fatal(err)
	}
	out.memory = pages * int64(os.Getpagesize())
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		d.t.Fatal(err)
	}
	out.descriptors = len(fds)
	return out
}

// check fails the test if the load was not sustained, or a measure grew under it.
func (d *loadWorld) check(samples []loadSample) {
	d.t.Helper()
	d.rate()
	if d.load.least == 0 {
		return // three seconds show no growth
	}
	var early, late []loadSample // after the start, a flat measure is the same in both
	for _, s := range samples {
		if s.active < 10_000 {
			d.t.Errorf("after %v %d operations are in flight, want 10,000", s.at, s.active)
		}
		if s.memory > 256<<20 || s.file > 3*s.live {
			d.t.Errorf("after %v: %d MiB of memory, want 256 at most; a file of %d bytes with %d in use, want thrice that at most",
				s.at, s.memory>>20, s.file, s.live)
		}
		switch {
		case s.at < d.load.settled:
		case s.at < 2*d.load.settled:
			early = append(early, s)
		default:
			late = append(late, s)
		}
	}
	for _, m := range []struct {
		name  string
		of    func(loadSample) int64
		slack int64 // in addition to a tenth
	}{
		{"bytes of memory", func(s loadSample) int64 { return s.memory }, 8 << 20},
		{"bytes of file", func(s loadSample) int64 { return s.file }, 4 << 20}, // it grows in steps of this size
		{"goroutines", func(s loadSample) int64 { return int64(s.goroutines) }, 20},
		{"descriptors", func(s loadSample) int64 { return int64(s.descriptors) }, 3},
	} {
		was, is := mean(early, m.of), mean(late, m.of)
		d.t.Logf("%12d and then %12d %s (means of the second and the last third)", was, is, m.name)
		if is > was+was/10+m.slack {
			d.t.Errorf("%s grow: %d and then %d", m.name, was, is)
		}
	}
}

// rate fails the test if fewer starts than required were acknowledged in a window.
func (d *loadWorld) rate() {
	d.t.Helper()
	windows := make([]int, d.load.time/d.load.window)
	var took []time.Duration
	for _, w := range d.waits {
		took = append(took, w.took)
		if i := int((w.due + w.took) / d.load.window); i < len(windows) {
			windows[i]++
		}
	}
	slices.Sort(took)
	d.t.Logf("%d starts in %v, in each %v: %v; acknowledged in %v (median), %v (99 %%), %v at most", len(took), d.load.time,
		d.load.window, windows, took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	for i, n := range windows {
		if seconds := int(d.load.window / time.Second); n < d.load.least*seconds {
			d.t.Errorf("the rate was not sustained: %d starts were acknowledged in window %d, want %d a second", n, i, d.load.least)
		}
	}
}

func mean(samples []loadSample, of func(loadSample) int64) (sum int64) {
	for _, s := range samples {
		sum += of(s)
	}
	return sum / int64(max(1, len(samples)))
}

// loadReaders follow the feed from the beginning of the load. Most read as fast as they
// can, some pause, and some are so slow that they fall behind.
type loadReaders struct {
	world *loadWorld
	all   []*loadReader
	stop  context.CancelFunc
	work  sync.WaitGroup
	hurry chan struct{} // closed: no reader is slow any more
}

type loadReader struct {
	name  string
	seq   atomic.Uint64 // the last event that it saw
	gaps  int           // how often an error said that events are gone
	pause func(seen int) time.Duration
}

func (d *loadWorld) read() *loadReaders {
	rs := &loadReaders{world: d, hurry: make(chan struct{})}
	var ctx context.Context
	ctx, rs.stop = context.WithCancel(context.Background())
	d.t.Cleanup(func() { rs.stop(); rs.work.Wait() })
	var head engine.Event
	for ev, err := range d.engine.Events(ctx, "") {
		if err != nil {
			d.t.Fatal(err)
		}
		head = ev
	}
	for n := range 20 {
		r := &loadReader{name: "fast", pause: func(int) time.Duration { return 0 }}
		switch {
		case n < 2:
			r.name, r.pause = "crawling", func(int) time.Duration { return 5 * time.Millisecond }
		case n < 4:
			r.name, r.pause = "stalling", func(seen int) time.Duration { return time.Duration(seen%3000/2999) * 3 * time.Second }
		}
		r.seq.Store(head.Seq)
		rs.all = append(rs.all, r)
		rs.work.Go(func() { rs.follow(ctx, r, head.Cursor) })
	}
	return rs
}

// follow is a reader. When an error says that its events are gone, it goes on with the
// first that is left.
func (rs *loadReaders) follow(ctx context.Context, r *loadReader, after engine.Cursor) {
	gap := false
	for ctx.Err() == nil {
		for ev, err := range rs.world.engine.Follow(ctx, after) {
			var pruned *store.CursorError
			if errors.As(err, &pruned) && pruned.Pruned {
				r.gaps++
				after, gap = "", true
				break
			}
			if err != nil {
				rs.world.t.Errorf("a %s reader: %v", r.name, err)
				return
			}
			if seq := r.seq.Load() + 1; ev.Seq != seq && !gap || ev.Seq < seq {
				rs.world.t.Errorf("a %s reader got event %d after %d", r.name, ev.Seq, seq-1)
			}
			after, gap = ev.Cursor, false
			r.seq.Store(ev.Seq)
			if p := r.pause(int(ev.Seq)); p > 0 {
				select {
				case <-time.After(p):
				case <-rs.hurry:
				}
			}
		}
	}
}

// finish lets slow readers hurry, and checks that all reach the head.
func (rs *loadReaders) finish(t *testing.T) {
	t.Helper()
	lag, head := map[string]uint64{}, rs.world.stats().Head
	for _, r := range rs.all {
		lag[r.name] = max(lag[r.name], head-min(head, r.seq.Load()))
	}
	t.Logf("the feed is at %d; behind are at most %v", head, lag)
	if most := uint64(10 * rs.world.load.asked); lag["fast"] > most {
		t.Errorf("readers that are fast are behind: %d events", lag["fast"])
	}
	close(rs.hurry)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := 0
		for _, r := range rs.all {
			if r.seq.Load() < head {
				left++
			}
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d readers do not arrive at event %d", left, head)
		}
	}
	rs.stop()
	rs.work.Wait()
	for _, r := range rs.all {
		if r.gaps > 0 && r.name != "crawling" {
			t.Errorf("a %s reader got %d errors that events were gone", r.name, r.gaps)
		}
	}
}
