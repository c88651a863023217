package engine

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// Interleavings and clocks that once led astray; each test failed before it was
// mended.

// TestStaleOffsetConfirmsNothing: a failed probe does not confirm a clock that
// has jumped since the provider's was last heard.
func TestStaleOffsetConfirmsNothing(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.goRun()
		b.all([]ID{b.start("ws-0")})
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		b.after(5 * time.Minute)
		b.skew.Store(int64(30 * 24 * time.Hour))
		b.after(2 * time.Minute)
		b.want(id, fsm.Queued, "", 0)
	})
}

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
				b.want(id, fsm.Succeeded, "", 1)
			})
		})
	}
}

// TestClockSetBackBeforeLook: and when an answer was lost.
func TestClockSetBackBeforeLook(t *testing.T) {
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start && c.Nth == 1 && c.Ref.SessionID == "ws-1" {
			return studio.Fault{Err: &transport.Error{Kind: transport.Unknown}}
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		b.skew.Store(int64(30 * 24 * time.Hour))
		b.goRun()
		b.all([]ID{b.start("ws-0")}) // so that the provider's clock is known
		id := b.start("ws-1")
		b.after(2 * time.Second)
		b.skew.Store(0)
		b.after(2 * time.Hour)
		b.want(id, fsm.Succeeded, "", 1)
	})
}

// TestClockSetRightBetweenSendAndLook: the session was started and stopped by
// hand while the clock was fast; by the right clock its startedAt looks earlier
// than the send.
func TestClockSetRightBetweenSendAndLook(t *testing.T) {
	scenario(t, studio.Config{TokenMemory: time.Minute, Intercept: func(c studio.Call) studio.Fault {
		return studio.Fault{Lost: c.Action == studio.Start && c.Nth == 1}
	}}, Config{}, func(b *bench) {
		b.skew.Store(int64(20 * time.Minute))
		b.goRun()
		id := b.start("ws-1")
		b.after(2 * time.Second)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		b.skew.Store(0)
		b.after(6 * time.Hour)
		if op := b.op(id); op.Phase != fsm.Failed || b.studio.Effects(op.Ref) != 1 {
			t.Errorf("%s %q, started %d times; want FAILED, once", op.Phase, op.Reason, b.studio.Effects(op.Ref))
		}
	})
}

// TestClockSetRightBetweenRuns: likewise, but it was set right while nothing ran,
// so that nobody saw it jump. A send that lies in the future tells.
func TestClockSetRightBetweenRuns(t *testing.T) {
	scenario(t, studio.Config{TokenMemory: time.Minute, Intercept: func(c studio.Call) studio.Fault {
		return studio.Fault{Lost: c.Action == studio.Start && c.Nth == 1}
	}}, Config{}, func(b *bench) {
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
		if op := b.op(id); op.Phase != fsm.Failed || b.studio.Effects(op.Ref) != 1 {
			t.Errorf("%s %q, started %d times; want FAILED, once", op.Phase, op.Reason, b.studio.Effects(op.Ref))
		}
	})
}

// TestClockBehindInTheNextRun: the clock was right at the send, and the next Run
// begins with one that is behind: by the provider's date the send seemed to be
// later than the startedAt that it brought about.
func TestClockBehindInTheNextRun(t *testing.T) {
	scenario(t, studio.Config{TokenMemory: time.Second, Intercept: func(c studio.Call) studio.Fault {
		return studio.Fault{Lost: c.Action == studio.Start && c.Nth == 1}
	}}, Config{}, func(b *bench) {
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
		if op := b.op(id); op.Phase != fsm.Failed || b.studio.Effects(op.Ref) != 1 {
			t.Errorf("%s %q, started %d times; want FAILED, once", op.Phase, op.Reason, b.studio.Effects(op.Ref))
		}
	})
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
		b.want(id, fsm.Succeeded, "", 1)
		b.want(scheduled, fsm.Queued, "", 0)
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
		b.wantWaiting(unseen, Offline)
		b.studio.SetOffline(false)
		b.after(20 * time.Minute)
		b.want(boots, fsm.Succeeded, "", 1)
		b.want(unseen, fsm.Succeeded, "", 1)
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
		b.want(id, fsm.Succeeded, "", 1)
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
		b.want(id, fsm.Succeeded, "", 1)
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
		b.want(id, fsm.Starting, "", 1)
		b.after(20 * time.Minute)
		b.want(id, fsm.Succeeded, "", 1)
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
		b.want(id, fsm.Succeeded, "", 1)
	})
}

