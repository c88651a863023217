package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// Wrong clocks around sends, and around a Retry-After.

// TestStaleOffsetConfirmsNothing: a trial call without an answer does not confirm a clock
// that has jumped since the provider's clock was last measured.
func TestStaleOffsetConfirmsNothing(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.goRun()
		b.all([]ID{b.start("ws-0")})
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		b.after(5 * time.Minute)
		b.skew.Store(int64(30 * 24 * time.Hour))
		b.after(2 * time.Minute)
		b.want(id, fsm.PhaseQueued, "", 0)
	})
}

// TestClockSetRightBetweenRuns: the clock was an hour ahead at a send, and the session was
// stopped by hand. The clock was set right while nothing ran, so no Run saw it jump. The
// send lies in the future, which proves the jump.
func TestClockSetRightBetweenRuns(t *testing.T) {
	scenario(t, studio.Config{TokenMemory: time.Minute, Intercept: firstStart(studio.Fault{Lost: true})}, Config{}, func(b *bench) {
		b.skew.Store(int64(time.Hour))
		b.goRun()
		id := b.start("ws-1")
		b.after(2 * time.Second)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		b.restart()
		b.skew.Store(0)
		b.goRun()
		b.after(6 * time.Hour)
		if op := b.op(id); op.Phase != fsm.PhaseFailed || b.studio.Effects(op.Ref) != 1 {
			t.Errorf("%s %q, started %d times; want FAILED, once", op.Phase, op.EndReason, b.studio.Effects(op.Ref))
		}
	})
}

// TestClockBehindInTheNextRun: the clock was right at the send, and is behind in the next
// Run. Measured by the provider's date, the send seems later than the startedAt that it
// caused.
func TestClockBehindInTheNextRun(t *testing.T) {
	scenario(t, studio.Config{TokenMemory: time.Second, Intercept: firstStart(studio.Fault{Lost: true})}, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1")
		b.after(2 * time.Second)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		b.restart()
		b.after(time.Hour)
		b.skew.Store(-int64(20 * time.Minute))
		b.goRun()
		b.after(6 * time.Hour)
		if op := b.op(id); op.Phase != fsm.PhaseFailed || b.studio.Effects(op.Ref) != 1 {
			t.Errorf("%s %q, started %d times; want FAILED, once", op.Phase, op.EndReason, b.studio.Effects(op.Ref))
		}
	})
}

// TestRetryAfterDuringAWrongClock: the clock is wrong for a while, and the lane has nothing
// to do in that time. When the clock is right again, the Retry-After still counts.
func TestRetryAfterDuringAWrongClock(t *testing.T) {
	for _, wrong := range []time.Duration{-time.Hour, 24 * time.Hour} {
		t.Run(wrong.String(), func(t *testing.T) {
			var calls atomic.Int32
			cfg := studio.Config{Intercept: func(c studio.Call) studio.Fault {
				if c.Ref.StudioID != "studio" {
					return studio.Fault{}
				}
				calls.Add(1)
				return studio.Fault{Err: &transport.Error{Kind: transport.KindThrottled, RetryAfter: 50 * time.Minute}}
			}}
			scenario(t, cfg, Config{}, func(b *bench) {
				b.goRun()
				id := b.start("ws-1")
				b.after(2 * time.Second)
				if out, err := b.Cancel(b.Context(), id, "ann"); out != CancellationNeverSent || err != nil {
					t.Fatalf("Cancel: %v, %v", out, err)
				}
				b.skew.Store(int64(wrong))
				for range 5 { // the dispatcher sweeps when it is awake
					b.start("ws-2", func(r *Request) { r.StudioID = "other" })
					b.after(2 * sweepEvery)
				}
				b.skew.Store(0)
				b.start("ws-1")
				b.after(time.Minute)
				if n := calls.Load(); n != 1 {
					t.Errorf("%d calls before the Retry-After, want the one that it answered", n)
				}
			})
		})
	}
}

// TestRetryAfterAfterWrongClock: a stored Retry-After of a clock that was ahead
// does not hide a new one.
func TestRetryAfterAfterWrongClock(t *testing.T) {
	var n atomic.Int64
	scenario(t, studio.Config{Intercept: func(studio.Call) studio.Fault {
		if n.Add(1) <= 2 {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindThrottled, RetryAfter: 10 * time.Minute}}
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		b.skew.Store(int64(24 * time.Hour))
		b.goRun()
		id := b.start("ws-1")
		b.after(time.Second)
		b.skew.Store(0)
		b.after(5 * time.Minute)
		b.wantWaiting(id, WaitThrottled)
		if n := b.wire.starts.Load(); n != 2 {
			t.Errorf("%d starts within minutes of a Retry-After of ten", n)
		}
	})
}

