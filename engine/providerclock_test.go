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

// What the provider's clock proves about a startedAt.

// TestOwnStartIsNoEarlierStart: the first send started the session, its answer was lost,
// and the session was stopped. The engine sends again by token, and that answer is lost
// too. When the provider has forgotten the token, the startedAt of the first send must
// not count as earlier than the sends.
func TestOwnStartIsNoEarlierStart(t *testing.T) {
	var failing atomic.Bool
	cfg := studio.Config{TokenMemory: time.Hour, Intercept: func(c studio.Call) studio.Fault {
		if failing.Load() {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindInternal}}
		}
		return studio.Fault{Lost: c.Action == studio.Start && c.Nth <= 2}
	}}
	scenario(t, cfg, Config{}, func(b *bench) {
		b.goRun()
		b.all([]ID{b.start("ws-0")}) // so that the provider's clock is known
		id := b.start("ws-1")
		b.after(2 * time.Second)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		for starts := b.wire.starts.Load(); b.wire.starts.Load() == starts; {
			b.after(time.Second) // until it is sent again
		}
		failing.Store(true)
		b.after(2 * time.Hour)
		failing.Store(false)
		b.all([]ID{id})
		b.want(id, fsm.PhaseFailed, store.ReasonAmbiguous, 1)
	})
}

// dated is a provider whose dates are wrong.
type dated struct {
	*wire
	off *atomic.Int64
}

func (d dated) Get(ctx context.Context, ref Ref) (transport.Session, error) {
	s, err := d.wire.Get(ctx, ref)
	s.Date = s.Date.Add(time.Duration(d.off.Load()))
	return s, err
}

func (d dated) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	s, err := d.wire.Start(ctx, in)
	s.Date = s.Date.Add(time.Duration(d.off.Load()))
	return s, err
}

// BatchGet reads each session by Get.
func (d dated) BatchGet(ctx context.Context, refs []Ref) ([]transport.Result, error) {
	out := make([]transport.Result, len(refs))
	for i, ref := range refs {
		out[i].Session, out[i].Err = d.Get(ctx, ref)
	}
	return out, nil
}

// TestProviderClockSetBack: the provider's clock was ahead at a send whose answer was lost,
// and is right at the confirm. A person has stopped the session that the send started.
// The engine does not start it again.
func TestProviderClockSetBack(t *testing.T) {
	for _, off := range []time.Duration{24 * time.Hour, 200 * 365 * 24 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			var ahead atomic.Int64
			ahead.Store(int64(off))
			scenario(t, studio.Config{TokenMemory: time.Minute, Intercept: func(c studio.Call) studio.Fault {
				return studio.Fault{Lost: c.Action == studio.Start && c.Ref.SessionID == "ws-1"}
			}}, Config{}, func(b *bench) {
				b.close()
				b.open(dated{&b.wire, &ahead})
				b.goRun()
				b.all([]ID{b.start("ws-0")})
				id := b.start("ws-1")
				b.after(2 * time.Second)
				if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
					t.Fatal(err)
				}
				b.studio.SetOffline(true)
				ahead.Store(0)
				b.after(10 * time.Minute) // the token is forgotten
				b.studio.SetOffline(false)
				b.all([]ID{id})
				if op := b.op(id); op.Phase != fsm.PhaseFailed || b.studio.Effects(op.Ref) != 1 {
					t.Errorf("%s (%s) %s, started %d times", op.Phase, op.EndReason, op.LastError, b.studio.Effects(op.Ref))
				}
			})
		})
	}
}

// slowWay delays requests for one session on their way to the provider. So the dates of the
// answers are later than the middle of the calls.
type slowWay struct{ *wire }

func (w slowWay) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	w.wait(in.Ref)
	return w.wire.Start(ctx, in)
}

func (w slowWay) Get(ctx context.Context, ref Ref) (transport.Session, error) {
	w.wait(ref)
	return w.wire.Get(ctx, ref)
}

func (slowWay) wait(ref Ref) {
	if ref.SessionID == "ws-0" {
		time.Sleep(8 * time.Second)
	}
}

// TestSlowDateDatesNoSend: a provider's date that took seconds does not date a send by the
// provider's clock. The send caused a startedAt that would look older than the send. The
// session, which was stopped by hand, is not started again.
func TestSlowDateDatesNoSend(t *testing.T) {
	scenario(t, studio.Config{TokenMemory: time.Second, Boot: time.Second, Intercept: func(c studio.Call) studio.Fault {
		return studio.Fault{Lost: c.Action == studio.Start && c.Ref.SessionID == "ws-1"}
	}}, Config{}, func(b *bench) {
		b.close()
		b.open(slowWay{&b.wire})
		b.goRun()
		b.start("ws-0")
		b.after(8*time.Second + time.Millisecond)
		id := b.start("ws-1")
		b.after(2 * time.Second)
		if _, err := b.studio.Stop(b.Context(), transport.StopInput{Ref: b.op(id).Ref, ClientToken: "by-hand"}); err != nil {
			t.Fatal(err)
		}
		b.after(6 * time.Hour)
		if op := b.op(id); op.Phase != fsm.PhaseFailed || b.studio.Effects(op.Ref) != 1 {
			t.Errorf("%s %q, started %d times; want FAILED, once", op.Phase, op.EndReason, b.studio.Effects(op.Ref))
		}
	})
}