// TestClockWasAheadWhileIdle: what it showed ends with the last time that anybody
// read it, and not when somebody noticed that it was set back: an engine with
// nothing to do does not. A send since then is no doubtful one.
func TestClockWasAheadWhileIdle(t *testing.T) {
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start && c.Nth == 1 {
			return studio.Fault{Err: &transport.Error{Kind: transport.Unknown}}
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		b.skew.Store(int64(time.Hour))
		b.goRun()
		b.after(time.Minute)
		b.skew.Store(0)
		b.after(75 * time.Minute)
		id := b.start("ws-1")
		b.all([]ID{id})
		b.want(id, fsm.Succeeded, "", 1)
	})
}

// dateless tells no time, and loses the first start of ws-1 on its way.
type dateless struct {
	*wire
	lost atomic.Bool
}

func (d *dateless) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	if in.SessionID == "ws-1" && d.lost.CompareAndSwap(false, true) {
		return transport.Session{}, &transport.Error{Kind: transport.Unknown}
	}
	s, err := d.wire.Start(ctx, in)
	return transport.Session{Ref: s.Ref, State: s.State}, err
}

func (d *dateless) Get(ctx context.Context, ref Ref) (transport.Session, error) {
	s, err := d.wire.Get(ctx, ref)
	return transport.Session{Ref: s.Ref, State: s.State}, err
}

// TestSilenceSeenByAWrongClock: looks that tell nothing began while the clock was
// years ahead. A day after the expiry they end it all the same.
func TestSilenceSeenByAWrongClock(t *testing.T) {
	scenario(t, studio.Config{Intercept: func(studio.Call) studio.Fault {
		return studio.Fault{Err: &transport.Error{Kind: transport.Unknown}}
	}}, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1", func(r *Request) { r.ExpiresAt = b.now().Add(time.Hour) })
		b.after(5 * time.Second)
		b.skew.Store(int64(2 * 365 * 24 * time.Hour))
		b.after(5 * time.Minute)
		b.skew.Store(0)
		b.after(26 * time.Hour)
		b.want(id, fsm.Failed, store.Unseen, 0)
	})
}

// TestGraceByAClockInDoubt: the host died right after the start was accepted, and
// is back in a second, by a clock that is a day ahead. Reads of the past prove
// nothing then.
func TestGraceByAClockInDoubt(t *testing.T) {
	scenario(t, studio.Config{Boot: 5 * time.Minute, StaleFor: 20 * time.Second}, Config{}, func(b *bench) {
		provider := &dateless{wire: &b.wire}
		b.close()
		b.open(provider)
		id := b.start("ws-2")
		b.goRun()
		b.after(100 * time.Millisecond)
		b.close()
		b.open(provider)
		b.skew.Store(int64(24 * time.Hour))
		b.goRun()
		b.after(time.Minute)
		b.skew.Store(0)
		b.all([]ID{id})
		b.want(id, fsm.Succeeded, "", 1)
	})
}

// TestGraceIsNoJump: the clock was half a day behind and is set right in a boot's
// first seconds. A read of the past is no proof then, either.
func TestGraceIsNoJump(t *testing.T) {
	scenario(t, studio.Config{Boot: 5 * time.Minute, StaleFor: 45 * time.Second}, Config{}, func(b *bench) {
		b.skew.Store(-int64(12 * time.Hour))
		b.goRun()
		id := b.start("ws-1")
		b.after(3 * time.Second)
		b.skew.Store(0)
		b.after(6 * time.Minute)
		b.want(id, fsm.Succeeded, "", 1)
	})
}

