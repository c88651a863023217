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

// Wrong clocks while a session boots, and in the Run after that.

// TestDueInTheFutureAtBoot: a start was refused while the clock was a year ahead. The clock
// was set right while nothing ran. The next attempt is not a year away.
func TestDueInTheFutureAtBoot(t *testing.T) {
	scenario(t, studio.Config{Quota: 1}, Config{}, func(b *bench) {
		b.skew.Store(int64(365 * 24 * time.Hour))
		b.goRun()
		first := b.start("ws-1")
		b.all([]ID{first})
		id := b.start("ws-2")
		scheduled := b.start("ws-3", func(r *Request) { r.NotBefore = b.now().Add(time.Hour) })
		b.after(2 * time.Second)
		b.restart()
		b.skew.Store(0)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(first).Ref, ClientToken: "x"}); err != nil {
			t.Fatal(err)
		}
		b.goRun()
		b.after(20 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
		b.want(scheduled, fsm.PhaseQueued, "", 0)
	})
}

// TestWrongClockForgetsNoToken: at boot the clock is years ahead, or it was years behind
// when an operation ended. A host that repeats its request gets the operation, and the
// session does not start again.
func TestWrongClockForgetsNoToken(t *testing.T) {
	const years = 5 * 365 * 24 * time.Hour
	for name, skew := range map[string]struct{ first, then time.Duration }{"ahead at boot": {0, years}, "behind at the end": {-years, 0}} {
		t.Run(name, func(t *testing.T) {
			scenario(t, studio.Config{Boot: time.Minute}, Config{}, func(b *bench) {
				b.studio.Add("studio", "ws-1")
				ask := func() ID {
					r, err := b.Start(b.Context(), Request{Ref: Ref{StudioID: "studio", SessionID: "ws-1"}, ClientToken: "monday"})
					if err != nil {
						t.Fatal(err)
					}
					return r.Operation.ID
				}
				id := ask()
				b.skew.Store(int64(skew.first))
				b.goRun()
				b.all([]ID{id})
				b.restart()
				b.skew.Store(int64(skew.then))
				b.goRun()
				b.after(5 * time.Minute)
				if _, err := b.Prune(b.Context()); err != nil {
					t.Fatal(err)
				}
				b.start("ws-2") // wakes the dispatcher
				b.after(5 * time.Second)
				if again := ask(); again != id {
					t.Errorf("the token was forgotten: operation %s, and it was %s", again, id)
				}
			})
		})
	}
}

// TestClockWasBehindInBoot: the machine's clock was ten years behind, and two starts were
// accepted before the clock was set right. Neither boot times out by that, although one
// of the sessions cannot be read for an hour.
func TestClockWasBehindInBoot(t *testing.T) {
	scenario(t, studio.Config{Boot: 20 * time.Minute}, Config{}, func(b *bench) {
		b.skew.Store(-int64(10 * 365 * 24 * time.Hour))
		b.goRun()
		boots := b.start("ws-1")
		unseen := b.start("ws-2", func(r *Request) { r.StudioID = "other" })
		b.after(30 * time.Second)
		b.skew.Store(0)
		b.after(time.Minute)
		b.studio.SetOffline(true)
		b.after(time.Hour)
		b.wantWaiting(unseen, WaitOffline)
		b.studio.SetOffline(false)
		b.after(20 * time.Minute)
		b.want(boots, fsm.PhaseSucceeded, "", 1)
		b.want(unseen, fsm.PhaseSucceeded, "", 1)
	})
}

