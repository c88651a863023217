package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// Runs that a timer makes, each for seconds: none may wait again for what an
// earlier one has waited for.

// byState is a provider that knows no token, and whose reads may show the past.
type byState struct{ *wire }

func (w byState) Traits(ref Ref) transport.Traits {
	tr := w.wire.Traits(ref)
	tr.Repeat, tr.StaleFor = transport.RepeatByState, 30*time.Second
	return tr
}

// TestShortRunsSettle: a server loses answers, and the host is killed again and
// again. Then the server behaves, and a timer runs the engine for 18 seconds a
// minute.
func TestShortRunsSettle(t *testing.T) {
	for name, provider := range map[string]func(*wire) transport.Transport{
		"by token": func(w *wire) transport.Transport { return w },
		"by state": func(w *wire) transport.Transport { return byState{w} },
	} {
		t.Run(name, func(t *testing.T) {
			var bad atomic.Bool
			bad.Store(true)
			lossy := func(c studio.Call) studio.Fault {
				if c.Action == studio.Start && bad.Load() {
					return studio.Fault{Err: &transport.Error{Kind: transport.KindUnknown}}
				}
				return studio.Fault{}
			}
			scenario(t, studio.Config{Boot: 5 * time.Second, StaleFor: 30 * time.Second, Intercept: lossy}, Config{}, func(b *bench) {
				b.boot.Store(1)
				p := provider(&b.wire)
				var ids []ID
				for i := range 5 {
					id := b.start(fmt.Sprintf("ws-%d", i))
					b.studio.Put(transport.Session{Ref: b.op(id).Ref, State: fsm.StateStopped, StartedAt: b.now().Add(-24 * time.Hour)})
					ids = append(ids, id)
				}
				for range 4 {
					b.runFor(p, 3*time.Second)
				}
				bad.Store(false)
				for range 5 {
					b.runFor(p, 18*time.Second)
					b.after(42 * time.Second)
				}
				for _, id := range ids {
					b.want(id, fsm.PhaseSucceeded, "", 1)
				}
			})
		})
	}
}

// TestShortRunsExpire: nor does an expiry wait for a Run of ten minutes: not that
// of a request of this boot, and not one of an earlier boot.
func TestShortRunsExpire(t *testing.T) {
	t.Run("of this boot", func(t *testing.T) {
		scenario(t, studio.Config{}, Config{}, func(b *bench) {
			b.boot.Store(1)
			id := b.start("ws-1", func(r *Request) { r.ExpiresAt = b.now().Add(2 * time.Second) })
			b.after(time.Minute)
			b.runFor(&b.wire, 2*time.Second)
			b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
		})
	})
	t.Run("of this boot, after a sleep", func(t *testing.T) {
		scenario(t, studio.Config{}, Config{}, func(b *bench) {
			b.boot.Store(1)
			id := b.start("ws-1", func(r *Request) { r.ExpiresAt = b.now().Add(time.Hour) })
			b.slept.Store(int64(2 * time.Hour))
			b.skew.Store(int64(2 * time.Hour))
			b.runFor(&b.wire, 2*time.Second)
			b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
		})
	})
	for name, every := range map[string]time.Duration{"each minute": time.Minute, "each half hour": 30 * time.Minute} {
		for boot, known := range map[string]uint32{"": 2, ", without a clock since boot": 0} {
			t.Run("of an earlier boot, "+name+boot, func(t *testing.T) {
				scenario(t, studio.Config{}, Config{}, func(b *bench) {
					b.boot.Store(min(known, 1))
					b.studio.SetOffline(true)
					id := b.start("ws-1", func(r *Request) { r.ExpiresAt = b.now().Add(2 * time.Hour) })
					b.after(24 * time.Hour)
					b.boot.Store(known)
					runs := 0
					for !b.op(id).Phase.Ended() && runs < 100 {
						b.runFor(&b.wire, 18*time.Second)
						b.after(every - 18*time.Second)
						runs++
					}
					b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
					if runs > 40 || runs < 2 {
						t.Errorf("it took %d runs", runs)
					}
				})
			})
		}
	}
}

// TestShortRunsCatchAWrongClock: a Run of an hour trusts the clock; then the
// machine boots again, with a clock that is wrong. Short Runs do not believe that
// clock before it has behaved for ten minutes.
func TestShortRunsCatchAWrongClock(t *testing.T) {
	for _, wrong := range []time.Duration{30 * 24 * time.Hour, 26 * time.Hour} {
		for boot, known := range map[string]uint32{"": 1, ", without a clock since boot": 0} {
			t.Run(fmt.Sprint(wrong, boot), func(t *testing.T) {
				scenario(t, studio.Config{}, Config{}, func(b *bench) {
					b.boot.Store(known)
					b.studio.SetOffline(true)
					id := b.start("ws-1")
					b.runFor(&b.wire, time.Hour)
					b.boot.Store(2 * known)
					b.skew.Store(int64(wrong))
					for range 8 {
						b.runFor(&b.wire, 18*time.Second)
						b.after(42 * time.Second)
					}
					b.want(id, fsm.PhaseQueued, "", 0)
					b.skew.Store(0)
					b.studio.SetOffline(false)
					b.goRun()
					b.all([]ID{id})
					b.want(id, fsm.PhaseSucceeded, "", 1)
				})
			})
		}
	}
}