// TestGraceByTheClockOfAnotherRun: the start was accepted by a clock that was half
// a day behind, and the host died before that was noticed. The next Run's clock is
// right and confirmed at once. A read of the past is no proof then, either.
func TestGraceByTheClockOfAnotherRun(t *testing.T) {
	scenario(t, studio.Config{Boot: 5 * time.Minute, StaleFor: 45 * time.Second}, Config{}, func(b *bench) {
		b.skew.Store(-int64(12 * time.Hour))
		id := b.start("ws-1")
		b.goRun()
		b.after(100 * time.Millisecond)
		b.want(id, fsm.Starting, "", 1)
		b.restart()
		b.skew.Store(0)
		b.goRun()
		b.all([]ID{id})
		b.want(id, fsm.Succeeded, "", 1)
	})
}

// TestSleepBeforeTheLook: the first send of a Run came to nothing, and the laptop
// slept before the look. No clock was set: the token is still remembered.
func TestSleepBeforeTheLook(t *testing.T) {
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start && c.Nth == 1 {
			return studio.Fault{Err: &transport.Error{Kind: transport.Unknown}}
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1")
		b.after(2 * time.Second)
		b.skew.Store(int64(3 * time.Hour))
		b.after(10 * time.Minute)
		b.want(id, fsm.Succeeded, "", 1)
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
		b.want(id, fsm.Failed, store.Timeout, 1)
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
		b.want(id, fsm.Failed, store.Timeout, 1)
	})
}

// TestRetryAfterAfterWrongClock: a stored Retry-After of a clock that was ahead
// does not hide a new one.
func TestRetryAfterAfterWrongClock(t *testing.T) {
	var n atomic.Int64
	scenario(t, studio.Config{Intercept: func(studio.Call) studio.Fault {
		if n.Add(1) <= 2 {
			return studio.Fault{Err: &transport.Error{Kind: transport.Throttled, RetryAfter: 10 * time.Minute}}
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		b.skew.Store(int64(24 * time.Hour))
		b.goRun()
		id := b.start("ws-1")
		b.after(time.Second)
		b.skew.Store(0)
		b.after(5 * time.Minute)
		b.wantWaiting(id, Throttled)
		if n := b.wire.starts.Load(); n != 2 {
			t.Errorf("%d starts within minutes of a Retry-After of ten", n)
		}
	})
}

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
			b.want(id, fsm.Succeeded, "", 1)
		}
	})
}

// stale shows a deleted session once, then takes its time.
type stale struct{ gets atomic.Int64 }

func (s *stale) Start(_ context.Context, in transport.StartInput) (transport.Session, error) {
	return transport.Session{Ref: in.Ref, State: fsm.StartInProgress}, nil
}

func (s *stale) Get(_ context.Context, ref Ref) (transport.Session, error) {
	if s.gets.Add(1) == 1 {
		return transport.Session{Ref: ref, State: fsm.Deleted}, nil
	}
	time.Sleep(5 * time.Second)
	return transport.Session{Ref: ref, State: fsm.Ready}, nil
}

// TestEndAndFactAreFencedTogether: somebody changes the operation while an
// answer that brings both an end and a fact is on its way.
func TestEndAndFactAreFencedTogether(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		s := &stale{}
		b.close()
		b.open(s)
		b.goRun()
		id := b.start("ws-1")
		for s.gets.Load() < 2 {
			b.after(100 * time.Millisecond)
		}
		if err := b.RetryNow(b.Context(), id); err != nil {
			t.Fatal(err)
		}
		b.after(time.Minute)
		var got []string
		for ev := range b.Events(b.Context(), "") {
			got = append(got, string(ev.To)+" "+string(ev.Reason))
		}
		want := []string{"QUEUED ", "STARTING ", "STARTING unexpected_state", "STARTING unexpected_state", "SUCCEEDED "}
		if len(got) < 4 || got[len(got)-1] != "SUCCEEDED " {
			t.Errorf("the feed says %q, want about %q", got, want)
		}
	})
}

