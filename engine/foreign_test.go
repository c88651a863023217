package engine

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestForeignStore: on another machine the engine accepts requests, but makes no call and
// ends nothing. After the adoption everything goes on, and a session whose start may have
// been sent is read first.
func TestForeignStore(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Hour}, Config{BootTimeout: 5 * time.Hour}, func(b *bench) {
		b.db = bolt.Config{Machine: "farm-03"}
		b.restart()
		b.goRun()
		booting := b.start("ws-1")
		queued := b.start("ws-2", func(r *Request) { r.NotBefore = time.Now().Add(10 * time.Minute) })
		expires := b.start("ws-3", func(r *Request) {
			r.NotBefore, r.ExpiresAt = time.Now().Add(10*time.Minute), time.Now().Add(20*time.Minute)
		})
		b.after(time.Minute)
		b.want(booting, fsm.PhaseStarting, "", 1)

		b.db = bolt.Config{Machine: "farm-07"}
		b.restart()
		if s, err := b.Stats(b.Context()); err != nil || s.Foreign == nil || s.Foreign.Home == "" {
			t.Fatalf("foreign %+v, %v", s.Foreign, err)
		}
		b.wantWaiting(queued, WaitForeignStore) // although no Run goes on either
		calls := b.wire.starts.Load() + b.wire.reads.Load()
		b.goRun()
		fresh := b.start("ws-4")
		withdrawn := b.start("ws-5")
		if c, err := b.Cancel(b.Context(), withdrawn, "mo"); err != nil || c != CancellationNeverSent {
			t.Errorf("Cancel of an operation that was requested here: %v, %v", c, err)
		}
		before := b.sum()
		b.after(40 * time.Minute)
		if n := b.wire.starts.Load() + b.wire.reads.Load() - calls; n != 0 || b.sum() != before {
			t.Errorf("%d calls, and written %v, while the store is foreign", n, b.sum() != before)
		}
		for _, id := range []ID{booting, queued, expires, fresh} {
			b.wantWaiting(id, WaitForeignStore)
		}

		if err := b.Adopt(b.Context(), "mo"); err != nil {
			t.Fatal(err)
		}
		b.all([]ID{booting, queued, expires, fresh})
		b.want(booting, fsm.PhaseSucceeded, "", 1)
		b.want(queued, fsm.PhaseSucceeded, "", 1)
		b.want(expires, fsm.PhaseExpired, store.ReasonExpired, 0)
		b.want(fresh, fsm.PhaseSucceeded, "", 1)
		b.want(withdrawn, fsm.PhaseCanceled, store.ReasonCanceled, 0)
		if s, err := b.Stats(b.Context()); err != nil || s.Foreign != nil {
			t.Errorf("adopted, and foreign %+v, %v", s.Foreign, err)
		}
		adopted := 0
		for ev := range b.Events(b.Context(), "") {
			if ev.Reason == store.ReasonAdopted {
				adopted++
				if ev.By != "mo" || ev.Operation != "" || ev.At.IsZero() {
					t.Errorf("%+v does not name the adopter, or has more than that", ev)
				}
			}
		}
		if adopted != 1 {
			t.Errorf("%d events say that the store was adopted", adopted)
		}
	})
}

// TestForeignStoreSentByItsOwner: the other machine has sent an operation that the copy holds
// as never sent. The session is not started twice.
func TestForeignStoreSentByItsOwner(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Minute}, Config{}, func(b *bench) {
		b.db = bolt.Config{Machine: "farm-03"}
		b.restart()
		id := b.start("ws-1")
		op := b.op(id)
		b.db = bolt.Config{Machine: "farm-07"}
		b.restart()
		b.goRun()
		b.after(time.Minute)
		if _, err := b.studio.Start(b.Context(), transport.StartInput{Ref: op.Ref, ClientToken: op.ClientToken}); err != nil { // the other machine's start
			t.Fatal(err)
		}
		b.after(10 * time.Minute)
		if err := b.Adopt(b.Context(), "mo"); err != nil {
			t.Fatal(err)
		}
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
		if n := b.wire.starts.Load(); n != 0 {
			t.Errorf("%d sends, want none: a read shows that the session is READY", n)
		}
	})
}
