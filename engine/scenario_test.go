package engine

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

func TestStartToReady(t *testing.T) {
	scenario(t, studio.Config{Boot: 90 * time.Second}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.wantWaiting(id, NotRunning)
		b.after(time.Hour)
		b.want(id, fsm.Queued, "", 0)
		b.goRun()
		b.after(time.Second)
		b.want(id, fsm.Starting, "", 1)
		b.wantWaiting(id, Booting)
		b.all([]ID{id})
		b.want(id, fsm.Succeeded, "", 1)
		op := b.op(id)
		if lag := op.FinishedAt.Sub(op.AcceptedAt) - 90*time.Second; lag < 0 || lag > poll.most*11/10 {
			t.Errorf("READY was noticed %v after it was so", lag)
		}
		b.wantWaiting(id, "")
	})
}

// TestOfflineHour is promise 4: 10,000 starts wait through an hour without a
// network. Nothing is written, nothing is charged, one probe at a time goes out,
// nothing is kept for each; then the queue drains at a controlled rate.
func TestOfflineHour(t *testing.T) {
	const n = 10_000
	scenario(t, studio.Config{}, Config{Lane: func(string) LaneConfig { return LaneConfig{Rate: 100, Concurrency: 64} }}, func(b *bench) {
		b.studio.SetOffline(true)
		ids := b.startMany("studio", n)
		b.goRun()
		b.after(time.Minute) // the calls in flight when it went
		before, goroutines := b.sum(), runtime.NumGoroutine()
		probes := int(b.wire.looks.Load())
		b.after(time.Hour)
		if b.sum() != before {
			t.Error("an hour offline wrote to the file")
		}
		probes = int(b.wire.looks.Load()) - probes
		if probes < 50 || probes > 75 {
			t.Errorf("%d probes in an hour, want about one a minute", probes)
		}
		if goroutines > n/20 { // of the whole process, which runs other tests too
			t.Errorf("%d goroutines for %d pending operations", goroutines, n)
		}
		x := b.wantWaiting(ids[n-1], Offline)
		if wait := x.Next.Sub(b.now()); wait < 0 || wait > 2*time.Minute {
			t.Errorf("the next probe is said to be in %v", wait)
		}
		for _, id := range ids {
			if op := b.op(id); op.Attempts != 0 || op.Sent != store.SentNo {
				t.Fatalf("%s: %d attempts charged, sent %v", op.Ref, op.Attempts, op.Sent)
			}
		}
		b.studio.SetOffline(false)
		back, sent := time.Now(), int(b.wire.starts.Load())
		b.Nudge()
		b.after(10 * time.Second)
		if n := int(b.wire.starts.Load()) - sent; n > 1200 || n < 200 {
			t.Errorf("%d starts in the 10 s after the network was back, with 100 calls a second allowed", n)
		}
		b.all(ids)
		if took := time.Since(back); took > 10*time.Minute {
			t.Errorf("the queue took %v to drain", took)
		}
		for _, id := range ids {
			b.want(id, fsm.Succeeded, "", 1)
		}
	})
}

// TestLostAnswers: one in three answers is lost, and still each session is
// started once.
func TestLostAnswers(t *testing.T) {
	var calls atomic.Int64
	third := func(c studio.Call) studio.Fault {
		switch n := calls.Add(1); {
		case n%6 == 0:
			return studio.Fault{Lost: true} // the effect, if any, has happened
		case n%6 == 3:
			return studio.Fault{Err: &transport.Error{Kind: transport.Unknown}} // it has not
		}
		return studio.Fault{}
	}
	scenario(t, studio.Config{Boot: 20 * time.Second, Intercept: third}, Config{Lane: fast}, func(b *bench) {
		ids := b.startMany("studio", 500)
		b.goRun()
		b.all(ids)
		for _, id := range ids {
			b.want(id, fsm.Succeeded, "", 1)
		}
		if calls := int(b.wire.starts.Load()); calls < 510 {
			t.Errorf("%d starts for 500 sessions: no request was lost, so this shows nothing", calls)
		}
	})
}