// faulty is a store whose Apply fails as told.
type faulty struct {
	store.Store
	keep atomic.Bool // the next one that starts an operation is kept, and unknown
	full atomic.Bool
}

func (f *faulty) Apply(ctx context.Context, cs []store.Change) ([]error, error) {
	if f.full.Load() {
		return nil, store.ErrFull
	}
	for _, c := range cs {
		for _, ev := range c.Events {
			if ev.To == fsm.Starting && f.keep.CompareAndSwap(true, false) {
				_, _ = f.Store.Apply(ctx, cs)
				return nil, store.ErrUnknown
			}
		}
	}
	return f.Store.Apply(ctx, cs)
}

// onFaulty puts the bench on a store that can fail.
func onFaulty(b *bench) *faulty {
	f := &faulty{}
	b.wrap = func(under store.Store) store.Store { f.Store = under; return f }
	b.restart()
	return f
}

// TestKeptCommitOfUnknownOutcome: what was stored is not stored again.
func TestKeptCommitOfUnknownOutcome(t *testing.T) {
	for name, lose := range map[string]bool{"start": false, "look": true} {
		t.Run(name, func(t *testing.T) {
			cfg := studio.Config{Boot: time.Minute, Intercept: func(c studio.Call) studio.Fault {
				return studio.Fault{Lost: lose && c.Action == studio.Start}
			}}
			scenario(t, cfg, Config{}, func(b *bench) {
				f := onFaulty(b)
				f.keep.Store(true)
				id := b.start("ws-1")
				b.goRun()
				b.after(10 * time.Minute)
				b.want(id, fsm.Succeeded, "", 1)
				n := 0
				for ev := range b.Events(b.Context(), "") {
					if ev.To == fsm.Starting {
						n++
					}
				}
				if n != 1 || f.keep.Load() {
					t.Errorf("%d events say STARTING, want one", n)
				}
			})
		})
	}
}

// TestFullWhileDraining: the store has no space when Run ends; the same engine
// runs again when it has.
func TestFullWhileDraining(t *testing.T) {
	scenario(t, studio.Config{Latency: 2 * time.Second}, Config{}, func(b *bench) {
		f := onFaulty(b)
		id := b.start("ws-1")
		b.goRun()
		b.after(time.Second)
		f.full.Store(true)
		b.after(3 * time.Second)
		b.wantWaiting(id, StoreFull)
		b.end()
		f.full.Store(false)
		b.goRun()
		b.after(10 * time.Minute)
		b.want(id, fsm.Succeeded, "", 1)
	})
}

// TestNoSecondSendWithinTheTimeout: whatever made the look come early.
func TestNoSecondSendWithinTheTimeout(t *testing.T) {
	t.Parallel()
	j := lookJudge()
	j.traits = transport.Traits{Repeat: transport.ByState, StaleFor: time.Second}
	j.clock = clock{known: true, error: time.Second / 2}
	j.a.at = epoch.Add(1500 * time.Millisecond)
	j.a.read(transport.Session{State: fsm.Stopped, StartedAt: epoch.Add(-time.Hour)}, nil)
	j.decide()
	if want := j.op.LastSentAt.Add(j.cfg.Timeout + time.Second); j.resend || !j.op.DueAt.Equal(want) {
		t.Errorf("resend %v %v after the first send; want another look at %v", j.resend, j.a.at.Sub(j.op.LastSentAt), want)
	}
}

// TestNoSecondSendByTheClockOfAnotherRun: by that clock the send was half an hour
// ago. All that is known of it is that this Run began ten seconds ago.
func TestNoSecondSendByTheClockOfAnotherRun(t *testing.T) {
	t.Parallel()
	j := lookJudge()
	j.traits = transport.Traits{Repeat: transport.Never, StaleFor: time.Second}
	j.clock = clock{known: true, error: time.Second / 2}
	j.began = j.a.at.Add(-10 * time.Second)
	j.a.read(transport.Session{State: fsm.Stopped, StartedAt: epoch.Add(-time.Hour)}, nil)
	j.decide()
	if want := j.began.Add(j.cfg.Timeout + time.Second); j.resend || !j.op.DueAt.Equal(want) {
		t.Errorf("resend %v, ten seconds into this Run; want another look at %v, and it is %v", j.resend, want, j.op.DueAt)
	}
}

