package engine

import (
	"errors"
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

func TestStartToReady(t *testing.T) {
	scenario(t, studio.Config{Boot: 90 * time.Second}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.wantWaiting(id, WaitNotRunning)
		b.after(time.Hour)
		b.want(id, fsm.PhaseQueued, "", 0)
		b.goRun()
		b.after(time.Second)
		b.want(id, fsm.PhaseStarting, "", 1)
		b.wantWaiting(id, WaitBooting)
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
		op := b.op(id)
		if lag := op.FinishedAt.Sub(op.AcceptedAt) - 90*time.Second; lag < 0 || lag > decide.Polls.Most*11/10 {
			t.Errorf("READY was noticed %v late", lag)
		}
		b.wantWaiting(id, "")
	})
}

// firstStart returns a fault for the first start of each session, and none for other calls.
func firstStart(f studio.Fault) func(studio.Call) studio.Fault {
	return func(c studio.Call) studio.Fault {
		if c.Action == studio.Start && c.Nth == 1 {
			return f
		}
		return studio.Fault{}
	}
}

// TestLostAnswers: one in three answers is lost, and each session is started once.
func TestLostAnswers(t *testing.T) {
	var calls atomic.Int64
	third := func(c studio.Call) studio.Fault {
		switch n := calls.Add(1); {
		case n%6 == 0:
			return studio.Fault{Lost: true} // the answer is lost after the effect
		case n%6 == 3:
			return studio.Fault{Err: &transport.Error{Kind: transport.KindUnknown}} // the request is lost before it
		}
		return studio.Fault{}
	}
	scenario(t, studio.Config{Boot: 20 * time.Second, Intercept: third}, Config{Lane: fast}, func(b *bench) {
		ids := b.startMany("studio", 500)
		b.goRun()
		b.all(ids)
		for _, id := range ids {
			b.want(id, fsm.PhaseSucceeded, "", 1)
		}
		if calls := int(b.wire.starts.Load()); calls < 510 {
			t.Errorf("%d starts for 500 sessions: no request was lost, so this shows nothing", calls)
		}
	})
}

// TestIntentBeforeTheFirstByte: during a send, the record on disk says that the send may have
// happened. So a crash cannot lose that.
func TestIntentBeforeTheFirstByte(t *testing.T) {
	var sends atomic.Int64
	var read func(c studio.Call)
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start {
			read(c)
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		read = func(c studio.Call) {
			op, err := b.Find(b.Context(), c.Ref)
			if err != nil || op.Sent != store.SentUnknown || op.Attempts != 1 || op.LastSentAt.IsZero() {
				b.Errorf("during its send the operation is sent %q, attempts %d, %v", op.Sent, op.Attempts, err)
			}
			sends.Add(1)
		}
		id := b.start("ws-1")
		b.goRun()
		b.all([]ID{id})
		if sends.Load() != 1 {
			b.Errorf("%d sends, want 1", sends.Load())
		}
	})
}

// TestStoppedBeforeTheConfirm: the start took effect, its answer was lost, and the artist
// stopped the session by hand before the engine could read it.
func TestStoppedBeforeTheConfirm(t *testing.T) {
	scenario(t, studio.Config{Intercept: firstStart(studio.Fault{Lost: true})}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(2 * time.Second)
		b.wantWaiting(id, WaitBackoff)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		b.all([]ID{id})
		b.want(id, fsm.PhaseFailed, store.ReasonReturnedToStopped, 1)
	})
}

func TestQuotaAndCapacityWait(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  studio.Config
		why  WaitReason
	}{{"quota", studio.Config{Quota: 1}, WaitQuota}, {"capacity", studio.Config{Capacity: 1}, WaitCapacity}} {
		t.Run(c.name, func(t *testing.T) {
			scenario(t, c.cfg, Config{}, func(b *bench) {
				b.goRun()
				first := b.start("ws-1")
				b.all([]ID{first})
				second := b.start("ws-2")
				b.after(3 * time.Hour)
				b.wantWaiting(second, c.why)
				if n := int(b.wire.starts.Load()); n > 25 {
					t.Errorf("%d sends in three hours: the wait is too short", n)
				}
				if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(first).Ref, ClientToken: "x"}); err != nil {
					t.Fatal(err)
				}
				if err := b.RetryNow(b.Context(), second, "test"); err != nil {
					t.Fatal(err)
				}
				b.after(3 * time.Second)
				b.want(second, fsm.PhaseSucceeded, "", 1)
			})
		})
	}
}

