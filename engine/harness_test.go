package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/ram"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// bench is an engine on a real file and a studio, inside a synctest bubble. Scenarios are
// written with its methods.
type bench struct {
	*testing.T
	*Engine
	path   string
	studio *studio.Studio
	cfg    Config
	db     bolt.Config
	wrap   func(store.Store) store.Store // returns the store that the engine gets; nil: the file's store
	skew   atomic.Int64                  // of the wall clock, in nanoseconds; it jumps when this changes
	boot   atomic.Uint32                 // the boot of the machine; 0: it has no clocks that cannot be set
	slept  atomic.Int64                  // how long the machine has slept, in nanoseconds
	end    func()                        // ends the Run that goes on
	wire   wire
}

// wire counts the engine's calls, including those that do not reach the provider.
type wire struct {
	*studio.Studio
	starts, reads atomic.Int64
}

func (w *wire) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	w.starts.Add(1)
	return w.Studio.Start(ctx, in)
}

func (w *wire) Get(ctx context.Context, ref Ref) (transport.Session, error) {
	w.reads.Add(1)
	return w.Studio.Get(ctx, ref)
}

func (w *wire) BatchGet(ctx context.Context, refs []Ref) ([]transport.Result, error) {
	w.reads.Add(1)
	return w.Studio.BatchGet(ctx, refs)
}

// fast has no bounds that matter, for scenarios that are not about the rate.
func fast(string) LaneConfig { return LaneConfig{Concurrency: 64, Rate: 1e6} }

// scenario runs f in a bubble and checks the feed afterwards.
func scenario(t *testing.T, provider studio.Config, c Config, f func(b *bench)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, path: filepath.Join(ram.Dir(t), "rouse.db"), studio: studio.New(provider), cfg: c}
		b.wire.Studio = b.studio
		b.open(&b.wire)
		defer func() { b.close() }()
		f(b)
		b.checkFeed()
	})
}

func (b *bench) open(t transport.Transport) {
	b.Helper()
	s, err := bolt.Open(b.path, b.db)
	if err != nil {
		b.Fatal(err)
	}
	port := store.Store(s)
	if b.wrap != nil {
		port = b.wrap(port)
	}
	if b.Engine, err = New(port, t, b.cfg); err != nil {
		b.Fatal(err)
	}
	b.owned = true
	b.wall = func() time.Time { return time.Now().Add(time.Duration(b.skew.Load())) }
	b.up = b.uptime
	b.earliest = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC) // a bubble's time begins in 2000
	b.end = func() {}
}

// uptime reads the clocks of the machine, which began with the bubble.
func (b *bench) uptime() uptime.Reading {
	awake := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) + time.Hour
	if b.boot.Load() == 0 {
		return uptime.Reading{}
	}
	return uptime.Reading{Boot: b.boot.Load(), Awake: awake, Elapsed: awake + time.Duration(b.slept.Load())}
}

// runFor opens an engine for a short Run, as a timer does.
func (b *bench) runFor(t transport.Transport, d time.Duration) {
	b.Helper()
	b.close()
	b.open(t)
	b.goRun()
	b.after(d)
	b.end()
}

func (b *bench) close() {
	b.Helper()
	b.end()
	if err := b.Close(); err != nil {
		b.Errorf("Close: %v", err)
	}
}

// restart closes the engine and opens the file again, with nothing running.
func (b *bench) restart() {
	b.Helper()
	b.close()
	b.open(&b.wire)
}

// goRun begins a Run.
func (b *bench) goRun() {
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- b.Engine.Run(ctx) }()
	synctest.Wait()
	b.end = func() {
		stop()
		if err := <-done; err != nil {
			b.Errorf("Run: %v", err)
		}
		b.end = func() {}
	}
}

// start creates a STOPPED session and requests a start of it.
func (b *bench) start(session string, set ...func(*Request)) ID {
	b.Helper()
	r := Request{Ref: Ref{StudioID: "studio", SessionID: session}}
	for _, s := range set {
		s(&r)
	}
	b.studio.Add(r.StudioID, r.SessionID)
	got, err := b.Start(b.Context(), r)
	if err != nil {
		b.Fatal(err)
	}
	return got.Operation.ID
}