// TestClockWasBehindForAWhileInBoot: the clock is right when the start is accepted. Then it
// goes behind, is right again, goes ahead, and is right before the session is READY.
func TestClockWasBehindForAWhileInBoot(t *testing.T) {
	scenario(t, studio.Config{Boot: 25 * time.Minute}, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1")
		for _, skew := range []time.Duration{0, -365 * 24 * time.Hour, 0, 72 * time.Hour, 0} {
			b.skew.Store(int64(skew))
			b.after(4 * time.Minute)
		}
		b.after(6 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestClockWasSetBackLongAgo: a clock was set back, and no date shows the provider's clock.
// Sends since then are not ambiguous for that reason.
func TestClockWasSetBackLongAgo(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.close()
		b.open(&dateless{wire: &b.wire})
		b.goRun()
		b.after(time.Hour)
		b.skew.Store(int64(5 * 365 * 24 * time.Hour))
		b.all([]ID{b.start("ws-0")})
		b.after(time.Minute)
		b.skew.Store(0)
		b.after(time.Hour)
		id := b.start("ws-1")
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestClockWasAheadWhileIdle: an idle engine notices late that its clock was set back. The
// clock counts as ahead only until the engine last compared it. A later send is not
// ambiguous.
func TestClockWasAheadWhileIdle(t *testing.T) {
	scenario(t, studio.Config{Intercept: firstStart(studio.Fault{Err: &transport.Error{Kind: transport.KindUnknown}})}, Config{}, func(b *bench) {
		b.skew.Store(int64(time.Hour))
		b.goRun()
		b.after(time.Minute)
		b.skew.Store(0)
		b.after(75 * time.Minute)
		id := b.start("ws-1")
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestBootTimeoutAfterClockSetBack: Run begins while the clock is a month ahead. A boot
// after the correction still times out.
func TestBootTimeoutAfterClockSetBack(t *testing.T) {
	scenario(t, studio.Config{Boot: 1000 * time.Hour}, Config{}, func(b *bench) {
		b.skew.Store(int64(30 * 24 * time.Hour))
		b.goRun()
		b.after(time.Minute)
		b.skew.Store(0)
		b.after(time.Minute)
		id := b.start("ws-1")
		b.after(time.Hour)
		b.want(id, fsm.PhaseFailed, store.ReasonTimeout, 1)
	})
}

// TestBootTimeoutAfterClockWasAhead: the clock was years ahead for five minutes. A start
// that is accepted afterwards has its boot timeout, without those years.
func TestBootTimeoutAfterClockWasAhead(t *testing.T) {
	scenario(t, studio.Config{Boot: 1000 * time.Hour}, Config{}, func(b *bench) {
		b.goRun()
		b.start("ws-0") // so that the engine notices the jump
		b.after(time.Minute)
		b.skew.Store(int64(5 * 365 * 24 * time.Hour))
		b.after(5 * time.Minute)
		b.skew.Store(0)
		b.after(time.Minute)
		id := b.start("ws-1")
		b.after(32 * time.Minute)
		b.want(id, fsm.PhaseFailed, store.ReasonTimeout, 1)
	})
}

// TestGraceByTheClockOfAnotherRun: the start was accepted by a clock that was half a day
// behind, and the host died before it noticed. The next Run's clock is right and confirmed
// at once. A stale read does not end the boot.
func TestGraceByTheClockOfAnotherRun(t *testing.T) {
	scenario(t, studio.Config{Boot: 5 * time.Minute, StaleFor: 45 * time.Second}, Config{}, func(b *bench) {
		b.skew.Store(-int64(12 * time.Hour))
		id := b.start("ws-1")
		b.goRun()
		b.after(100 * time.Millisecond)
		b.want(id, fsm.PhaseStarting, "", 1)
		b.restart()
		b.skew.Store(0)
		b.goRun()
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// dateless is a provider whose answers have no dates. The first start of ws-1 is lost on its
// way.
type dateless struct {
	*wire
	lost atomic.Bool
}

func (d *dateless) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	if in.SessionID == "ws-1" && d.lost.CompareAndSwap(false, true) {
		return transport.Session{}, &transport.Error{Kind: transport.KindUnknown}
	}
	s, err := d.wire.Start(ctx, in)
	return transport.Session{Ref: s.Ref, State: s.State}, err
}

func (d *dateless) Get(ctx context.Context, ref Ref) (transport.Session, error) {
	s, err := d.wire.Get(ctx, ref)
	return transport.Session{Ref: s.Ref, State: s.State}, err
}