// TestStoppedBeforeTheLook: the start took effect, its answer was lost, and the
// artist stopped the session by hand before the engine could look.
func TestStoppedBeforeTheLook(t *testing.T) {
	lose := func(c studio.Call) studio.Fault { return studio.Fault{Lost: c.Action == studio.Start && c.Nth == 1} }
	scenario(t, studio.Config{Intercept: lose}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(2 * time.Second)
		b.wantWaiting(id, Backoff)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		b.all([]ID{id})
		b.want(id, fsm.Failed, store.ReturnedToStopped, 1)
	})
}

func TestCancel(t *testing.T) {
	var lose atomic.Bool
	cfg := studio.Config{Boot: time.Minute, Intercept: func(c studio.Call) studio.Fault {
		return studio.Fault{Lost: c.Action == studio.Start && lose.Load()}
	}}
	cancel := func(b *bench, id ID, want Cancellation) {
		b.Helper()
		if got, err := b.Cancel(b.Context(), id, "ann"); got != want || err != nil {
			b.Errorf("Cancel = %v, %v; want %v", got, err, want)
		}
	}
	scenario(t, cfg, Config{}, func(b *bench) {
		never := b.start("never")
		cancel(b, never, NeverSent)
		cancel(b, never, AlreadyEnded)

		b.goRun()
		accepted := b.start("accepted")
		b.after(time.Second)
		cancel(b, accepted, Accepted)

		lose.Store(true)
		perhaps := b.start("perhaps") // it took effect
		refused := b.start("refused") // it did not
		b.studio.Put(transport.Session{Ref: b.op(refused).Ref, State: fsm.Stopped})
		b.after(2 * time.Second)
		cancel(b, perhaps, PerhapsSent)
		cancel(b, perhaps, PerhapsSent)
		lose.Store(false)
		b.all([]ID{never, accepted, perhaps, refused})
		b.want(never, fsm.Canceled, store.Withdrawn, 0)
		b.want(accepted, fsm.Succeeded, "", 1)
		b.want(perhaps, fsm.Succeeded, "", 1)
		var by string
		for ev := range b.Events(b.Context(), "") {
			if ev.Operation == never && ev.To == fsm.Canceled {
				by = ev.By
			}
		}
		if by != "ann" {
			t.Errorf("the event says that %q canceled, want ann", by)
		}
	})
}

// TestCancelPerhapsSentEndsCanceled: the send never arrived.
func TestCancelPerhapsSentEndsCanceled(t *testing.T) {
	lost := studio.Fault{Err: &transport.Error{Kind: transport.Unknown}}
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start {
			return lost
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(2 * time.Second)
		if got, err := b.Cancel(b.Context(), id, ""); got != PerhapsSent || err != nil {
			t.Errorf("Cancel = %v, %v", got, err)
		}
		b.all([]ID{id})
		b.want(id, fsm.Canceled, store.Withdrawn, 0)
		if n := int(b.wire.starts.Load()); n != 1 {
			t.Errorf("it was sent %d times, once after it was canceled", n)
		}
	})
}

func TestExpiry(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.studio.SetOffline(true)
		id := b.start("ws-1", func(r *Request) { r.ExpiresAt = time.Now().Add(time.Hour) })
		paused := b.start("ws-2", func(r *Request) {
			r.StudioID = "other"
			r.NotBefore = time.Now().Add(time.Hour)
			r.ExpiresAt = time.Now().Add(2 * time.Hour)
		})
		if err := b.Pause(b.Context(), "other", "ann"); err != nil {
			t.Fatal(err)
		}
		b.goRun()
		b.after(59 * time.Minute)
		b.want(id, fsm.Queued, "", 0)
		b.wantWaiting(paused, Scheduled)
		b.after(2 * time.Minute)
		b.want(id, fsm.Expired, store.TooLate, 0)
		b.wantWaiting(paused, Paused)
		b.after(time.Hour)
		b.want(paused, fsm.Expired, store.TooLate, 0)
		b.studio.SetOffline(false)
		b.after(time.Hour)
		b.want(id, fsm.Expired, store.TooLate, 0)
		if int(b.wire.starts.Load()) > 1 { // the one that found the network gone
			t.Error("an expired start was sent")
		}
	})
}

