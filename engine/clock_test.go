package engine

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestExpiry: an operation that was not sent before its expiry ends EXPIRED and is never
// sent.
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
		b.want(id, fsm.PhaseQueued, "", 0)
		b.wantWaiting(paused, WaitScheduled)
		b.after(2 * time.Minute)
		b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
		b.wantWaiting(paused, WaitPaused)
		b.after(time.Hour)
		b.want(paused, fsm.PhaseExpired, store.ReasonExpired, 0)
		b.studio.SetOffline(false)
		b.after(time.Hour)
		b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
		if int(b.wire.starts.Load()) > 1 { // the first found the provider unreachable
			t.Error("an expired start was sent")
		}
	})
}

// TestUntrustedClock: after Run begins, an operation that looks expired waits until a
// provider's date confirms the clock, or ten minutes have passed.
func TestUntrustedClock(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		b.skew.Store(int64(30 * 24 * time.Hour)) // at boot the clock is a month ahead
		b.goRun()
		b.after(5 * time.Minute)
		b.wantWaiting(id, WaitUntrustedClock)
		b.want(id, fsm.PhaseQueued, "", 0)
		b.skew.Store(int64(0)) // the time service sets it right
		b.studio.SetOffline(false)
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestClockTrustedAfterTenMinutes: without a provider's date, the clock is trusted ten
// minutes after Run begins.
func TestClockTrustedAfterTenMinutes(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		b.after(25 * time.Hour)
		b.goRun()
		b.after(9 * time.Minute)
		b.want(id, fsm.PhaseQueued, "", 0)
		b.after(2 * time.Minute)
		b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
	})
}

// TestSleep: a laptop sleeps for hours. Timers stand still, and the wall clock does not.
// Half a minute after it wakes, due operations are sent.
func TestSleep(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.goRun()
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		scheduled := b.start("ws-2", func(r *Request) { r.StudioID = "other"; r.NotBefore = time.Now().Add(8 * time.Hour) })
		b.after(10 * time.Minute) // now trial calls are a minute apart
		b.studio.SetOffline(false)
		b.skew.Store(int64(8 * time.Hour))
		b.after(decide.LongestSleep + 3*time.Second)
		b.want(id, fsm.PhaseSucceeded, "", 1)
		b.want(scheduled, fsm.PhaseSucceeded, "", 1)
	})
}

// TestSleepInBoot: a laptop sleeps while a session boots, and the session still boots when
// the laptop wakes. The boot timeout counts the time awake.
func TestSleepInBoot(t *testing.T) {
	scenario(t, studio.Config{Boot: 20 * time.Minute}, Config{}, func(b *bench) {
		b.goRun()
		b.after(10 * time.Minute)
		id := b.start("ws-1")
		b.after(time.Minute)
		b.skew.Store(int64(2 * time.Hour))
		b.after(25 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
		b.studio.Put(transport.Session{Ref: Ref{StudioID: "other", SessionID: "ws-2"}, State: fsm.StateStartInProgress})
		late := b.start("ws-2", func(r *Request) { r.StudioID = "other" })
		b.after(35 * time.Minute)
		b.want(late, fsm.PhaseFailed, store.ReasonTimeout, 0)
	})
}

// TestClockSetBack: due times that a clock dated while it was ahead are brought forward. A
// not-before stays.
func TestClockSetBack(t *testing.T) {
	scenario(t, studio.Config{Quota: 1}, Config{}, func(b *bench) {
		b.skew.Store(int64(365 * 24 * time.Hour))
		b.goRun()
		first := b.start("ws-1")
		b.all([]ID{first})
		waits := b.start("ws-2")
		later := b.start("ws-3", func(r *Request) { r.NotBefore = b.now().Add(time.Hour) })
		b.after(2 * time.Second)
		b.wantWaiting(waits, WaitQuota)
		b.skew.Store(int64(0))
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(first).Ref, ClientToken: "x"}); err != nil {
			t.Fatal(err)
		}
		b.after(time.Hour)
		b.want(waits, fsm.PhaseSucceeded, "", 1)
		b.want(later, fsm.PhaseQueued, "", 0)
	})
}

// TestTimeout: a boot that takes too long ends FAILED by timeout. When its session becomes
// READY later, the feed has one fact.
func TestTimeout(t *testing.T) {
	scenario(t, studio.Config{Boot: 40 * time.Minute}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(31 * time.Minute)
		b.want(id, fsm.PhaseFailed, store.ReasonTimeout, 1)
		b.after(5 * time.Hour) // the session is READY after 40 minutes, and the end stays
		b.want(id, fsm.PhaseFailed, store.ReasonTimeout, 1)
		var late []Event
		for ev := range b.Events(b.Context(), "") {
			if ev.Reason == store.ReasonLateReady {
				late = append(late, ev)
			}
		}
		if len(late) != 1 || late[0].Session != fsm.StateReady || late[0].From != fsm.PhaseFailed || late[0].To != fsm.PhaseFailed {
			t.Errorf("late_ready events: %+v, want one", late)
		}
	})
}

// TestDeadlineAfterLongSleep: the host was off for days. Each session whose start was
// accepted is read once more before its operation ends.
func TestDeadlineAfterLongSleep(t *testing.T) {
	scenario(t, studio.Config{Boot: 1000 * time.Hour}, Config{}, func(b *bench) {
		b.goRun()
		boots, runs := b.start("boots"), b.start("runs")
		b.after(5 * time.Second)
		b.end()
		b.studio.Put(transport.Session{Ref: b.op(runs).Ref, State: fsm.StateReady})
		b.after(72 * time.Hour)
		b.goRun()
		b.after(time.Minute)
		b.want(boots, fsm.PhaseFailed, store.ReasonTimeout, 1)
		if op := b.op(runs); op.Phase != fsm.PhaseSucceeded {
			t.Errorf("a session that runs ended %s %q", op.Phase, op.EndReason)
		}
	})
}