// TestSlowSendThenStaleRead: the send was ten seconds under way, and took effect;
// a read that may show how things stood half a minute ago is no proof against
// it half a minute after the send began.
func TestSlowSendThenStaleRead(t *testing.T) {
	cfg := studio.Config{StaleFor: 30 * time.Second, Boot: 5 * time.Minute, Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start && c.Nth == 1 {
			return studio.Fault{Delay: 10 * time.Second}
		}
		return studio.Fault{}
	}}
	scenario(t, cfg, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.all([]ID{id})
		b.want(id, fsm.Succeeded, "", 1)
	})
}

// TestDoubtHoldsWhatWasPerhapsSent: at boot the clock is years ahead. A look
// shows that the send came to nothing: it is not expired by that clock, but sent
// again when the clock is right.
func TestDoubtHoldsWhatWasPerhapsSent(t *testing.T) {
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start && c.Nth == 1 {
			return studio.Fault{Err: &transport.Error{Kind: transport.Unknown}}
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		b.goRun()
		b.all([]ID{b.start("ws-0")}) // so that the provider's clock is known when the other is sent
		id := b.start("ws-1")
		b.after(2 * time.Second)
		b.restart()
		b.skew.Store(int64(5 * 365 * 24 * time.Hour))
		b.goRun()
		b.after(5 * time.Minute)
		b.want(id, fsm.Queued, "", 0)
		b.wantWaiting(id, ClockHeld)
		b.skew.Store(0)
		b.after(10 * time.Minute)
		b.want(id, fsm.Succeeded, "", 1)
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
		b.want(id, fsm.Starting, "", 1)
		b.skew.Store(0)
		b.after(15 * time.Minute)
		b.want(id, fsm.Succeeded, "", 1)
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
		b.want(id, fsm.Succeeded, "", 1)
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
			return studio.Fault{Err: &transport.Error{Kind: transport.Throttled, RetryAfter: 10 * time.Minute}}
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
			b.want(id, fsm.Succeeded, "", 1)
		}
	})
}