// TestClockInDoubt: after Run begins, what looks expired is held until a
// provider's date confirms the clock, or ten minutes have passed.
func TestClockInDoubt(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		b.skew.Store(int64(30 * 24 * time.Hour)) // at boot the clock is a month ahead
		b.goRun()
		b.after(5 * time.Minute)
		b.wantWaiting(id, ClockHeld)
		b.want(id, fsm.Queued, "", 0)
		b.skew.Store(int64(0)) // the time service sets it right
		b.studio.SetOffline(false)
		b.all([]ID{id})
		b.want(id, fsm.Succeeded, "", 1)
	})
}

func TestClockBelievedAfterTenMinutes(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		b.after(25 * time.Hour)
		b.goRun()
		b.after(9 * time.Minute)
		b.want(id, fsm.Queued, "", 0)
		b.after(2 * time.Minute)
		b.want(id, fsm.Expired, store.TooLate, 0)
	})
}

// TestSleep: the laptop sleeps through a boot and an hour offline: timers stood
// still, the wall clock did not.
func TestSleep(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.goRun()
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		scheduled := b.start("ws-2", func(r *Request) { r.StudioID = "other"; r.NotBefore = time.Now().Add(8 * time.Hour) })
		b.after(10 * time.Minute) // probes are a minute apart by now
		b.studio.SetOffline(false)
		b.skew.Store(int64(8 * time.Hour))
		b.after(longestNap + 3*time.Second)
		b.want(id, fsm.Succeeded, "", 1)
		b.want(scheduled, fsm.Succeeded, "", 1)
	})
}

// TestClockSetBack: due times that lie far ahead by a wrong clock are pulled
// in, a not-before is not.
func TestClockSetBack(t *testing.T) {
	scenario(t, studio.Config{Quota: 1}, Config{}, func(b *bench) {
		b.skew.Store(int64(365 * 24 * time.Hour))
		b.goRun()
		first := b.start("ws-1")
		b.all([]ID{first})
		waits := b.start("ws-2")
		later := b.start("ws-3", func(r *Request) { r.NotBefore = b.now().Add(time.Hour) })
		b.after(2 * time.Second)
		b.wantWaiting(waits, Quota)
		b.skew.Store(int64(0))
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(first).Ref, ClientToken: "x"}); err != nil {
			t.Fatal(err)
		}
		b.after(time.Hour)
		b.want(waits, fsm.Succeeded, "", 1)
		b.want(later, fsm.Queued, "", 0)
	})
}

func TestQuotaAndCapacityWait(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  studio.Config
		why  Waiting
	}{{"quota", studio.Config{Quota: 1}, Quota}, {"capacity", studio.Config{Capacity: 1}, Capacity}} {
		t.Run(c.name, func(t *testing.T) {
			scenario(t, c.cfg, Config{}, func(b *bench) {
				b.goRun()
				first := b.start("ws-1")
				b.all([]ID{first})
				second := b.start("ws-2")
				b.after(3 * time.Hour)
				b.wantWaiting(second, c.why)
				if n := int(b.wire.starts.Load()); n > 25 {
					t.Errorf("%d sends in three hours: that is no long wait", n)
				}
				if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(first).Ref, ClientToken: "x"}); err != nil {
					t.Fatal(err)
				}
				if err := b.RetryNow(b.Context(), second); err != nil {
					t.Fatal(err)
				}
				b.after(3 * time.Second)
				b.want(second, fsm.Succeeded, "", 1)
			})
		})
	}
}

// TestStoredBackoff: a restart goes on with the interval that was reached.
func TestStoredBackoff(t *testing.T) {
	scenario(t, studio.Config{Quota: 1}, Config{}, func(b *bench) {
		b.goRun()
		b.all([]ID{b.start("ws-1")})
		id := b.start("ws-2")
		b.after(10 * time.Minute)
		op := b.op(id)
		if op.Interval < 4*time.Minute {
			t.Fatalf("the interval is %v after 20 minutes", op.Interval)
		}
		b.restart()
		b.goRun()
		b.after(time.Second)
		if again := b.op(id); again.Interval != op.Interval || !again.DueAt.Equal(op.DueAt) || again.Attempts != op.Attempts {
			t.Errorf("a restart changed it: %v due %v, was %v due %v", again.Interval, again.DueAt, op.Interval, op.DueAt)
		}
		b.after(op.Interval + op.Interval/2)
		if again := b.op(id); again.Interval <= op.Interval {
			t.Errorf("the interval does not grow on: %v after %v", again.Interval, op.Interval)
		}
	})
}