// TestStoredBackoff: a restart keeps the interval of a backoff.
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

// TestFailures: a start that is refused for good ends FAILED, with a hint.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		kind transport.Kind
		why  store.Reason
	}{
		{transport.KindAccessDenied, store.ReasonAccessDenied}, {transport.KindNotFound, store.ReasonNotFound}, {transport.KindInvalid, store.ReasonInvalid},
	} {
		t.Run(string(c.why), func(t *testing.T) {
			scenario(t, studio.Config{Intercept: func(studio.Call) studio.Fault {
				return studio.Fault{Err: &transport.Error{Kind: c.kind, Code: "Code", Message: "no"}}
			}}, Config{}, func(b *bench) {
				id := b.start("ws-1")
				b.goRun()
				_, err := b.Wait(b.Context(), id)
				var end *EndError
				if !errors.As(err, &end) || end.Operation.EndReason != c.why || !strings.Contains(err.Error(), "check") {
					t.Errorf("Wait = %v, want an *EndError of %s with a hint", err, c.why)
				}
				b.want(id, fsm.PhaseFailed, c.why, 0)
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
			b.want(id, fsm.PhaseFailed, store.ReasonStartFailed, 1)
			if op := b.op(id); !strings.Contains(op.LastError, "NETWORK_INTERFACE_ERROR") {
				t.Errorf("the error %q does not name the status code", op.LastError)
			}
		})
	})
}

// TestJoinHastens: an operation waits long for capacity. A new request for its session makes
// the next try come soon. A flood of requests does not make a flood of sends.
func TestJoinHastens(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  studio.Config
	}{{"quota", studio.Config{Quota: 1}}, {"capacity", studio.Config{Capacity: 1}}} {
		t.Run(c.name, func(t *testing.T) {
			scenario(t, c.cfg, Config{}, func(b *bench) {
				b.goRun()
				first := b.start("ws-1")
				b.all([]ID{first})
				waits := b.start("ws-2")
				for b.op(waits).DueAt.Sub(b.now()) < 12*time.Minute {
					b.after(time.Second)
				}
				b.after(90 * time.Second)
				sends := b.wire.starts.Load()
				again := Request{Ref: b.op(waits).Ref, ExpiresAt: b.now().Add(2 * time.Minute)}
				if _, err := b.Start(b.Context(), again); err != nil {
					t.Fatal(err)
				}
				b.after(2 * time.Second)
				if n := b.wire.starts.Load() - sends; n != 1 {
					t.Errorf("%d sends after a second request, want 1", n)
				}
				if op := b.op(waits); op.Interval != decide.Long.First {
					t.Errorf("the backoff is %v after the request, want %v, its beginning", op.Interval, decide.Long.First)
				}
				flood := b.now()
				for b.now().Sub(flood) < 10*time.Minute {
					if _, err := b.Start(b.Context(), Request{Ref: again.Ref}); err != nil {
						t.Fatal(err)
					}
					b.after(250 * time.Millisecond)
				}
				if n := b.wire.starts.Load() - sends; n < 5 || n > 15 {
					t.Errorf("%d sends in ten minutes of requests, want about one a minute", n)
				}
				b.powerOff(first)
				b.all([]ID{waits})
				b.want(waits, fsm.PhaseSucceeded, "", 1)
			})
		})
	}
}

// TestJoinHastensReads: reads are refused, and the waits between them grow. A new request
// makes the next read come soon, since reads may be allowed again.
func TestJoinHastensReads(t *testing.T) {
	var denied atomic.Bool
	denied.Store(true)
	cfg := studio.Config{Boot: time.Minute, Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Get && denied.Load() {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindAccessDenied}}
		}
		return studio.Fault{}
	}}
	scenario(t, cfg, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1")
		b.after(20 * time.Minute)
		b.want(id, fsm.PhaseStarting, "", 1)
		reads := b.wire.reads.Load()
		for range 120 {
			b.again(id)
			b.after(500 * time.Millisecond)
		}
		if n := b.wire.reads.Load() - reads; n < 1 || n > 3 {
			t.Errorf("%d reads during a minute of requests, want about one", n)
		}
		denied.Store(false)
		b.after(time.Minute)
		last := b.again(id)
		b.after(5 * time.Second)
		b.want(id, fsm.PhaseSucceeded, "", 1)
		if late := b.op(id).FinishedAt.Sub(last.Operation.Later.At); late > 10*time.Second {
			t.Errorf("READY was noticed %v after the request", late)
		}
	})
}