// startMany requests starts of n sessions of a studio, thousands in a commit.
func (b *bench) startMany(studioID string, n int) []ID {
	b.Helper()
	rs := make([]Request, n)
	for i := range rs {
		rs[i].Ref = Ref{StudioID: studioID, SessionID: fmt.Sprintf("ws-%d", i)}
		b.studio.Add(studioID, rs[i].SessionID)
	}
	got, err := b.StartAll(b.Context(), rs)
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]ID, n)
	for i, r := range got {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
		ids[i] = r.Operation.ID
	}
	return ids
}

func (b *bench) op(id ID) Operation {
	b.Helper()
	op, err := b.Get(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	return op
}

// after sleeps for d of fake time, and waits until the engine is idle again.
func (b *bench) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// want checks an operation, and how often its session was started.
func (b *bench) want(id ID, phase fsm.Phase, reason store.Reason, effects int) {
	b.Helper()
	op := b.op(id)
	if op.Phase != phase || op.EndReason != reason {
		b.Errorf("%s: %s %q (%s), want %s %q", op.Ref, op.Phase, op.EndReason, op.LastError, phase, reason)
	}
	if n := b.studio.Effects(op.Ref); n != effects {
		b.Errorf("%s was started %d times, want %d", op.Ref, n, effects)
	}
}

// wantWaiting checks the reason that Explain returns.
func (b *bench) wantWaiting(id ID, why WaitReason) Explanation {
	b.Helper()
	x, err := b.Explain(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	if x.Waiting != why {
		b.Errorf("%s waits for %q (%s), want %q", x.Operation.Ref, x.Waiting, x.Text, why)
	}
	if why != "" && (x.Unblock == "" || x.Since.IsZero()) {
		b.Errorf("%s: an explanation without Unblock or Since: %+v", x.Operation.Ref, x)
	}
	return x
}

// all waits for the ends of operations, for a simulated day at most.
func (b *bench) all(ids []ID) {
	b.Helper()
	ctx, stop := context.WithTimeout(b.Context(), 24*time.Hour)
	defer stop()
	for _, id := range ids {
		var end *EndError
		if _, err := b.Wait(ctx, id); err != nil && !errors.As(err, &end) {
			b.Fatalf("%s: %v: %s", id, err, b.wantWaiting(id, "").Text)
		}
	}
}

// sum returns the checksum of the file. It is the same if nothing was written.
func (b *bench) sum() [sha256.Size]byte {
	b.Helper()
	data, err := os.ReadFile(b.path)
	if err != nil {
		b.Fatal(err)
	}
	return sha256.Sum256(data)
}

// checkFeed checks promise 3 after each scenario. The feed is dense, each step is in the
// table of phases, each operation ends at most once, and feed and records agree.
func (b *bench) checkFeed() {
	b.Helper()
	phase := map[ID]fsm.Phase{}
	next := uint64(1)
	for ev, err := range b.Events(b.Context(), "") {
		if err != nil {
			b.Fatal(err)
		}
		if ev.Seq != next {
			b.Fatalf("event %d follows %d", ev.Seq, next-1)
		}
		next++
		was := phase[ev.Operation]
		if ev.From != was && ev.From != ev.To {
			b.Errorf("event %d: %s from %s, but it was %s", ev.Seq, ev.Operation, ev.From, was)
		}
		if ev.From == ev.To && ev.To != was {
			b.Errorf("event %d: a fact of %s says %s, but it was %s", ev.Seq, ev.Operation, ev.To, was)
		}
		if was != "" && (was.Ended() && ev.To != was || fsm.Advance(was, ev.To) != nil) {
			b.Errorf("event %d: %s went from %s to %s", ev.Seq, ev.Operation, was, ev.To)
		}
		phase[ev.Operation] = ev.To
	}
	for op, err := range b.List(b.Context(), Filter{}) {
		if err != nil {
			b.Fatal(err)
		}
		if op.Phase != phase[op.ID] {
			b.Errorf("%s is %s, but the feed says %s", op.ID, op.Phase, phase[op.ID])
		}
	}
}