func TestCredentialsHoldTheLane(t *testing.T) {
	var bad atomic.Bool
	cfg := studio.Config{Boot: time.Hour, Intercept: func(studio.Call) studio.Fault {
		if bad.Load() {
			return studio.Fault{Err: &transport.Error{Kind: transport.Credentials, Code: "ExpiredTokenException"}}
		}
		return studio.Fault{}
	}}
	scenario(t, cfg, Config{Lane: fast, Budget: 90 * time.Minute}, func(b *bench) {
		b.goRun()
		boots := b.start("boots")
		b.after(time.Minute)
		bad.Store(true)
		b.after(time.Minute)
		ids := b.startMany("studio", 50)
		b.after(10 * time.Hour) // far beyond the budget, which stands still
		for _, id := range append(ids, boots) {
			b.wantWaiting(id, Credentials)
			if b.op(id).Phase.Ended() {
				t.Fatal("expired credentials ended an operation")
			}
		}
		calls := int(b.wire.looks.Load() + b.wire.starts.Load())
		b.after(time.Hour)
		if n := int(b.wire.looks.Load()+b.wire.starts.Load()) - calls; n > 75 {
			t.Errorf("%d calls in an hour with credentials that are refused", n)
		}
		bad.Store(false)
		b.after(2 * time.Minute)
		b.want(boots, fsm.Succeeded, "", 1)
		b.all(ids)
		b.want(ids[0], fsm.Succeeded, "", 1)
	})
}

// TestThrottledLane: the provider allows 20 calls a second; nothing fails, and
// its rate is used.
func TestThrottledLane(t *testing.T) {
	scenario(t, studio.Config{Throttle: 20, Latency: 20 * time.Millisecond},
		Config{Lane: func(string) LaneConfig { return LaneConfig{Rate: 100, Concurrency: 64} }}, func(b *bench) {
			ids := b.startMany("studio", 2000)
			b.goRun()
			b.after(10 * time.Second)
			begin := int(b.wire.starts.Load()) + int(b.wire.looks.Load())
			done := b.succeeded()
			b.after(30 * time.Second)
			calls := int(b.wire.starts.Load()) + int(b.wire.looks.Load()) - begin
			t.Logf("%d calls in 30 s, 20 a second allowed; %d more READY", calls, b.succeeded()-done)
			if calls < 510 || calls > 660 {
				t.Errorf("%d calls in 30 s, want 85 %% to 110 %% of the 600 that are allowed", calls)
			}
			b.all(ids)
			for _, id := range ids {
				b.want(id, fsm.Succeeded, "", 1)
			}
		})
}

func (b *bench) succeeded() int {
	s, err := b.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return s.Operations[fsm.Succeeded]
}

// TestRetryAfter: a floor for the whole lane, stored, and believed for an hour
// at most.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		said, want time.Duration
	}{{10 * time.Minute, 10 * time.Minute}, {30 * 24 * time.Hour, time.Hour}} {
		t.Run(c.said.String(), func(t *testing.T) {
			var once atomic.Bool
			cfg := studio.Config{Intercept: func(c2 studio.Call) studio.Fault {
				if once.CompareAndSwap(false, true) {
					return studio.Fault{Err: &transport.Error{Kind: transport.Throttled, RetryAfter: c.said}}
				}
				return studio.Fault{}
			}}
			scenario(t, cfg, Config{}, func(b *bench) {
				id := b.start("ws-1")
				b.goRun()
				b.after(2 * time.Second)
				b.wantWaiting(id, Throttled)
				b.restart()
				b.goRun()
				b.after(c.want - 5*time.Second)
				if n := int(b.wire.starts.Load()); n != 1 {
					t.Errorf("%d sends before the provider's time", n)
				}
				b.wantWaiting(id, Throttled)
				b.after(10 * time.Second)
				b.want(id, fsm.Succeeded, "", 1)
			})
		})
	}
}

