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

// TestHeld: on another machine nothing is called and nothing ends, whatever the
// hour; requests are taken. Adopted, all goes on, and what may have been sent is
// looked at first.
func TestHeld(t *testing.T) {
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
			t.Fatalf("held %+v, %v", s.Foreign, err)
		}
		b.wantWaiting(queued, WaitForeignStore) // whatever else there is
		calls := b.wire.starts.Load() + b.wire.looks.Load()
		b.goRun()
		fresh := b.start("ws-4")
		withdrawn := b.start("ws-5")
		if c, err := b.Cancel(b.Context(), withdrawn, "mo"); err != nil || c != CancellationNeverSent {
			t.Errorf("Cancel of what was asked for here: %v, %v", c, err)
		}
		before := b.sum()
		b.after(40 * time.Minute)
		if n := b.wire.starts.Load() + b.wire.looks.Load() - calls; n != 0 || b.sum() != before {
			t.Errorf("%d calls, and written %v, while it is held", n, b.sum() != before)
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
			t.Errorf("adopted, and held %+v, %v", s.Foreign, err)
		}
		adopted := 0
		for ev := range b.Events(b.Context(), "") {
			if ev.Reason == store.ReasonAdopted {
				adopted++
				if ev.By != "mo" || ev.Operation != "" || ev.At.IsZero() {
					t.Errorf("%+v does not say who adopted it, or says more", ev)
				}
			}
		}
		if adopted != 1 {
			t.Errorf("%d events say that it was adopted", adopted)
		}
	})
}

// TestHeldWhileTheOtherSends: the other machine has sent what the copy holds as
// never sent. It is not started twice.
func TestHeldWhileTheOtherSends(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Minute}, Config{}, func(b *bench) {
		b.db = bolt.Config{Machine: "farm-03"}
		b.restart()
		id := b.start("ws-1")
		op := b.op(id)
		b.db = bolt.Config{Machine: "farm-07"}
		b.restart()
		b.goRun()
		b.after(time.Minute)
		if _, err := b.studio.Start(b.Context(), transport.StartInput{Ref: op.Ref, ClientToken: op.ClientToken}); err != nil { // the other one does
			t.Fatal(err)
		}
		b.after(10 * time.Minute)
		if err := b.Adopt(b.Context(), "mo"); err != nil {
			t.Fatal(err)
		}
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
		if n := b.wire.starts.Load(); n != 0 {
			t.Errorf("%d sends: a look shows that it is READY", n)
		}
	})
}