// tokenless is a provider that remembers no token.
type tokenless struct{ *wire }

func (w tokenless) Traits(ref Ref) transport.Traits {
	tr := w.wire.Traits(ref)
	tr.Repeat = transport.RepeatNever
	return tr
}

// TestClockAheadAtTheFirstSend: the clock was ahead when a Run sent for the first time. The
// send started the session, and a person stopped it. The next Run has the right clock,
// by which the session was started long before the send.
func TestClockAheadAtTheFirstSend(t *testing.T) {
	scenario(t, studio.Config{TokenMemory: time.Second, Intercept: firstStart(studio.Fault{Lost: true})}, Config{}, func(b *bench) {
		provider := tokenless{&b.wire}
		b.close()
		b.open(provider)
		b.skew.Store(int64(8 * time.Minute))
		b.goRun()
		id := b.start("ws-1")
		b.after(2 * time.Second)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		b.close()
		b.open(provider)
		b.skew.Store(0)
		b.after(10 * time.Minute)
		b.goRun()
		b.all([]ID{id})
		if op := b.op(id); op.Phase != fsm.PhaseFailed || b.studio.Effects(op.Ref) != 1 {
			t.Errorf("%s %q, started %d times; want FAILED, once", op.Phase, op.EndReason, b.studio.Effects(op.Ref))
		}
	})
}

// claims is a store that counts claims.
type claims struct {
	store.Store
	n atomic.Int64
}

func (s *claims) Own(ctx context.Context) (store.Claims, error) {
	c, err := s.Store.Own(ctx)
	return countedClaims{c, s}, err
}

type countedClaims struct {
	store.Claims
	counts *claims
}

func (c countedClaims) Claim(ctx context.Context, r store.ClaimRequest) (store.Claimed, error) {
	c.counts.n.Add(1)
	return c.Claims.Claim(ctx, r)
}

// TestNoSendBeforeTheDate: while a worker reads a session for the provider's date, no other
// worker sends without the date, and the dispatcher waits.
func TestNoSendBeforeTheDate(t *testing.T) {
	slow := func(c studio.Call) studio.Fault {
		if c.Action == studio.Start {
			return studio.Fault{}
		}
		return studio.Fault{Delay: time.Second / 2}
	}
	scenario(t, studio.Config{Intercept: slow}, Config{Lane: fast}, func(b *bench) {
		s := &claims{}
		b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
		b.close()
		b.open(tokenless{&b.wire})
		b.goRun()
		b.all([]ID{b.start("ws")})
		b.skew.Store(int64(time.Minute)) // the measured offset of the provider's clock does not count
		b.wire.starts.Store(0)
		b.wire.reads.Store(0)
		s.n.Store(0)
		ids := b.startMany("studio", 200)
		b.after(time.Second / 3)
		if n := b.wire.starts.Load(); n > 0 || b.wire.reads.Load() != 1 || s.n.Load() > 20 {
			b.Errorf("%d sends, %d reads, and %d claims before the first answer", n, b.wire.reads.Load(), s.n.Load())
		}
		b.after(2 * time.Second)
		for _, id := range ids {
			if op := b.op(id); op.LastSentAt.IsZero() || op.SentProviderTime.IsZero() {
				b.Errorf("%s was sent at %v, on the provider's clock %v", op.Ref, op.LastSentAt, op.SentProviderTime)
			}
		}
		b.all(ids)
	})
}

// TestFirstSendIsLost: the first send of a Run had no effect, and the host died. The next
// Run knows that an earlier startedAt was not caused by the send.
func TestFirstSendIsLost(t *testing.T) {
	scenario(t, studio.Config{Intercept: firstStart(studio.Fault{Err: &transport.Error{Kind: transport.KindUnknown}})}, Config{}, func(b *bench) {
		provider := tokenless{&b.wire}
		b.close()
		b.open(provider)
		id := b.start("ws-1")
		b.studio.Put(transport.Session{Ref: b.op(id).Ref, State: fsm.StateStopped, StartedAt: b.now().Add(-time.Hour)})
		b.goRun()
		b.after(2 * time.Second)
		b.close()
		b.open(provider)
		b.goRun()
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}
