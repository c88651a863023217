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

// stale is a provider whose first read after a start shows a deleted session. Its later
// reads are slow.
type stale struct {
	gets    atomic.Int64
	started atomic.Bool
}

func (s *stale) Start(_ context.Context, in transport.StartInput) (transport.Session, error) {
	s.started.Store(true)
	return transport.Session{Ref: in.Ref, State: fsm.StateStartInProgress}, nil
}

func (s *stale) Get(_ context.Context, ref Ref) (transport.Session, error) {
	switch {
	case !s.started.Load():
		return transport.Session{Ref: ref, State: fsm.StateStopped}, nil
	case s.gets.Add(1) == 1:
		return transport.Session{Ref: ref, State: fsm.StateDeleted}, nil
	}
	time.Sleep(5 * time.Second)
	return transport.Session{Ref: ref, State: fsm.StateReady}, nil
}

// TestEndAndFactAreFencedTogether: the operation changes while an answer that brings both an
// end and a fact is on its way.
func TestEndAndFactAreFencedTogether(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		s := &stale{}
		b.close()
		b.open(s)
		b.goRun()
		id := b.start("ws-1")
		for s.gets.Load() < 2 {
			b.after(100 * time.Millisecond)
		}
		if err := b.RetryNow(b.Context(), id, "test"); err != nil {
			t.Fatal(err)
		}
		b.after(time.Minute)
		var got []string
		for ev := range b.Events(b.Context(), "") {
			got = append(got, string(ev.To)+" "+string(ev.Reason))
		}
		want := []string{"QUEUED ", "STARTING ", "STARTING unexpected_state", "STARTING unexpected_state", "SUCCEEDED "}
		if len(got) < 4 || got[len(got)-1] != "SUCCEEDED " {
			t.Errorf("the feed says %q, want about %q", got, want)
		}
	})
}

// faulty is a store whose Apply fails on request.
type faulty struct {
	store.Store
	keep atomic.Bool // the next one that starts an operation is stored, and returns ErrUnknown
	full atomic.Bool
}

func (f *faulty) Apply(ctx context.Context, cs []store.Change) ([]error, error) {
	if f.full.Load() {
		return nil, store.ErrFull
	}
	for _, c := range cs {
		for _, ev := range c.Events {
			if ev.To == fsm.PhaseStarting && f.keep.CompareAndSwap(true, false) {
				_, _ = f.Store.Apply(ctx, cs)
				return nil, store.ErrUnknown
			}
		}
	}
	return f.Store.Apply(ctx, cs)
}

// onFaulty gives the bench a store that can fail.
func onFaulty(b *bench) *faulty {
	f := &faulty{}
	b.wrap = func(under store.Store) store.Store { f.Store = under; return f }
	b.restart()
	return f
}

// TestStoredCommitOfUnknownOutcome: a commit that was stored, although its outcome was
// unknown, is not repeated.
func TestStoredCommitOfUnknownOutcome(t *testing.T) {
	for name, lose := range map[string]bool{"start": false, "read": true} {
		t.Run(name, func(t *testing.T) {
			cfg := studio.Config{Boot: time.Minute, Intercept: func(c studio.Call) studio.Fault {
				return studio.Fault{Lost: lose && c.Action == studio.Start}
			}}
			scenario(t, cfg, Config{}, func(b *bench) {
				f := onFaulty(b)
				f.keep.Store(true)
				id := b.start("ws-1")
				b.goRun()
				b.after(10 * time.Minute)
				b.want(id, fsm.PhaseSucceeded, "", 1)
				n := 0
				for ev := range b.Events(b.Context(), "") {
					if ev.To == fsm.PhaseStarting {
						n++
					}
				}
				if n != 1 || f.keep.Load() {
					t.Errorf("%d events say STARTING, want one", n)
				}
			})
		})
	}
}

// TestFullWhileDraining: the store has no space when Run ends. The same engine runs again
// when the store has space.
func TestFullWhileDraining(t *testing.T) {
	scenario(t, studio.Config{Latency: 2 * time.Second}, Config{}, func(b *bench) {
		f := onFaulty(b)
		id := b.start("ws-1")
		b.goRun()
		b.after(time.Second)
		f.full.Store(true)
		b.after(3 * time.Second)
		b.wantWaiting(id, WaitStoreFull)
		b.end()
		f.full.Store(false)
		b.goRun()
		b.after(10 * time.Minute)
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}