// TestOwnStartIsNotSeenBefore: the first send took effect and its answer was
// lost; the session was stopped. By token the engine sends again, and the answer
// to that is lost too. When the token is forgotten, the startedAt of its own
// first send must not count as one from before.
func TestOwnStartIsNotSeenBefore(t *testing.T) {
	var blind atomic.Bool
	cfg := studio.Config{TokenMemory: time.Hour, Intercept: func(c studio.Call) studio.Fault {
		if blind.Load() {
			return studio.Fault{Err: &transport.Error{Kind: transport.Internal}}
		}
		return studio.Fault{Lost: c.Action == studio.Start && c.Nth <= 2}
	}}
	scenario(t, cfg, Config{}, func(b *bench) {
		b.goRun()
		b.all([]ID{b.start("ws-0")}) // so that the provider's clock is known
		id := b.start("ws-1")
		b.after(2 * time.Second)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		for starts := b.wire.starts.Load(); b.wire.starts.Load() == starts; {
			b.after(time.Second) // until it is sent again
		}
		blind.Store(true)
		b.after(2 * time.Hour)
		blind.Store(false)
		b.all([]ID{id})
		b.want(id, fsm.Failed, store.Ambiguous, 1)
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
		return studio.Fault{Err: &transport.Error{Kind: transport.Throttled, RetryAfter: 10 * time.Minute}}
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

// slowHead lets a waiter leave while the herald begins.
type slowHead struct{ store.Store }

func (s slowHead) Head(ctx context.Context) (store.Cursor, error) {
	select {
	case <-time.After(10 * time.Millisecond):
		return s.Store.Head(ctx)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// TestWaitIsNotToldOfAnothersContext: one waiter leaves as another comes.
func TestWaitIsNotToldOfAnothersContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := bolt.Open(t.TempDir()+"/rouse.db", bolt.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		e, err := New(slowHead{s}, studio.New(studio.Config{Any: true}), Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		r, err := e.Start(t.Context(), Request{Ref: Ref{StudioID: "a", SessionID: "b"}})
		if err != nil {
			t.Fatal(err)
		}
		gone, leave := context.WithCancel(t.Context())
		go e.Wait(gone, r.Operation.ID)
		time.Sleep(time.Millisecond)
		leave()
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		if _, err = e.Wait(ctx, r.Operation.ID); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, want its own context's end", err)
		}
		e.herald.mu.Lock()
		defer e.herald.mu.Unlock()
		if n := len(e.herald.subs); n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// TestExplainNextOfSlowLook: looks that are far apart are said to be.
func TestExplainNextOfSlowLook(t *testing.T) {
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start {
			return studio.Fault{Lost: true}
		}
		return studio.Fault{Err: &transport.Error{Kind: transport.Conflict}}
	}}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(10 * time.Minute)
		x := b.wantWaiting(id, Conflict)
		said := x.Next
		looks := b.wire.looks.Load()
		b.after(said.Sub(b.now()) - time.Second)
		if b.wire.looks.Load() != looks {
			t.Error("it was looked at before the time that was said")
		}
		b.after(3 * time.Second)
		if b.wire.looks.Load() == looks {
			t.Error("it was not looked at when that was said")
		}
	})
}

// TestExplainNextAfterWrongClock: nor is a time of a clock that was ahead told as
// the next step, which was pulled in long ago.
func TestExplainNextAfterWrongClock(t *testing.T) {
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		return studio.Fault{Err: &transport.Error{Kind: transport.Conflict}}
	}}, Config{}, func(b *bench) {
		b.skew.Store(int64(9 * time.Hour))
		b.goRun()
		id := b.start("ws-1")
		b.after(10 * time.Second)
		b.skew.Store(0)
		b.after(30 * time.Minute)
		if x := b.wantWaiting(id, Conflict); x.Next.Sub(b.now()) > 2*time.Minute {
			t.Errorf("the next step is said to be in %v: %s", x.Next.Sub(b.now()), x.Text)
		}
	})
}

// TestSessionsOfOneThatCannotList: what operations know must do, behind a Mux
// too.
func TestSessionsOfOneThatCannotList(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		var m transport.Mux
		m.Handle("*", &stale{})
		b.close()
		b.open(&m)
		b.start("ws-1")
		n := 0
		for k, err := range b.Sessions(b.Context(), "studio") {
			if n++; err != nil || k.Live || k.Session.SessionID != "ws-1" {
				t.Errorf("%+v, %v; want what is known", k, err)
			}
		}
		if n != 1 {
			t.Errorf("%d sessions, want one", n)
		}
	})
}

// TestStateWithoutBounds: a provider's state may be any text, and is stored and
// told as it is: of one that is not known only the beginning, on one line.
func TestStateWithoutBounds(t *testing.T) {
	state := fsm.State("MELTING\x1b[2J\r\n" + strings.Repeat("é", 1<<19))
	melting := &transport.Session{Ref: Ref{StudioID: "studio", SessionID: "ws-1"}, State: state}
	scenario(t, studio.Config{Boot: time.Hour}, Config{Budget: 5 * time.Minute}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(time.Second)
		b.studio.Put(*melting)
		b.all([]ID{id})
		told := []fsm.State{b.op(id).Session}
		for ev, err := range b.Events(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			told = append(told, ev.Session)
		}
		for _, s := range told {
			if len(s) > maxState+len("…") || strings.ContainsFunc(string(s), unicode.IsControl) {
				t.Errorf("a state of %d bytes: %.80q", len(s), s)
			}
		}
		if got := b.op(id).Session; !strings.HasPrefix(string(got), "MELTING [2J  éé") {
			t.Errorf("the state is told as %q", got)
		}
		if text := b.op(id).LastError; len(text) > 2*maxError || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("an error of %d bytes: %.80q", len(text), text)
		}
	})
}