// TestTrustedClockIsTrustedAgain: within a boot, the next Run trusts at once a
// clock that was trusted and has behaved since, and none that has not.
func TestTrustedClockIsTrustedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		slept, skew time.Duration
		trusted     bool
	}{
		"as it was":             {0, 0, true},
		"after a sleep":         {8 * time.Hour, 8 * time.Hour, true},
		"set ahead":             {0, time.Hour, false},
		"set back":              {0, -time.Hour, false},
		"set back in the sleep": {8 * time.Hour, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			scenario(t, studio.Config{}, Config{}, func(b *bench) {
				b.boot.Store(1)
				b.goRun()
				b.all([]ID{b.start("ws-1")}) // its answers have dates
				b.restart()
				b.after(20 * time.Hour)
				b.slept.Store(int64(c.slept))
				b.skew.Store(int64(c.skew))
				b.goRun()
				if left := b.current().untrustedFor(); (left == 0) != c.trusted {
					t.Errorf("the clock is trusted in %v", left)
				}
			})
		})
	}
}

// TestSleepWithinARunKeepsTrust: a laptop that slept for hours need not wait for
// ten minutes before it ends what expired meanwhile.
func TestSleepWithinARunKeepsTrust(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.boot.Store(1)
		b.goRun()
		b.all([]ID{b.start("ws-0")})
		b.studio.SetOffline(true)
		id := b.start("ws-1", func(r *Request) { r.ExpiresAt = b.now().Add(time.Hour) })
		b.after(time.Minute)
		b.slept.Store(int64(8 * time.Hour))
		b.skew.Store(int64(8 * time.Hour))
		b.after(time.Minute)
		b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
	})
}

// TestShortRunsTimeOut: a boot that never ends uses up its time over Runs that
// follow one another closely, and not in the hours in which nothing ran.
func TestShortRunsTimeOut(t *testing.T) {
	scenario(t, studio.Config{Boot: 1000 * time.Hour}, Config{}, func(b *bench) {
		b.boot.Store(1)
		id := b.start("ws-1")
		b.runFor(&b.wire, 10*time.Second)
		b.after(5 * time.Hour)
		for range 25 {
			b.runFor(&b.wire, 18*time.Second)
			b.after(42 * time.Second)
		}
		b.want(id, fsm.PhaseStarting, "", 1)
		for range 10 {
			b.runFor(&b.wire, 18*time.Second)
			b.after(42 * time.Second)
		}
		b.want(id, fsm.PhaseFailed, store.ReasonTimeout, 1)
	})
}

// TestShortRunsGiveUp: an operation that cannot be read is not kept forever past its time.
func TestShortRunsGiveUp(t *testing.T) {
	for name, fail := range map[string]*transport.Error{
		"unclear answers": {Kind: transport.KindInternal}, "throttled": {Kind: transport.KindThrottled}, "no answer": {Kind: transport.KindUnreachable, NotSent: true},
	} {
		t.Run(name, func(t *testing.T) {
			var bad atomic.Bool
			scenario(t, studio.Config{Boot: 1000 * time.Hour, Intercept: func(studio.Call) studio.Fault {
				if bad.Load() {
					return studio.Fault{Err: fail}
				}
				return studio.Fault{}
			}}, Config{}, func(b *bench) {
				b.boot.Store(1)
				id := b.start("ws-1")
				b.runFor(&b.wire, 10*time.Second)
				bad.Store(true)
				b.after(25 * time.Hour)
				b.runFor(&b.wire, 18*time.Second)
				b.want(id, fsm.PhaseStarting, "", 1)
				for range 30 {
					b.runFor(&b.wire, 18*time.Second)
					b.after(42 * time.Second)
				}
				b.want(id, fsm.PhaseFailed, store.ReasonUnobservable, 1)
			})
		})
	}
}

// TestIdleRunsWriteNothing: what is kept of the clock is written by a Run that has
// something to do, and then seldom.
func TestIdleRunsWriteNothing(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.boot.Store(1)
		before := b.sum()
		b.goRun()
		b.after(time.Hour)
		b.end()
		if b.sum() != before {
			t.Error("a Run without anything to do wrote to the file")
		}
		b.goRun()
		b.all([]ID{b.start("ws-1")})
		b.after(5 * time.Minute)
		before = b.sum()
		b.after(time.Hour)
		if b.sum() != before {
			t.Error("an idle hour wrote to the file")
		}
	})
}

// slowMark is a store whose first commit of an intent takes its time.
type slowMark struct {
	store.Store
	slow atomic.Int32
}

func (s *slowMark) Apply(ctx context.Context, cs []store.Change) ([]error, error) {
	if cs[0].Operation.Sent == store.SentUnknown && s.slow.Add(1) == 1 {
		time.Sleep(20 * time.Second)
	}
	return s.Store.Apply(ctx, cs)
}

// TestOldIntentSendsNothing: what waits for a send to arrive counts from its
// intent. So an intent whose commit took long is withdrawn, and made again.
func TestOldIntentSendsNothing(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		s := &slowMark{}
		b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
		b.restart()
		b.goRun()
		id := b.start("ws-1")
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
		if n := s.slow.Load(); n < 2 || b.op(id).Attempts != 1 {
			t.Errorf("%d commits with an unknown outcome and %d attempts, want the second intent's send alone", n, b.op(id).Attempts)
		}
	})
}
