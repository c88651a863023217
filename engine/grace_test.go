package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// What once led astray: each test failed before it was mended.

// dateless tells no time, and loses the first start of ws-1 on its way.
type dateless struct {
	*wire
	lost atomic.Bool
}

func (d *dateless) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	if in.SessionID == "ws-1" && d.lost.CompareAndSwap(false, true) {
		return transport.Session{}, &transport.Error{Kind: transport.KindUnknown}
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
		return studio.Fault{Err: &transport.Error{Kind: transport.KindUnknown}}
	}}, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1", func(r *Request) { r.ExpiresAt = b.now().Add(time.Hour) })
		b.after(5 * time.Second)
		b.skew.Store(int64(2 * 365 * 24 * time.Hour))
		b.after(5 * time.Minute)
		b.skew.Store(0)
		b.after(26 * time.Hour)
		b.want(id, fsm.PhaseFailed, store.ReasonUnobservable, 0)
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
		b.want(id, fsm.PhaseSucceeded, "", 1)
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
		b.want(id, fsm.PhaseSucceeded, "", 1)
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
		b.want(id, fsm.PhaseStarting, "", 1)
		b.restart()
		b.skew.Store(0)
		b.goRun()
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

// TestSlowSendThenStaleRead: the send was ten seconds under way, and took effect;
// a read that may show how things stood half a minute ago is no proof against
// it half a minute after the send began.
func TestSlowSendThenStaleRead(t *testing.T) {
	cfg := studio.Config{StaleFor: 30 * time.Second, Boot: 5 * time.Minute, Intercept: firstStart(studio.Fault{Delay: 10 * time.Second})}
	scenario(t, cfg, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}