// dated is a provider whose dates are off.
type dated struct {
	*wire
	off *atomic.Int64
}

func (d dated) Get(ctx context.Context, ref Ref) (transport.Session, error) {
	s, err := d.wire.Get(ctx, ref)
	s.Date = s.Date.Add(time.Duration(d.off.Load()))
	return s, err
}

func (d dated) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	s, err := d.wire.Start(ctx, in)
	s.Date = s.Date.Add(time.Duration(d.off.Load()))
	return s, err
}

// BatchGet leaves the looks to Get.
func (d dated) BatchGet(ctx context.Context, refs []Ref) ([]transport.Result, error) {
	out := make([]transport.Result, len(refs))
	for i, ref := range refs {
		out[i].Session, out[i].Err = d.Get(ctx, ref)
	}
	return out, nil
}

// TestProviderClockSetBack: the provider's clock was ahead when a start was sent
// whose answer was lost, and is right by the time of the look. The session that it
// started, and that somebody stopped since, is not started again as one that had
// been started before the send.
func TestProviderClockSetBack(t *testing.T) {
	for _, off := range []time.Duration{24 * time.Hour, 200 * 365 * 24 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			var ahead atomic.Int64
			ahead.Store(int64(off))
			scenario(t, studio.Config{TokenMemory: time.Minute, Intercept: func(c studio.Call) studio.Fault {
				return studio.Fault{Lost: c.Action == studio.Start && c.Ref.SessionID == "ws-1"}
			}}, Config{}, func(b *bench) {
				b.close()
				b.open(dated{&b.wire, &ahead})
				b.goRun()
				b.all([]ID{b.start("ws-0")})
				id := b.start("ws-1")
				b.after(2 * time.Second)
				if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
					t.Fatal(err)
				}
				b.studio.SetOffline(true)
				ahead.Store(0)
				b.after(10 * time.Minute) // the token is forgotten
				b.studio.SetOffline(false)
				b.all([]ID{id})
				if op := b.op(id); op.Phase != fsm.Failed || b.studio.Effects(op.Ref) != 1 {
					t.Errorf("%s (%s) %s, started %d times", op.Phase, op.Reason, op.LastError, b.studio.Effects(op.Ref))
				}
			})
		})
	}
}

// slowWay lets requests for one session take their time to the provider, so that
// the dates of its answers are later than the middle of the calls.
type slowWay struct{ *wire }

func (w slowWay) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	w.wait(in.Ref)
	return w.wire.Start(ctx, in)
}

func (w slowWay) Get(ctx context.Context, ref Ref) (transport.Session, error) {
	w.wait(ref)
	return w.wire.Get(ctx, ref)
}

func (slowWay) wait(ref Ref) {
	if ref.SessionID == "ws-0" {
		time.Sleep(8 * time.Second)
	}
}

// TestSlowDateDatesNoSend: a provider's date that took seconds does not say when
// a send set out on its clock: the startedAt of that send seemed to be older than
// it, and a session that was stopped by hand was started again.
func TestSlowDateDatesNoSend(t *testing.T) {
	scenario(t, studio.Config{TokenMemory: time.Second, Boot: time.Second, Intercept: func(c studio.Call) studio.Fault {
		return studio.Fault{Lost: c.Action == studio.Start && c.Ref.SessionID == "ws-1"}
	}}, Config{}, func(b *bench) {
		b.close()
		b.open(slowWay{&b.wire})
		b.goRun()
		b.start("ws-0")
		b.after(8*time.Second + time.Millisecond)
		id := b.start("ws-1")
		b.after(2 * time.Second)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		b.after(6 * time.Hour)
		if op := b.op(id); op.Phase != fsm.Failed || b.studio.Effects(op.Ref) != 1 {
			t.Errorf("%s %q, started %d times; want FAILED, once", op.Phase, op.Reason, b.studio.Effects(op.Ref))
		}
	})
}
