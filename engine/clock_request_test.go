package engine

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/ram"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// Requests that were acknowledged by a wrong clock, or elsewhere.

// sinceEpoch sets the clock to 1970, a minute after its beginning.
func (b *bench) sinceEpoch() {
	b.skew.Store(int64(time.Until(time.Unix(60, 0))))
}

// dateless1970 answers without dates, so that nothing confirms a clock.
func dateless1970(b *bench) transport.Transport { return &dateless{wire: &b.wire} }

// TestAcknowledgedIn1970: a machine without a battery for its clock acknowledges a
// start in 1970, and then its clock is set. The start is carried out, and it
// expires as long after the request as was asked for.
func TestAcknowledgedIn1970(t *testing.T) {
	for boot, then := range map[string][2]uint32{"the same boot": {1, 1}, "another boot": {1, 2}, "boots are not known": {0, 0}} {
		for name, dated := range map[string]bool{"dates": true, "no dates": false} {
			t.Run(boot+", "+name, func(t *testing.T) {
				scenario(t, studio.Config{}, Config{}, func(b *bench) {
					var p transport.Transport = &b.wire
					if !dated {
						p = dateless1970(b)
					}
					b.close()
					b.open(p)
					b.boot.Store(then[0])
					b.sinceEpoch()
					id := b.start("ws-3")
					b.after(time.Minute)
					b.skew.Store(0)
					b.boot.Store(then[1])
					b.goRun()
					b.all([]ID{id})
					b.want(id, fsm.PhaseSucceeded, "", 1)
					b.end()
					if then[0] == then[1] && then[0] > 0 && b.op(id).FinishedAt.After(time.Date(2000, 1, 1, 0, 2, 0, 0, time.UTC)) {
						t.Errorf("a start whose age is known ended at %v only", b.op(id).FinishedAt)
					}

					b.sinceEpoch()
					late := b.start("ws-2", func(r *Request) { r.ExpiresAt = b.now().Add(4 * time.Hour) })
					b.skew.Store(0)
					b.studio.SetOffline(true)
					b.goRun()
					b.after(3 * time.Hour)
					b.want(late, fsm.PhaseQueued, "", 0)
					if op := b.op(late); op.Deadline().Before(b.now()) {
						t.Errorf("it is to end by %v, and now is %v", op.Deadline(), b.now())
					}
					b.after(75 * time.Minute)
					b.want(late, fsm.PhaseExpired, store.ReasonExpired, 0)
				})
			})
		}
	}
}

// TestAcknowledgedInTheRunIn1970: the clock is set while a Run goes on that began
// in 1970.
func TestAcknowledgedInTheRunIn1970(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.close()
		b.open(dateless1970(b))
		b.boot.Store(1)
		b.sinceEpoch()
		b.goRun()
		b.studio.SetOffline(true)
		id := b.start("ws-3")
		b.after(time.Minute)
		b.skew.Store(0)
		b.after(time.Minute)
		b.studio.SetOffline(false)
		b.after(2 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestNotBeforeOf1970: setting the clock does not end a not-before that was counted in
// 1970. One that is a time of the right clock stays as it is.
func TestNotBeforeOf1970(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		right := b.now()
		b.boot.Store(1)
		b.sinceEpoch()
		counted := b.start("ws-3", func(r *Request) { r.NotBefore = b.now().Add(2 * time.Hour) })
		clock := b.start("ws-2", func(r *Request) { r.NotBefore = right.Add(time.Hour) })
		b.skew.Store(0)
		b.goRun()
		b.after(55 * time.Minute)
		b.want(counted, fsm.PhaseQueued, "", 0)
		b.want(clock, fsm.PhaseQueued, "", 0)
		b.after(10 * time.Minute)
		b.want(counted, fsm.PhaseQueued, "", 0)
		b.want(clock, fsm.PhaseSucceeded, "", 1)
		b.after(time.Hour)
		b.want(counted, fsm.PhaseSucceeded, "", 1)
	})
}

// TestAcknowledgedByASlowClock: a clock that was days behind, as one that goes on
// where it stood when the machine was switched off.
func TestAcknowledgedByASlowClock(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.boot.Store(1)
		b.skew.Store(-int64(3 * 24 * time.Hour))
		id := b.start("ws-3")
		b.skew.Store(0)
		b.goRun()
		b.after(time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestClockIn1970: a request from before, and a clock that was not set since the
// machine booted. Whether the request has expired is not known: it is not sent,
// and Explain says why and what to do.
func TestClockIn1970(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.close()
		b.open(dateless1970(b))
		b.boot.Store(1)
		old := b.start("ws-3", func(r *Request) { r.ExpiresAt = b.now().Add(time.Hour) })
		fresh := b.start("ws-2", func(r *Request) { r.ExpiresAt = b.now().Add(72 * time.Hour) })
		b.after(25 * time.Hour)
		b.boot.Store(2)
		b.sinceEpoch()
		x := b.wantWaiting(old, WaitNotRunning)
		if x.Also != WaitUntrustedClock {
			t.Errorf("without a Run it waits for %q too, want the clock: %s", x.Also, x.Text)
		}
		b.goRun()
		b.after(2 * time.Hour)
		for _, id := range []ID{old, fresh} {
			x := b.wantWaiting(id, WaitUntrustedClock)
			if !strings.Contains(x.Text, "this machine's clock shows 1970-01-01T02:01:00Z") || !strings.Contains(x.Unblock, "clock to be set") {
				t.Errorf("this is said of it: %s", x.Text)
			}
		}
		if n := b.wire.starts.Load(); n > 0 {
			t.Errorf("%d starts", n)
		}
		b.skew.Store(0)
		b.after(15 * time.Minute)
		b.want(old, fsm.PhaseExpired, store.ReasonExpired, 0)
		b.want(fresh, fsm.PhaseSucceeded, "", 1)
	})
}

