package engine

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// What once led astray: each test failed before it was mended.

// TestClockSetBackInBoot: the clock was ahead when the start was accepted.
func TestClockSetBackInBoot(t *testing.T) {
	for _, back := range []time.Duration{3 * time.Hour, 365 * 24 * time.Hour} {
		t.Run(back.String(), func(t *testing.T) {
			scenario(t, studio.Config{Boot: 25 * time.Minute}, Config{}, func(b *bench) {
				b.skew.Store(int64(back))
				b.goRun()
				id := b.start("ws-1")
				b.after(30 * time.Second)
				b.skew.Store(0)
				b.after(30 * time.Minute)
				b.want(id, fsm.PhaseSucceeded, "", 1)
			})
		})
	}
}

// TestDueInTheFutureAtBoot: a refusal was heard while the clock was a year ahead,
// which was set right while nothing ran: the next attempt is not a year away.
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

// TestWrongClockForgetsNoToken: at boot the clock is years ahead, or it was years
// behind when an operation ended. A host that repeats its request meets the
// operation, and no second session starts.
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
				b.start("ws-2") // so that the dispatcher is awake
				b.after(5 * time.Second)
				if again := ask(); again != id {
					t.Errorf("the token was forgotten: operation %s, and it was %s", again, id)
				}
			})
		})
	}
}

// TestClockWasBehindInBoot: the machine woke up in 1990, and a start was accepted
// before the time service set the clock right. Neither a session that boots nor
// one that nobody can look at for an hour has missed its time by that.
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

// TestClockWasBehindForAWhileInBoot: it was right when the start was accepted, and
// right again before the session was READY, and then it went ahead and back.
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

// TestClockWasBehindBeforeARestart: nor has what was accepted by a clock that was
// behind missed its time in the next Run, which has not seen it set right.
func TestClockWasBehindBeforeARestart(t *testing.T) {
	scenario(t, studio.Config{Boot: 20 * time.Minute}, Config{}, func(b *bench) {
		b.skew.Store(-int64(10 * 365 * 24 * time.Hour))
		b.goRun()
		id := b.start("ws-1")
		b.after(time.Minute)
		b.skew.Store(0)
		b.after(time.Minute)
		b.restart()
		b.goRun()
		b.after(20 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestClockWasBehindAtTheEndOfARun: it was right when the start was accepted, and
// behind for the last minutes of that Run. Nor has it missed its time in the next
// one, whose clock is right.
func TestClockWasBehindAtTheEndOfARun(t *testing.T) {
	scenario(t, studio.Config{Boot: 20 * time.Minute}, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1")
		b.after(time.Minute)
		b.skew.Store(-int64(10 * 365 * 24 * time.Hour))
		b.after(3 * time.Minute)
		b.restart()
		b.skew.Store(0)
		b.goRun()
		b.after(time.Minute)
		b.want(id, fsm.PhaseStarting, "", 1)
		b.after(20 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestClockWasSetBackLongAgo: that a clock was set back does not make the sends
// since then doubtful, where no date tells the provider's clock.
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

// TestClockWasAheadWhileIdle: what it showed ends with the last time that anybody
// read it, and not when somebody noticed that it was set back: an engine with
// nothing to do does not. A send since then is no doubtful one.
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

// TestBudgetAfterClockSetBack: Run began while the clock was ahead.
func TestBudgetAfterClockSetBack(t *testing.T) {
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

// TestBudgetAfterClockWasAhead: the clock went years ahead for five minutes. What
// is accepted afterwards has its budget, and not those years more.
func TestBudgetAfterClockWasAhead(t *testing.T) {
	scenario(t, studio.Config{Boot: 1000 * time.Hour}, Config{}, func(b *bench) {
		b.goRun()
		b.start("ws-0") // so that somebody notices
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
