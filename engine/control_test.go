package engine

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

func TestCancel(t *testing.T) {
	var lose atomic.Bool
	cfg := studio.Config{Boot: time.Minute, Intercept: func(c studio.Call) studio.Fault {
		return studio.Fault{Lost: c.Action == studio.Start && lose.Load()}
	}}
	cancel := func(b *bench, id ID, want Cancellation) {
		b.Helper()
		if got, err := b.Cancel(b.Context(), id, "ann"); got != want || err != nil {
			b.Errorf("Cancel = %v, %v; want %v", got, err, want)
		}
	}
	scenario(t, cfg, Config{}, func(b *bench) {
		never := b.start("never")
		cancel(b, never, CancellationNeverSent)
		cancel(b, never, CancellationAlreadyEnded)

		b.goRun()
		accepted := b.start("accepted")
		b.after(time.Second)
		cancel(b, accepted, CancellationAccepted)

		lose.Store(true)
		unknown := b.start("unknown") // it took effect
		refused := b.start("refused") // it did not
		b.studio.Put(transport.Session{Ref: b.op(refused).Ref, State: fsm.StateStopped})
		b.after(2 * time.Second)
		cancel(b, unknown, CancellationOutcomeUnknown)
		cancel(b, unknown, CancellationOutcomeUnknown)
		lose.Store(false)
		b.all([]ID{never, accepted, unknown, refused})
		b.want(never, fsm.PhaseCanceled, store.ReasonCanceled, 0)
		b.want(accepted, fsm.PhaseSucceeded, "", 1)
		b.want(unknown, fsm.PhaseSucceeded, "", 1)
		var by string
		for ev := range b.Events(b.Context(), "") {
			if ev.Operation == never && ev.To == fsm.PhaseCanceled {
				by = ev.By
			}
		}
		if by != "ann" {
			t.Errorf("the event says that %q canceled, want ann", by)
		}
	})
}

// TestCancelOfUnknownOutcome: the outcome of a send is unknown, and the send never arrived.
// The operation ends CANCELED.
func TestCancelOfUnknownOutcome(t *testing.T) {
	lost := studio.Fault{Err: &transport.Error{Kind: transport.KindUnknown}}
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start {
			return lost
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(2 * time.Second)
		if got, err := b.Cancel(b.Context(), id, ""); got != CancellationOutcomeUnknown || err != nil {
			t.Errorf("Cancel = %v, %v", got, err)
		}
		b.all([]ID{id})
		b.want(id, fsm.PhaseCanceled, store.ReasonCanceled, 0)
		if n := int(b.wire.starts.Load()); n != 1 {
			t.Errorf("it was sent %d times, also after its cancel", n)
		}
	})
}

func TestTokensAndJoins(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		ref := Ref{StudioID: "studio", SessionID: "ws-1"}
		b.studio.Add("studio", "ws-1", "ws-2")
		ask := func(r Request) (Receipt, error) { return b.Start(b.Context(), r) }
		first, err := ask(Request{Ref: ref, ClientToken: "monday", ExpiresAt: b.now().Add(time.Hour)})
		if err != nil || !first.Created {
			t.Fatal(first, err)
		}
		if r, err := ask(Request{Ref: ref, ClientToken: "monday"}); err != nil || r.Created || r.Old || r.ID != first.ID || r.Operation.ID != first.Operation.ID {
			t.Errorf("the same token: %+v, %v; want a join", r, err)
		}
		if r, err := ask(Request{Ref: ref}); err != nil || r.Created || r.Operation.ID != first.Operation.ID {
			t.Errorf("no token: %+v, %v; want a join", r, err)
		}
		spaced := Ref{StudioID: " studio", SessionID: "ws-1\n"}
		if r, err := ask(Request{Ref: spaced}); err != nil || r.Created || r.Operation.ID != first.Operation.ID {
			t.Errorf("a stray space: %+v, %v; want a join", r, err)
		}
		if op, err := b.Find(b.Context(), spaced); err != nil || op.ID != first.Operation.ID {
			t.Errorf("found by a stray space: %+v, %v", op, err)
		}
		var conflict *store.ConflictError
		if _, err := ask(Request{Ref: ref, ClientToken: "tuesday"}); !errors.Is(err, store.ErrActive) || !errors.As(err, &conflict) || conflict.Holder.ID != first.Operation.ID {
			t.Errorf("another token: %v, want ErrActive with the holder", err)
		}
		if _, err := ask(Request{Ref: Ref{StudioID: "studio", SessionID: "ws-2"}, ClientToken: "monday"}); !errors.Is(err, store.ErrTokenReused) {
			t.Errorf("the token for another session: %v, want ErrTokenReused", err)
		}
		b.goRun()
		b.all([]ID{first.Operation.ID})
		b.after(2 * time.Hour)
		// The host repeats its request long after its expiry.
		if r, err := ask(Request{Ref: ref, ClientToken: "monday", ExpiresAt: first.Operation.ExpiresAt.Add(-time.Hour)}); err != nil || r.Created || !r.Old || r.ID != first.ID || r.Operation.Phase != fsm.PhaseSucceeded {
			t.Errorf("the token after its end: %+v, %v; want the ended operation", r, err)
		} else if op, err := b.Wait(b.Context(), r.ID); err != nil || !op.FinishedAt.Equal(r.Operation.FinishedAt) || b.now().Sub(op.FinishedAt) < time.Hour {
			t.Errorf("Wait for an old operation = %+v, %v; want its end of two hours ago", op, err)
		}
		if _, err := ask(Request{Ref: ref, ExpiresAt: b.now().Add(-time.Second)}); !errors.Is(err, store.ErrExpired) {
			t.Errorf("an expiry in the past: %v, want ErrExpired", err)
		}
		b.want(first.Operation.ID, fsm.PhaseSucceeded, "", 1)
		again, err := b.Retry(b.Context(), first.Operation.ID, "ann")
		if err != nil || !again.Created || again.Operation.RetryOf != first.Operation.ID || again.Operation.RequestedBy != "ann" {
			t.Errorf("Retry = %+v, %v", again, err)
		}
		if _, err := b.Retry(b.Context(), again.Operation.ID, "ann"); !errors.Is(err, ErrNotEnded) || !strings.Contains(err.Error(), "wait for its end") {
			t.Errorf("Retry of an active one: %v, want ErrNotEnded and the next step", err)
		}
	})
}