// TestPauseOutlivesRestart: sends stop, looks go on.
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
		b.want(boots, fsm.Succeeded, "", 1)
		b.want(waits, fsm.Queued, "", 0)
		b.wantWaiting(waits, Paused)
		if err := b.Resume(b.Context(), "studio", "ann"); err != nil {
			t.Fatal(err)
		}
		b.all([]ID{waits})
		b.want(waits, fsm.Succeeded, "", 1)
	})
}

// TestBatchPolls: a thousand sessions that boot together are looked at by ten
// calls a round.
func TestBatchPolls(t *testing.T) {
	scenario(t, studio.Config{Boot: 2 * time.Minute}, Config{Lane: fast}, func(b *bench) {
		ids := b.startMany("studio", 1000)
		b.goRun()
		b.all(ids)
		rounds := 0
		for at := time.Duration(0); at < 2*time.Minute+poll.most; at += poll.after(at) {
			rounds++
		}
		calls := int(b.wire.looks.Load())
		t.Logf("%d calls of the transport in about %d rounds of polls", calls, rounds)
		if calls > 12*rounds {
			t.Errorf("%d calls for about %d rounds: more than 12 a round", calls, rounds)
		}
	})
}

// TestBusyLaneBesideIdle: a backlog, or calls that hang, in one lane do not hold
// up another.
func TestBusyLaneBesideIdle(t *testing.T) {
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

// TestFailures: what is refused for good ends, with a hint.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		kind transport.Kind
		why  store.Reason
	}{
		{transport.AccessDenied, store.AccessDenied}, {transport.NotFound, store.NotFound}, {transport.Invalid, store.Invalid},
	} {
		t.Run(string(c.why), func(t *testing.T) {
			scenario(t, studio.Config{Intercept: func(studio.Call) studio.Fault {
				return studio.Fault{Err: &transport.Error{Kind: c.kind, Code: "Code", Message: "no"}}
			}}, Config{}, func(b *bench) {
				id := b.start("ws-1")
				b.goRun()
				_, err := b.Wait(b.Context(), id)
				var end *EndError
				if !errors.As(err, &end) || end.Operation.Reason != c.why || !strings.Contains(err.Error(), "check") {
					t.Errorf("Wait = %v, want an *EndError of %s with a hint", err, c.why)
				}
				b.want(id, fsm.Failed, c.why, 0)
			})
		})
	}
	t.Run("START_FAILED", func(t *testing.T) {
		scenario(t, studio.Config{Boot: time.Minute, Intercept: func(c studio.Call) studio.Fault {
			return studio.Fault{StatusCode: "NETWORK_INTERFACE_ERROR"}
		}}, Config{}, func(b *bench) {
			id := b.start("ws-1")
			b.goRun()
			b.all([]ID{id})
			b.want(id, fsm.Failed, store.StartFailed, 1)
			if op := b.op(id); !strings.Contains(op.LastError, "NETWORK_INTERFACE_ERROR") {
				t.Errorf("the error %q does not name the status code", op.LastError)
			}
		})
	})
}

// TestUnobservable: a send may have happened, and nobody could look for a day
// past the expiry.
func TestUnobservable(t *testing.T) {
	lose := func(c studio.Call) studio.Fault { return studio.Fault{Lost: c.Action == studio.Start} }
	scenario(t, studio.Config{Intercept: lose}, Config{}, func(b *bench) {
		id := b.start("ws-1", func(r *Request) { r.ExpiresAt = time.Now().Add(time.Hour) })
		b.goRun()
		b.after(time.Second)
		b.studio.SetOffline(true)
		b.after(24 * time.Hour)
		b.wantWaiting(id, Offline)
		b.after(2 * time.Hour)
		b.want(id, fsm.Failed, store.Unseen, 1)
		if n := int(b.wire.starts.Load()); n != 1 {
			t.Errorf("it was sent %d times", n)
		}
	})
}

func TestTimeout(t *testing.T) {
	scenario(t, studio.Config{Boot: 40 * time.Minute}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(31 * time.Minute)
		b.want(id, fsm.Failed, store.Timeout, 1)
		b.after(5 * time.Hour) // it became READY after 40 minutes: a fact, and the end stays
		b.want(id, fsm.Failed, store.Timeout, 1)
		var late []Event
		for ev := range b.Events(b.Context(), "") {
			if ev.Reason == store.LateReady {
				late = append(late, ev)
			}
		}
		if len(late) != 1 || late[0].Session != fsm.Ready || late[0].From != fsm.Failed || late[0].To != fsm.Failed {
			t.Errorf("late_ready events: %+v, want one", late)
		}
	})
}

