package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// plain is a provider without batches.
type plain struct{ w *wire }

func (p plain) Traits(ref transport.Ref) transport.Traits { return p.w.Traits(ref) }

func (p plain) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return p.w.Start(ctx, in)
}

func (p plain) Get(ctx context.Context, ref Ref) (transport.Session, error) { return p.w.Get(ctx, ref) }

// accept requests n more sessions, and returns the time until the last start was accepted.
func (b *bench) accept(round, n int) time.Duration {
	b.Helper()
	ids := make([]ID, n)
	for i := range ids {
		ids[i] = b.start(fmt.Sprintf("ws-%d-%d", round, i))
	}
	began := time.Now()
	for _, id := range ids {
		for b.op(id).Phase == fsm.PhaseQueued {
			b.after(250 * time.Millisecond)
		}
	}
	return time.Since(began)
}

// paceOf returns the stored record of the studio's lane.
func (b *bench) paceOf() store.Lane {
	b.Helper()
	l, err := b.store.Lane(b.Context(), "studio")
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// TestPaceIsRemembered: a lane that was not throttled begins at its full rate from the second
// Run on. A lane that was throttled begins low for a day.
func TestPaceIsRemembered(t *testing.T) {
	var throttle atomic.Bool
	scenario(t, studio.Config{Boot: time.Minute, Intercept: func(studio.Call) studio.Fault {
		if throttle.CompareAndSwap(true, false) {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindThrottled}}
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		again := func(round, n int) time.Duration {
			b.close()
			b.open(plain{&b.wire})
			b.goRun()
			took := b.accept(round, n)
			b.after(10 * time.Minute) // they are READY, and the lane is idle
			return took
		}
		first := again(1, 300)
		if got := b.paceOf(); got.Pace != 10 || !got.ThrottledAt.IsZero() {
			t.Errorf("stored after the first Run: %+v, want pace 10", got)
		}
		second := again(2, 300)
		t.Logf("300 starts were accepted in %v, and in %v by a later Run", first, second)
		if first > 65*time.Second || second >= first { // as the documentation of LaneConfig says
			t.Errorf("300 starts took %v and then %v", first, second)
		}
		few := again(3, 20)
		throttle.Store(true)
		b.start("throttled")
		b.after(10 * time.Second)
		if got := b.paceOf(); got.Pace != 0 || got.ThrottledAt.IsZero() {
			t.Errorf("stored of a throttled lane: %+v", got)
		}
		slow := again(4, 20)
		b.after(24 * time.Hour)
		before := again(5, 20) // the lane begins low, and reaches its full rate again
		after := again(6, 20)
		t.Logf("20 starts: %v at the known rate, %v after it was throttled, a day later %v, and then %v", few, slow, before, after)
		if few > 4*time.Second || slow < few+time.Second || before < few+time.Second || after > 4*time.Second {
			t.Errorf("20 starts took %v, %v, %v, %v", few, slow, before, after)
		}
	})
}

// TestPaceIsWrittenSeldom: a lane that is throttled again and again is written once
// an hour, and its rate once.
func TestPaceIsWrittenSeldom(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := &lane{stored: &store.Lane{Name: "l"}, pace: newPace(10, 0, now)}
	writes := 0
	answer := func(kind transport.Kind) {
		a := decide.Answer{}
		if a.Read(transport.Session{State: fsm.StateReady}, nil); kind != transport.KindUnknown {
			a.Read(transport.Session{}, &transport.Error{Kind: kind})
		}
		l.answered(a, now, now)
		if l.notePace(&a, now) {
			writes++
		}
		now = now.Add(time.Second)
	}
	for range 100 {
		answer(transport.KindUnreachable)
	}
	if writes != 0 {
		t.Errorf("%d writes while the provider was unreachable", writes)
	}
	for range 1000 {
		answer(transport.KindUnknown) // a good answer
	}
	if writes != 1 || l.stored.Pace != 10 {
		t.Errorf("%d writes for 1000 good answers, pace %d", writes, l.stored.Pace)
	}
	for n := range 7200 {
		if answer(transport.KindUnknown); n%10 == 0 {
			answer(transport.KindThrottled)
		}
	}
	if writes < 3 || writes > 5 {
		t.Errorf("%d writes after two hours of throttling, want one an hour", writes-1)
	}
}
