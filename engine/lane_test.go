package engine

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestThrottledLane: the provider allows 20 calls a second. Nothing fails, and the lane uses
// that rate.
func TestThrottledLane(t *testing.T) {
	scenario(t, studio.Config{Throttle: 20, Latency: 20 * time.Millisecond},
		Config{Lane: func(string) LaneConfig { return LaneConfig{Rate: 100, Concurrency: 64} }}, func(b *bench) {
			ids := b.startMany("studio", 2000)
			b.goRun()
			b.after(10 * time.Second)
			begin := int(b.wire.starts.Load()) + int(b.wire.reads.Load())
			done := b.succeeded()
			b.after(30 * time.Second)
			calls := int(b.wire.starts.Load()) + int(b.wire.reads.Load()) - begin
			t.Logf("%d calls in 30 s, 20 a second allowed; %d more READY", calls, b.succeeded()-done)
			if calls < 510 || calls > 660 {
				t.Errorf("%d calls in 30 s, want 85 %% to 110 %% of the 600 that are allowed", calls)
			}
			b.all(ids)
			for _, id := range ids {
				b.want(id, fsm.PhaseSucceeded, "", 1)
			}
		})
}

func (b *bench) succeeded() int {
	s, err := b.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return s.Operations[fsm.PhaseSucceeded]
}

// TestRetryAfter: a Retry-After counts for the whole lane, is stored, and counts for an hour
// at most.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		said, want time.Duration
	}{{10 * time.Minute, 10 * time.Minute}, {30 * 24 * time.Hour, time.Hour}} {
		t.Run(c.said.String(), func(t *testing.T) {
			var once atomic.Bool
			cfg := studio.Config{Intercept: func(c2 studio.Call) studio.Fault {
				if once.CompareAndSwap(false, true) {
					return studio.Fault{Err: &transport.Error{Kind: transport.KindThrottled, RetryAfter: c.said}}
				}
				return studio.Fault{}
			}}
			scenario(t, cfg, Config{}, func(b *bench) {
				id := b.start("ws-1")
				b.goRun()
				b.after(2 * time.Second)
				b.wantWaiting(id, WaitThrottled)
				b.restart()
				b.goRun()
				b.after(c.want - 5*time.Second)
				if n := int(b.wire.starts.Load()); n != 1 {
					t.Errorf("%d sends before the Retry-After", n)
				}
				b.wantWaiting(id, WaitThrottled)
				b.after(10 * time.Second)
				b.want(id, fsm.PhaseSucceeded, "", 1)
			})
		})
	}
}

// TestPauseOutlivesRestart: a pause stops sends, also after a restart. Reads go on.
func TestPauseOutlivesRestart(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Minute}, Config{}, func(b *bench) {
		b.goRun()
		boots := b.start("ws-1")
		b.after(5 * time.Second)
		if err := b.Pause(b.Context(), "studio", "ann"); err != nil {
			t.Fatal(err)
		}
		waits := b.start("ws-2")
		b.after(5 * time.Second)
		b.restart()
		b.goRun()
		b.after(2 * time.Minute)
		b.want(boots, fsm.PhaseSucceeded, "", 1)
		b.want(waits, fsm.PhaseQueued, "", 0)
		b.wantWaiting(waits, WaitPaused)
		if err := b.Resume(b.Context(), "studio", "ann"); err != nil {
			t.Fatal(err)
		}
		b.all([]ID{waits})
		b.want(waits, fsm.PhaseSucceeded, "", 1)
	})
}

// TestBatchPolls: ten calls a round read a thousand sessions that boot together.
func TestBatchPolls(t *testing.T) {
	scenario(t, studio.Config{Boot: 2 * time.Minute}, Config{Lane: fast}, func(b *bench) {
		ids := b.startMany("studio", 1000)
		b.goRun()
		b.all(ids)
		rounds := 0
		for at := time.Duration(0); at < 2*time.Minute+decide.Polls.Most; at += decide.Polls.After(at) {
			rounds++
		}
		calls := int(b.wire.reads.Load())
		t.Logf("%d calls of the transport in about %d rounds of polls", calls, rounds)
		if calls > 12*rounds {
			t.Errorf("%d calls for about %d rounds: more than 12 a round", calls, rounds)
		}
	})
}

// TestBusyLaneLeavesIdleLane: a backlog, or calls that hang, in one lane do not delay an idle
// lane.
func TestBusyLaneLeavesIdleLane(t *testing.T) {
	hang := func(c studio.Call) studio.Fault {
		if c.Ref.StudioID == "hangs" {
			return studio.Fault{Delay: time.Hour}
		}
		return studio.Fault{}
	}
	scenario(t, studio.Config{Intercept: hang}, Config{}, func(b *bench) {
		b.startMany("hangs", 2000)
		b.startMany("busy", 2000)
		b.goRun()
		b.after(20 * time.Second)
		began := time.Now()
		id := b.start("ws-1", func(r *Request) { r.StudioID = "idle" })
		b.all([]ID{id})
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("a start on an idle lane took %v", took)
		}
	})
}

// TestEndlessRate: with an infinite rate, or a rate that is no number, starts are sent, and
// the engine can be closed.
func TestEndlessRate(t *testing.T) {
	for _, most := range []float64{math.Inf(1), math.NaN(), math.MaxFloat64, math.Inf(-1)} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			scenario(t, studio.Config{}, Config{Lane: func(string) LaneConfig { return LaneConfig{Rate: most} }}, func(b *bench) {
				b.goRun()
				b.all([]ID{b.start("ws-1"), b.start("ws-2")})
			})
		})
	}
}

// lanesLate is a store that delays its answer about lanes, so that a Pause comes first.
type lanesLate struct {
	store.Store
	asked, answer chan struct{}
}

func (s *lanesLate) Lanes(ctx context.Context) ([]store.Lane, error) {
	close(s.asked)
	<-s.answer
	return s.Store.Lanes(ctx)
}

// TestResumeAsRunBegins: a Resume that comes before Run has read the lane leaves the lane's
// Retry-After as it is.
func TestResumeAsRunBegins(t *testing.T) {
	var calls atomic.Int32
	scenario(t, studio.Config{Intercept: func(studio.Call) studio.Fault {
		calls.Add(1)
		return studio.Fault{Err: &transport.Error{Kind: transport.KindThrottled, RetryAfter: 40 * time.Minute}}
	}}, Config{}, func(b *bench) {
		b.goRun()
		b.start("ws-1")
		b.after(time.Second)
		s := &lanesLate{asked: make(chan struct{}), answer: make(chan struct{})}
		b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
		b.restart()
		b.goRun()
		<-s.asked
		if err := b.Resume(b.Context(), "studio", "ann"); err != nil {
			t.Fatal(err)
		}
		close(s.answer)
		b.after(39 * time.Minute)
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls before the Retry-After, want the one that it answered", n)
		}
	})
}
