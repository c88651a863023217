package engine

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// deadNode makes every call for the session "dead" meet a fault while on is set.
func deadNode(on *atomic.Bool, f studio.Fault) studio.Config {
	return studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if on.Load() && c.Ref.SessionID == "dead" {
			return f
		}
		return studio.Fault{}
	}}
}

// oneDead has the errors that every call to a dead machine may return.
func oneDead() map[string]struct {
	fault studio.Fault
	why   WaitReason
} {
	only := func(e transport.Error) studio.Fault { e.OnlySession = true; return studio.Fault{Err: &e} }
	return map[string]struct {
		fault studio.Fault
		why   WaitReason
	}{
		"unreachable":                 {only(transport.Error{Kind: transport.KindUnreachable, NotSent: true, Message: "no route"}), WaitOffline},
		"unreachable, maybe sent":     {only(transport.Error{Kind: transport.KindUnreachable, Message: "no route"}), WaitOffline},
		"silent, as its driver knows": {only(transport.Error{Kind: transport.KindUnknown}), WaitOffline},
		"silent":                      {studio.Fault{Delay: 24 * time.Hour}, WaitOffline},
		"credentials":                 {only(transport.Error{Kind: transport.KindCredentials, Code: "bad password"}), WaitCredentials},
		"throttled":                   {only(transport.Error{Kind: transport.KindThrottled, RetryAfter: time.Minute}), WaitThrottled},
	}
}

// TestOneDeadMachine: a machine that cannot be reached does not block its lane. Other
// machines start at once. The dead one has a backoff of its own, Explain names it, and it
// starts when it is back.
func TestOneDeadMachine(t *testing.T) {
	for name, c := range oneDead() {
		t.Run(name, func(t *testing.T) {
			var on atomic.Bool
			on.Store(true)
			cfg := deadNode(&on, c.fault)
			scenario(t, cfg, Config{}, func(b *bench) {
				b.goRun()
				dead := b.start("dead")
				b.after(20 * time.Millisecond)
				atOnce := func(session string) {
					began := time.Now()
					id := b.start(session)
					b.all([]ID{id})
					if took := time.Since(began); took > 3*time.Second {
						t.Errorf("%s, a machine that works, took %v", session, took)
					}
				}
				atOnce("well-1")
				b.after(5 * time.Minute) // only the dead machine was called since
				atOnce("well-2")
				b.after(time.Minute)
				calls := b.wire.starts.Load() + b.wire.reads.Load()
				b.after(10 * time.Minute)
				if n := b.wire.starts.Load() + b.wire.reads.Load() - calls; n > 20 {
					t.Errorf("%d calls in ten minutes for a dead machine", n)
				}
				x := b.wantWaiting(dead, c.why)
				if !strings.Contains(x.Text, "session studio/dead") || !x.OnlySession {
					t.Errorf("Text does not name the session, or names more: %s", x.Text)
				}
				if s, err := b.Stats(b.Context()); err != nil || len(s.Lanes) != 1 || s.Lanes[0].Blocked != "" {
					t.Errorf("%+v, %v, want an unblocked lane", s.Lanes, err)
				}
				on.Store(false)
				b.after(90 * time.Second)
				b.want(dead, fsm.PhaseSucceeded, "", 1)
			})
		})
	}
}

// TestOneSilentBoot: a session that boots cannot be reached for longer than its boot timeout.
// It does not time out when it can be reached again and still boots.
func TestOneSilentBoot(t *testing.T) {
	for name, c := range oneDead() {
		if c.why == WaitThrottled { // the provider answers
			continue
		}
		t.Run(name, func(t *testing.T) {
			var on atomic.Bool
			cfg := deadNode(&on, c.fault)
			cfg.Boot = 2 * time.Hour
			scenario(t, cfg, Config{BootTimeout: 20 * time.Minute}, func(b *bench) {
				b.goRun()
				id := b.start("dead")
				b.after(10 * time.Minute)
				for range 2 {
					on.Store(true)
					b.after(18 * time.Minute)
					on.Store(false)
					b.after(90 * time.Second)
					b.want(id, fsm.PhaseStarting, "", 1)
				}
				b.after(9 * time.Minute) // 13 of its 20 minutes have counted so far
				b.want(id, fsm.PhaseFailed, store.ReasonTimeout, 1)
			})
		})
	}
}

// TestTrialOfADeadMachine: an offline lane is unblocked, although its first trial call is for a
// dead machine.
func TestTrialOfADeadMachine(t *testing.T) {
	var on atomic.Bool
	on.Store(true)
	cfg := deadNode(&on, studio.Fault{Err: &transport.Error{Kind: transport.KindUnreachable, NotSent: true, OnlySession: true}})
	scenario(t, cfg, Config{}, func(b *bench) {
		b.studio.SetOffline(true)
		b.goRun()
		dead := b.start("dead")
		b.after(time.Second)
		ids := b.startMany("studio", 20)
		b.after(time.Hour)
		b.wantWaiting(dead, WaitOffline)
		b.studio.SetOffline(false)
		b.after(2*time.Minute + 20*time.Second)
		for _, id := range ids {
			b.want(id, fsm.PhaseSucceeded, "", 1)
		}
		b.want(dead, fsm.PhaseQueued, "", 0)
	})
}

// TestUnreachableStarts: starts do not reach the provider, but reads do. The waits between
// the sends grow, and the error is shown.
func TestUnreachableStarts(t *testing.T) {
	var on atomic.Bool
	on.Store(true)
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if on.Load() && c.Action == studio.Start {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindUnreachable, NotSent: true, Message: "the power switch is not reached"}}
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1")
		b.after(2 * time.Minute)
		if n := b.wire.starts.Load(); n < 5 || n > 10 {
			t.Errorf("%d sends in two minutes, want growing waits between them", n)
		}
		x := b.wantWaiting(id, WaitOffline)
		if !strings.Contains(x.Error, "the power switch is not reached") || !strings.Contains(x.Text, x.Error) || x.Operation.Attempts != 0 {
			t.Errorf("%q does not show the error %q; %d attempts are counted", x.Text, x.Error, x.Operation.Attempts)
		}
		on.Store(false)
		b.after(90 * time.Second)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}
