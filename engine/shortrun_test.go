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

// Short Runs that a timer starts. A Run must not repeat the waits of earlier Runs.

// byState is a provider that remembers no token, and whose reads may show the past.
type byState struct{ *wire }

func (w byState) Traits(ref Ref) transport.Traits {
	tr := w.wire.Traits(ref)
	tr.Repeat, tr.StaleFor = transport.RepeatByState, 30*time.Second
	return tr
}

// TestShortRunsFinish: a server loses answers, and the host is killed again and again. Then
// the server works, a timer runs the engine for 18 seconds a minute, and all operations
// end.
func TestShortRunsFinish(t *testing.T) {
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

// TestShortRunsExpire: an expiry needs no Run of ten minutes, whether the request was made in
// this boot or in an earlier one.
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

// TestShortRunsCatchAWrongClock: a Run of an hour trusts the clock. Then the machine boots
// again with a wrong clock. Short Runs do not trust that clock before it has behaved for
// ten minutes.
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

// TestTrustedClockIsTrustedAgain: within a boot, the next Run trusts at once a clock that was
// trusted and has behaved since. It does not trust a clock that has jumped.
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
				b.all([]ID{b.start("ws-1")}) // this provider's answers have dates
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

// TestSleepWithinARunKeepsTrust: a laptop slept for hours. It ends operations that expired
// meanwhile without a wait of ten minutes.
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

// TestShortRunsTimeOut: the boot timeout counts Runs that follow one another closely. It does
// not count hours in which nothing ran.
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

// TestShortRunsGiveUp: an operation whose session cannot be read ends after its deadline.
func TestShortRunsGiveUp(t *testing.T) {
	for name, fail := range map[string]*transport.Error{
		"answers without an outcome": {Kind: transport.KindInternal}, "throttled": {Kind: transport.KindThrottled}, "no answer": {Kind: transport.KindUnreachable, NotSent: true},
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

// TestIdleRunsWriteNothing: only a Run that has something to do writes the clock record, and
// it writes seldom.
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

// slowIntent is a store whose first commit of an intent is slow.
type slowIntent struct {
	store.Store
	slow atomic.Int32
}

func (s *slowIntent) Apply(ctx context.Context, cs []store.Change) ([]error, error) {
	if cs[0].Operation.Sent == store.SentUnknown && s.slow.Add(1) == 1 {
		time.Sleep(20 * time.Second)
	}
	return s.Store.Apply(ctx, cs)
}

// TestOldIntentSendsNothing: the wait for the arrival of a send counts from its intent. So
// the engine withdraws an intent whose commit took long, and makes a new one.
func TestOldIntentSendsNothing(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		s := &slowIntent{}
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
