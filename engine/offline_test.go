package engine

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestOfflineHour is promise 4: 10,000 starts wait through an hour without a network. The
// engine writes nothing, counts no attempt, makes one trial call at a time, and keeps no
// goroutine for an operation. Then the queue drains at a controlled rate.
func TestOfflineHour(t *testing.T) {
	const n = 10_000
	scenario(t, studio.Config{}, Config{Lane: func(string) LaneConfig { return LaneConfig{Rate: 100, Concurrency: 64} }}, func(b *bench) {
		b.studio.SetOffline(true)
		ids := b.startMany("studio", n)
		b.goRun()
		b.after(time.Minute) // the calls that were in flight end
		before, goroutines := b.sum(), runtime.NumGoroutine()
		trials := int(b.wire.reads.Load())
		b.after(time.Hour)
		if b.sum() != before {
			t.Error("an hour offline wrote to the file")
		}
		trials = int(b.wire.reads.Load()) - trials
		if trials < 50 || trials > 75 {
			t.Errorf("%d trial calls in an hour, want about one a minute", trials)
		}
		if goroutines > n/20 { // of the whole process, which runs other tests too
			t.Errorf("%d goroutines for %d pending operations", goroutines, n)
		}
		x := b.wantWaiting(ids[n-1], WaitOffline)
		if wait := x.Next.Sub(b.now()); wait < 0 || wait > 2*time.Minute {
			t.Errorf("the next trial call is shown in %v", wait)
		}
		s, err := b.Stats(t.Context())
		if err != nil || len(s.Lanes) != 1 || s.Lanes[0].Error != x.Error || !strings.Contains(x.Text, "the studio is offline") {
			t.Errorf("neither Explain nor Stats says why the provider cannot be reached: %q, %+v, %v", x.Text, s.Lanes, err)
		}
		for _, id := range ids {
			if op := b.op(id); op.Attempts != 0 || op.Sent != store.SentNo {
				t.Fatalf("%s: %d attempts counted, sent %v", op.Ref, op.Attempts, op.Sent)
			}
		}
		b.studio.SetOffline(false)
		back, sent := time.Now(), int(b.wire.starts.Load())
		b.Nudge()
		peak := b.peakOver(10 * time.Second)
		if n := int(b.wire.starts.Load()) - sent; n > 1200 || n < 200 {
			t.Errorf("%d starts in the 10 s after the network was back, with 100 calls a second allowed", n)
		}
		peak = max(peak, b.peakOver(2*time.Minute))
		if t.Logf("at most %d calls in one second, of 100 that are allowed", peak); peak > 200 || peak < 50 {
			t.Errorf("%d calls in one second, want up to twice the 100 that are allowed", peak)
		}
		b.all(ids)
		if took := time.Since(back); took > 10*time.Minute {
			t.Errorf("the queue took %v to drain", took)
		}
		for _, id := range ids {
			b.want(id, fsm.PhaseSucceeded, "", 1)
		}
	})
}

// peakOver lets time pass, and returns the number of calls in the busiest second.
func (b *bench) peakOver(d time.Duration) (peak int) {
	const step = 100 * time.Millisecond
	var before []int // calls so far, a step apart
	for range d / step {
		before = append(before, int(b.wire.starts.Load()+b.wire.reads.Load()))
		b.after(step)
		second := before[max(0, len(before)-int(time.Second/step))]
		peak = max(peak, int(b.wire.starts.Load()+b.wire.reads.Load())-second)
	}
	return peak
}

// TestCaptivePortal: a laptop is behind a captive portal, which answers every request. No
// operation ends by such an answer.
func TestCaptivePortal(t *testing.T) {
	var portal atomic.Bool
	portal.Store(true)
	scenario(t, studio.Config{Intercept: func(studio.Call) studio.Fault {
		if portal.Load() {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindUnreachable, HTTPStatusCode: 511}}
		}
		return studio.Fault{}
	}}, Config{Lane: fast}, func(b *bench) {
		ids := b.startMany("studio", 20)
		b.goRun()
		b.after(3 * time.Hour)
		for _, id := range ids {
			b.wantWaiting(id, WaitOffline)
		}
		portal.Store(false)
		b.after(3 * time.Minute)
		for _, id := range ids {
			b.want(id, fsm.PhaseSucceeded, "", 1)
		}
	})
}