// TestDeadlineAfterLongSleep: the host was off for days. What was perhaps sent
// is looked at once more before it is given up.
func TestDeadlineAfterLongSleep(t *testing.T) {
	scenario(t, studio.Config{Boot: 1000 * time.Hour}, Config{}, func(b *bench) {
		b.goRun()
		boots, runs := b.start("boots"), b.start("runs")
		b.after(5 * time.Second)
		b.end()
		b.studio.Put(transport.Session{Ref: b.op(runs).Ref, State: fsm.Ready})
		b.after(72 * time.Hour)
		b.goRun()
		b.after(time.Minute)
		b.want(boots, fsm.Failed, store.Timeout, 1)
		if op := b.op(runs); op.Phase != fsm.Succeeded {
			t.Errorf("a session that runs ended %s %q", op.Phase, op.Reason)
		}
	})
}

// TestPortal: the laptop is behind a captive portal, which answers everything
// in its own way. No operation ends by it.
func TestPortal(t *testing.T) {
	var portal atomic.Bool
	portal.Store(true)
	scenario(t, studio.Config{Intercept: func(studio.Call) studio.Fault {
		if portal.Load() {
			return studio.Fault{Err: &transport.Error{Kind: transport.Unreachable, HTTPStatusCode: 511}}
		}
		return studio.Fault{}
	}}, Config{Lane: fast}, func(b *bench) {
		ids := b.startMany("studio", 20)
		b.goRun()
		b.after(3 * time.Hour)
		for _, id := range ids {
			b.wantWaiting(id, Offline)
		}
		portal.Store(false)
		b.after(3 * time.Minute)
		for _, id := range ids {
			b.want(id, fsm.Succeeded, "", 1)
		}
	})
}

func TestTokensAndJoins(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		ref := Ref{StudioID: "studio", SessionID: "ws-1"}
		b.studio.Add("studio", "ws-1", "ws-2")
		ask := func(r Request) (Receipt, error) { return b.Start(b.Context(), r) }
		first, err := ask(Request{Ref: ref, ClientToken: "monday", ExpiresAt: b.now().Add(time.Hour)})
		if err != nil || !first.Created {
			t.Fatal(first, err)
		}
		if r, err := ask(Request{Ref: ref, ClientToken: "monday"}); err != nil || r.Created || r.Operation.ID != first.Operation.ID {
			t.Errorf("the same token: %+v, %v; want a join", r, err)
		}
		if r, err := ask(Request{Ref: ref}); err != nil || r.Created || r.Operation.ID != first.Operation.ID {
			t.Errorf("no token: %+v, %v; want a join", r, err)
		}
		var conflict *store.ConflictError
		if _, err := ask(Request{Ref: ref, ClientToken: "tuesday"}); !errors.Is(err, store.ErrActive) || !errors.As(err, &conflict) || conflict.Holder.ID != first.Operation.ID {
			t.Errorf("another token: %v, want ErrActive with the holder", err)
		}
		if _, err := ask(Request{Ref: Ref{StudioID: "studio", SessionID: "ws-2"}, ClientToken: "monday"}); !errors.Is(err, store.ErrTokenReused) {
			t.Errorf("the token for another session: %v, want ErrTokenReused", err)
		}
		b.goRun()
		b.all([]ID{first.Operation.ID})
		b.after(2 * time.Hour)
		// The host repeats its request verbatim, long after its expiry.
		if r, err := ask(Request{Ref: ref, ClientToken: "monday", ExpiresAt: first.Operation.ExpiresAt.Add(-time.Hour)}); err != nil || r.Created || r.Operation.Phase != fsm.Succeeded {
			t.Errorf("the token after its end: %+v, %v; want the ended operation", r, err)
		}
		if _, err := ask(Request{Ref: ref, ExpiresAt: b.now().Add(-time.Second)}); !errors.Is(err, store.ErrExpired) {
			t.Errorf("an expiry in the past: %v, want ErrExpired", err)
		}
		b.want(first.Operation.ID, fsm.Succeeded, "", 1)
		again, err := b.Retry(b.Context(), first.Operation.ID)
		if err != nil || !again.Created || again.Operation.RetryOf != first.Operation.ID {
			t.Errorf("Retry = %+v, %v", again, err)
		}
		if _, err := b.Retry(b.Context(), again.Operation.ID); !errors.Is(err, ErrNotEnded) {
			t.Errorf("Retry of an active one: %v, want ErrNotEnded", err)
		}
	})
}

