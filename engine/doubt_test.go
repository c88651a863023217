package engine

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// What once led astray: each test failed before it was mended.

// TestManyOverdue: a host that was off for a weekend with 300 sessions booting
// looks at them at its lane's pace, and does not give up those that run.
func TestManyOverdue(t *testing.T) {
	cfg := studio.Config{Boot: 30 * time.Minute, Latency: 100 * time.Millisecond, Throttle: 20}
	scenario(t, cfg, Config{Lane: func(string) LaneConfig { return LaneConfig{Rate: 15} }}, func(b *bench) {
		ids := b.startMany("studio", 300)
		b.goRun()
		b.after(3 * time.Minute)
		b.end()
		b.after(72 * time.Hour)
		calls := b.wire.looks.Load()
		b.goRun()
		b.after(time.Second)
		if n := b.wire.looks.Load() - calls; n > 15 {
			t.Errorf("%d looks in the first second, with 15 a second allowed", n)
		}
		b.after(10 * time.Minute)
		for _, id := range ids {
			b.want(id, fsm.PhaseSucceeded, "", 1)
		}
	})
}

// TestDoubtHoldsWhatWasPerhapsSent: at boot the clock is years ahead. A look
// shows that the send came to nothing: it is not expired by that clock, but sent
// again when the clock is right.
func TestDoubtHoldsWhatWasPerhapsSent(t *testing.T) {
	scenario(t, studio.Config{Intercept: firstStart(studio.Fault{Err: &transport.Error{Kind: transport.KindUnknown}})}, Config{}, func(b *bench) {
		b.goRun()
		b.all([]ID{b.start("ws-0")}) // so that the provider's clock is known when the other is sent
		id := b.start("ws-1")
		b.after(2 * time.Second)
		b.restart()
		b.skew.Store(int64(5 * 365 * 24 * time.Hour))
		b.goRun()
		b.after(5 * time.Minute)
		b.want(id, fsm.PhaseQueued, "", 0)
		b.wantWaiting(id, WaitUntrustedClock)
		b.skew.Store(0)
		b.after(10 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestDoubtHoldsWhatBoots: nor is a session that boots given up by such a clock.
func TestDoubtHoldsWhatBoots(t *testing.T) {
	scenario(t, studio.Config{Boot: 15 * time.Minute}, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1")
		b.after(2 * time.Minute)
		b.restart()
		b.skew.Store(int64(5 * 365 * 24 * time.Hour))
		b.goRun()
		b.after(5 * time.Minute)
		b.want(id, fsm.PhaseStarting, "", 1)
		b.skew.Store(0)
		b.after(15 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestAnswerBeforeTheJumpIsSeen: the laptop sleeps while a poll is in flight,
// and its answer comes before the dispatcher has noticed that it slept.
func TestAnswerBeforeTheJumpIsSeen(t *testing.T) {
	scenario(t, studio.Config{Boot: 20 * time.Minute, Latency: 8 * time.Second}, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1")
		b.after(3 * time.Minute)
		for looks := b.wire.looks.Load(); b.wire.looks.Load() == looks; {
			b.after(100 * time.Millisecond)
		}
		b.skew.Store(int64(8 * time.Hour))
		b.after(20 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestLateLooksKeepTheLanesBounds: who looks for READY after the end does so as
// the lane lets: no sooner than a Retry-After, and not beside too many others.
func TestLateLooksKeepTheLanesBounds(t *testing.T) {
	var throttle atomic.Bool
	var at, most atomic.Int64
	cfg := studio.Config{Boot: 100 * time.Hour, Latency: 10 * time.Second, Intercept: func(c studio.Call) studio.Fault {
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.AfterFunc(10*time.Second-time.Millisecond, func() { at.Add(-1) })
		if throttle.Load() {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindThrottled, RetryAfter: 10 * time.Minute}}
		}
		return studio.Fault{}
	}}
	scenario(t, cfg, Config{Lane: func(string) LaneConfig { return LaneConfig{Concurrency: 1} }}, func(b *bench) {
		b.goRun()
		b.all(b.startMany("studio", 3))
		b.after(10 * time.Minute)
		if most.Load() > 1 {
			t.Errorf("%d calls at once, and one is allowed", most.Load())
		}
		throttle.Store(true)
		b.after(2 * time.Minute)
		looks := b.wire.looks.Load()
		b.after(7 * time.Minute)
		if n := b.wire.looks.Load() - looks; n > 0 {
			t.Errorf("%d looks before the provider's time", n)
		}
	})
}

// TestDoubtIsAskedAboutOnce: the clock is years ahead, and 500 starts look
// expired. Their lane asks for the date now and then, and not once for each.
func TestDoubtIsAskedAboutOnce(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.close()
		b.open(&starter{wire: &b.wire})
		ids := b.startMany("studio", 500)
		b.skew.Store(int64(5 * 365 * 24 * time.Hour))
		b.goRun()
		b.after(10 * time.Second)
		if n := b.wire.looks.Load(); n > 12 || n == 0 {
			t.Errorf("%d looks in ten seconds, want about one a second", n)
		}
		b.skew.Store(0)
		b.all(ids)
		for _, id := range ids {
			b.want(id, fsm.PhaseSucceeded, "", 1)
		}
	})
}

// TestNoSendBehindAFailedQuestion: by a clock in doubt some of a call's starts
// look expired and others do not. Who asks for the provider's date and learns
// that nobody is there does not send the others all the same.
func TestNoSendBehindAFailedQuestion(t *testing.T) {
	var busy atomic.Bool
	var calls atomic.Int64
	cfg := studio.Config{Intercept: func(studio.Call) studio.Fault {
		if !busy.Load() {
			return studio.Fault{}
		}
		calls.Add(1)
		return studio.Fault{Err: &transport.Error{Kind: transport.KindThrottled, RetryAfter: 10 * time.Minute}}
	}}
	scenario(t, cfg, Config{}, func(b *bench) {
		b.close()
		b.open(&starter{wire: &b.wire})
		b.goRun()
		b.all([]ID{b.start("first")}) // so that it is known how many go by one call
		if err := b.Pause(b.Context(), "studio", "ann"); err != nil {
			t.Fatal(err)
		}
		b.startMany("studio", 5)
		b.start("long", func(r *Request) { r.ExpiresAt = b.now().Add(72 * time.Hour) })
		b.skew.Store(int64(48 * time.Hour))
		b.after(time.Minute)
		busy.Store(true)
		if err := b.Resume(b.Context(), "studio", "ann"); err != nil {
			t.Fatal(err)
		}
		b.after(time.Minute)
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls, and the first was told to wait ten minutes", n)
		}
	})
}