func TestCredentialsBlockTheLane(t *testing.T) {
	var bad atomic.Bool
	cfg := studio.Config{Boot: time.Hour, Intercept: func(studio.Call) studio.Fault {
		if bad.Load() {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindCredentials, Code: "ExpiredTokenException"}}
		}
		return studio.Fault{}
	}}
	scenario(t, cfg, Config{Lane: fast, BootTimeout: 90 * time.Minute}, func(b *bench) {
		b.goRun()
		boots := b.start("boots")
		b.after(time.Minute)
		bad.Store(true)
		b.after(time.Minute)
		ids := b.startMany("studio", 50)
		b.after(10 * time.Hour) // far beyond the boot timeout, which stands still
		for _, id := range append(ids, boots) {
			b.wantWaiting(id, WaitCredentials)
			if b.op(id).Phase.Ended() {
				t.Fatal("expired credentials ended an operation")
			}
		}
		calls := int(b.wire.reads.Load() + b.wire.starts.Load())
		b.after(time.Hour)
		if n := int(b.wire.reads.Load()+b.wire.starts.Load()) - calls; n > 75 {
			t.Errorf("%d calls in an hour with credentials that are refused", n)
		}
		bad.Store(false)
		b.after(2 * time.Minute)
		b.want(boots, fsm.PhaseSucceeded, "", 1)
		b.all(ids)
		b.want(ids[0], fsm.PhaseSucceeded, "", 1)
	})
}

// TestSleepPastTheDeadline: a laptop sleeps until long past an operation's deadline. Its
// network is back a minute after it wakes, and then a read shows the session.
func TestSleepPastTheDeadline(t *testing.T) {
	scenario(t, studio.Config{Intercept: firstStart(studio.Fault{Lost: true})}, Config{}, func(b *bench) {
		b.boot.Store(1)
		b.goRun()
		b.after(decide.TrustAfter) // from here on the clock is trusted
		id := b.start("ws-1")
		b.after(time.Second)
		b.studio.SetOffline(true)
		b.after(time.Minute)
		b.slept.Store(int64(72 * time.Hour))
		b.skew.Store(int64(72 * time.Hour))
		b.after(time.Minute)
		b.studio.SetOffline(false)
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestUnobservable: a send may have happened, and the session could not be read for a day
// past the expiry.
func TestUnobservable(t *testing.T) {
	lose := func(c studio.Call) studio.Fault { return studio.Fault{Lost: c.Action == studio.Start} }
	scenario(t, studio.Config{Intercept: lose}, Config{}, func(b *bench) {
		id := b.start("ws-1", func(r *Request) { r.ExpiresAt = time.Now().Add(time.Hour) })
		b.goRun()
		b.after(time.Second)
		b.studio.SetOffline(true)
		b.after(24 * time.Hour)
		b.wantWaiting(id, WaitOffline)
		b.after(2 * time.Hour)
		b.want(id, fsm.PhaseFailed, store.ReasonUnobservable, 1)
		if n := int(b.wire.starts.Load()); n != 1 {
			t.Errorf("it was sent %d times", n)
		}
	})
}

// TestManyCallsBlockALane: calls in flight fail without an answer at the same moment. It is
// for the race detector.
func TestManyCallsBlockALane(t *testing.T) {
	scenario(t, studio.Config{Latency: time.Second}, Config{Lane: fast}, func(b *bench) {
		b.goRun()
		b.all([]ID{b.start("ws")})
		ids := b.startMany("studio", 64)
		b.after(time.Second / 4)
		b.studio.SetOffline(true)
		b.after(time.Minute)
		b.wantWaiting(ids[0], WaitOffline)
		b.studio.SetOffline(false)
		b.all(ids)
	})
}
