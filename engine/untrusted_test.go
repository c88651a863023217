package engine

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// Many operations that look expired or overdue, and jumps during a call.

// TestManyOverdue: a host was off for a weekend while 300 sessions booted. It reads them at
// its lane's pace, and the operations of READY sessions succeed.
func TestManyOverdue(t *testing.T) {
	cfg := studio.Config{Boot: 30 * time.Minute, Latency: 100 * time.Millisecond, Throttle: 20}
	scenario(t, cfg, Config{Lane: func(string) LaneConfig { return LaneConfig{Rate: 15} }}, func(b *bench) {
		ids := b.startMany("studio", 300)
		b.goRun()
		b.after(3 * time.Minute)
		b.end()
		b.after(72 * time.Hour)
		calls := b.wire.reads.Load()
		b.goRun()
		b.after(time.Second)
		if n := b.wire.reads.Load() - calls; n > 15 {
			t.Errorf("%d reads in the first second, with 15 a second allowed", n)
		}
		b.after(10 * time.Minute)
		for _, id := range ids {
			b.want(id, fsm.PhaseSucceeded, "", 1)
		}
	})
}

// TestUntrustedClockEndsNoBoot: a clock that is years ahead after a restart does not end
// a boot.
func TestUntrustedClockEndsNoBoot(t *testing.T) {
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

// TestAnswerBeforeTheJumpIsNoticed: a laptop sleeps while a poll is in flight. The answer
// comes before the dispatcher notices the sleep.
func TestAnswerBeforeTheJumpIsNoticed(t *testing.T) {
	scenario(t, studio.Config{Boot: 20 * time.Minute, Latency: 8 * time.Second}, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1")
		b.after(3 * time.Minute)
		for reads := b.wire.reads.Load(); b.wire.reads.Load() == reads; {
			b.after(100 * time.Millisecond)
		}
		b.skew.Store(int64(8 * time.Hour))
		b.after(20 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestLateReadsKeepTheLanesBounds: polls after a timeout keep the lane's bounds. They wait
// for a Retry-After and for a free slot.
func TestLateReadsKeepTheLanesBounds(t *testing.T) {
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
			t.Errorf("%d calls at once, want at most 1", most.Load())
		}
		throttle.Store(true)
		b.after(2 * time.Minute)
		reads := b.wire.reads.Load()
		b.after(7 * time.Minute)
		if n := b.wire.reads.Load() - reads; n > 0 {
			t.Errorf("%d reads before the Retry-After", n)
		}
	})
}

// TestOneReadForTheDate: the clock is years ahead, and 500 starts look expired. Their lane
// reads one session a second for the date, not each session.
func TestOneReadForTheDate(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.close()
		b.open(&starter{wire: &b.wire})
		ids := b.startMany("studio", 500)
		b.skew.Store(int64(5 * 365 * 24 * time.Hour))
		b.goRun()
		b.after(10 * time.Second)
		if n := b.wire.reads.Load(); n > 12 || n == 0 {
			t.Errorf("%d reads in ten seconds, want about one a second", n)
		}
		b.skew.Store(0)
		b.all(ids)
		for _, id := range ids {
			b.want(id, fsm.PhaseSucceeded, "", 1)
		}
	})
}

// TestNoSendAfterAFailedDateRead: by an untrusted clock, some starts of a batch look expired
// and others do not. The worker reads a session for the date, and the answer asks for a wait. It
// does not send the others either.
func TestNoSendAfterAFailedDateRead(t *testing.T) {
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
		b.all([]ID{b.start("first")}) // so that the lane knows the size of a batch
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
			t.Errorf("%d calls, want one: its answer asked for a wait of ten minutes", n)
		}
	})
}