func TestRunAndClose(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Minute}, Config{}, func(b *bench) {
		b.goRun()
		if err := b.Engine.Run(b.Context()); !errors.Is(err, ErrRunning) {
			t.Errorf("a second Run: %v, want ErrRunning", err)
		}
		id := b.start("ws-1")
		waiter, follower, watcher := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		go func() { _, err := b.Wait(b.Context(), id); waiter <- err }()
		go func() {
			var last error
			for _, err := range b.Follow(b.Context(), "") {
				last = err
			}
			follower <- last
		}()
		go func() {
			var last error
			for _, err := range b.Watch(b.Context(), id) {
				last = err
			}
			watcher <- last
		}()
		b.after(5 * time.Second)
		b.restart()
		for name, c := range map[string]chan error{"Wait": waiter, "Follow": follower, "Watch": watcher} {
			if err := <-c; !errors.Is(err, ErrClosed) {
				t.Errorf("%s, when the engine was closed: %v, want ErrClosed", name, err)
			}
		}
	})
}

// TestDrain: Run, told to end, waits for the call in flight and stores its
// answer.
func TestDrain(t *testing.T) {
	scenario(t, studio.Config{Latency: 4 * time.Second, Boot: time.Minute}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(time.Second)
		began := time.Now()
		b.end()
		if took := time.Since(began); took < 2*time.Second || took > 5*time.Second {
			t.Errorf("Run took %v to end", took)
		}
		b.want(id, fsm.Starting, "", 1)
	})
}

// TestDrainIsBounded: a call that hangs is cut off, and the record says that it
// may have happened.
func TestDrainIsBounded(t *testing.T) {
	scenario(t, studio.Config{Latency: 14 * time.Second}, Config{Drain: time.Second}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(8 * time.Second) // the effect has happened
		began := time.Now()
		b.end()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Run took %v to end", took)
		}
		if op := b.op(id); op.Sent != store.SentUnknown {
			t.Errorf("sent %v, want unknown", op.Sent)
		}
		b.goRun()
		b.all([]ID{id})
		b.want(id, fsm.Succeeded, "", 1)
	})
}

func TestFollowFromStoredCursor(t *testing.T) {
	scenario(t, studio.Config{Boot: 10 * time.Second}, Config{Lane: fast}, func(b *bench) {
		var at Cursor
		seen := uint64(0)
		read := func(want uint64) {
			ctx, stop := context.WithTimeout(b.Context(), time.Hour)
			defer stop()
			for ev, err := range b.Follow(ctx, at) {
				if err != nil {
					t.Fatal(err)
				}
				if seen++; ev.Seq != seen {
					t.Fatalf("event %d after %d", ev.Seq, seen-1)
				}
				if at = ev.Cursor; seen == want {
					return
				}
			}
		}
		b.goRun()
		b.startMany("studio", 30)
		read(40)
		b.restart()
		b.goRun()
		read(90)
	})
}

func TestWatch(t *testing.T) {
	scenario(t, studio.Config{Boot: 10 * time.Second}, Config{}, func(b *bench) {
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		go func() {
			b.after(time.Minute)
			b.goRun()
			b.after(time.Minute)
			b.studio.SetOffline(false)
		}()
		var got []Waiting
		for x, err := range b.Watch(b.Context(), id) {
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 || got[len(got)-1] != x.Reason {
				got = append(got, x.Reason)
			}
		}
		want := []Waiting{NotRunning, Offline, Booting, ""}
		if strings.Join(strs(got), " ") != strings.Join(strs(want), " ") {
			t.Errorf("Watch showed %q, want %q", got, want)
		}
	})
}

func strs(ws []Waiting) []string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = string(w)
	}
	return out
}
