package engine

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// Calls during which time passes. The age of a request counts to the answer, not
// to the beginning of the call.

// TestSlowReadOfOurOwnStart: the first send starts the session, its answer is lost, and a
// user stops the session. Reads take nearly as long as the time-out. No read proves that
// the session was started before the request.
func TestSlowReadOfOurOwnStart(t *testing.T) {
	var sent atomic.Bool
	slow := func(c studio.Call) studio.Fault {
		switch {
		case c.Action == studio.Start:
			return studio.Fault{Lost: !sent.Swap(true)}
		case c.Action == studio.Get && sent.Load():
			return studio.Fault{Delay: 14 * time.Second}
		}
		return studio.Fault{}
	}
	scenario(t, studio.Config{TokenMemory: time.Second, Intercept: slow}, Config{}, func(b *bench) {
		b.boot.Store(1)
		p := byState{&b.wire}
		b.close()
		b.open(p)
		b.goRun()
		id := b.start("ws-1")
		b.after(2 * time.Second)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		b.all([]ID{id})
		b.want(id, fsm.PhaseFailed, store.ReasonAmbiguous, 1)
	})
}

// TestSleepDuringASend: a machine sleeps for hours while a send is under way, and
// the send has no effect. The sleep is part of the age of the request. So the
// request has expired, and the engine does not take its clock for one that was behind.
func TestSleepDuringASend(t *testing.T) {
	throttled := studio.Fault{Delay: 5 * time.Second, Err: &transport.Error{Kind: transport.KindThrottled}}
	scenario(t, studio.Config{Intercept: firstStart(throttled)}, Config{}, func(b *bench) {
		b.boot.Store(1)
		b.goRun()
		b.after(decide.TrustAfter) // from here on the clock is trusted
		id := b.start("ws-1", func(r *Request) { r.ExpiresAt = b.now().Add(time.Hour) })
		asked := b.op(id)
		b.after(2 * time.Second)
		b.slept.Store(int64(4 * time.Hour))
		b.skew.Store(int64(4 * time.Hour))
		b.all([]ID{id})
		b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
		if op := b.op(id); !op.CreatedAt.Equal(asked.CreatedAt) || !op.ExpiresAt.Equal(asked.ExpiresAt) {
			t.Errorf("made %v, expires %v; was %v, %v", op.CreatedAt, op.ExpiresAt, asked.CreatedAt, asked.ExpiresAt)
		}
	})
}