// TestAcceptedIn1970: the clock was set between two Runs while the session boots.
func TestAcceptedIn1970(t *testing.T) {
	for boot, then := range map[string]uint32{"the same boot": 1, "another boot": 2} {
		t.Run(boot, func(t *testing.T) {
			scenario(t, studio.Config{Boot: 20 * time.Minute}, Config{}, func(b *bench) {
				b.boot.Store(1)
				b.sinceEpoch()
				id := b.start("ws-3")
				b.runFor(&b.wire, time.Minute)
				b.want(id, fsm.PhaseStarting, "", 1)
				b.skew.Store(0)
				b.boot.Store(then)
				b.goRun()
				b.after(time.Minute)
				b.want(id, fsm.PhaseStarting, "", 1)
				b.after(20 * time.Minute)
				b.want(id, fsm.PhaseSucceeded, "", 1)
			})
		})
	}
}

// elsewhere are a backup that is opened and a store that another machine adopts.
var elsewhere = map[string]func(b *bench, p transport.Transport){
	"a backup": func(b *bench, p transport.Transport) {
		b.Helper()
		copied := filepath.Join(ram.Dir(b.T), "copy.db")
		if err := b.store.(*bolt.Store).Backup(b.Context(), copied); err != nil {
			b.Fatal(err)
		}
		b.close()
		b.path = copied
		b.open(p)
	},
	"an adopted store": func(b *bench, p transport.Transport) {
		b.Helper()
		b.close()
		b.db.Machine = "another"
		b.open(p)
		if err := b.Adopt(b.Context(), "ann"); err != nil {
			b.Fatal(err)
		}
	},
}

// TestStartedBeforeTheRequest: elsewhere, what was never sent counts as one whose
// outcome is not known. A session that was started before the request shows that
// no send had an effect; one that was started after it shows the contrary.
func TestStartedBeforeTheRequest(t *testing.T) {
	for place, move := range elsewhere {
		for _, c := range []struct {
			name    string
			started time.Duration // after the request
			want    fsm.Phase
		}{
			{"started a day before", -24 * time.Hour, fsm.PhaseSucceeded},
			{"started a quarter of an hour before", -15 * time.Minute, fsm.PhaseSucceeded},
			{"started when the clock may have been ahead", -8 * time.Minute, fsm.PhaseFailed},
			{"started since", time.Second, fsm.PhaseFailed},
		} {
			t.Run(place+", "+c.name, func(t *testing.T) {
				scenario(t, studio.Config{}, Config{}, func(b *bench) {
					p := byState{&b.wire}
					b.db.Machine = "the first"
					b.close()
					b.open(p)
					id := b.start("ws-3")
					b.studio.Put(transport.Session{Ref: b.op(id).Ref, State: fsm.StateStopped, StartedAt: b.now().Add(c.started)})
					b.after(time.Hour)
					move(b, p)
					if op := b.op(id); op.Sent != store.SentUnknown {
						t.Fatalf("sent: %v", op.Sent)
					}
					b.goRun()
					b.all([]ID{id})
					if op := b.op(id); op.Phase != c.want || b.studio.Effects(op.Ref) > 1 {
						t.Errorf("%s %q (%s), started %d times, want %s", op.Phase, op.EndReason, op.LastError, b.studio.Effects(op.Ref), c.want)
					}
				})
			})
		}
	}
}

// TestEndedIn1970: an operation that ended before the clock was set is not
// forgotten as one of decades ago. A host that repeats its request meets it.
func TestEndedIn1970(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.boot.Store(1)
		b.sinceEpoch()
		ask := func(r *Request) { r.ClientToken = "monday" }
		id := b.start("ws-3", ask)
		b.runFor(&b.wire, time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
		b.skew.Store(0)
		b.goRun()
		b.after(15 * time.Minute)
		if _, err := b.Prune(b.Context()); err != nil {
			t.Fatal(err)
		}
		if again := b.start("ws-3", ask); again != id {
			t.Errorf("the token was forgotten: operation %s, and it was %s", again, id)
		}
	})
}
