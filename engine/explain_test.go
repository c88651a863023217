package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// slowHead is a store whose Head is slow, so that a waiter can leave while the follower
// begins.
type slowHead struct{ store.Store }

func (s slowHead) Head(ctx context.Context) (store.Cursor, error) {
	select {
	case <-time.After(10 * time.Millisecond):
		return s.Store.Head(ctx)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// TestWaitHasItsOwnContext: the end of one waiter's context does not end another's Wait.
func TestWaitHasItsOwnContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := bolt.Open(t.TempDir()+"/rouse.db", bolt.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		e, err := New(slowHead{s}, studio.New(studio.Config{Any: true}), Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		r, err := e.Start(t.Context(), Request{Ref: Ref{StudioID: "a", SessionID: "b"}})
		if err != nil {
			t.Fatal(err)
		}
		gone, leave := context.WithCancel(t.Context())
		go e.Wait(gone, r.Operation.ID)
		time.Sleep(time.Millisecond)
		leave()
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		if _, err = e.Wait(ctx, r.Operation.ID); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, want its own context's end", err)
		}
		e.follower.mu.Lock()
		defer e.follower.mu.Unlock()
		if n := len(e.follower.subs); n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// TestExplainNextOfSlowRead: Explain shows the next read, also if reads are far apart.
func TestExplainNextOfSlowRead(t *testing.T) {
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start {
			return studio.Fault{Lost: true}
		}
		return studio.Fault{Err: &transport.Error{Kind: transport.KindConflict}}
	}}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(10 * time.Minute)
		x := b.wantWaiting(id, WaitConflict)
		said := x.Next
		reads := b.wire.reads.Load()
		b.after(said.Sub(b.now()) - time.Second)
		if b.wire.reads.Load() != reads {
			t.Error("the session was read before the time that Explain showed")
		}
		b.after(3 * time.Second)
		if b.wire.reads.Load() == reads {
			t.Error("the session was not read at the time that Explain showed")
		}
	})
}

// TestExplainNextAfterWrongClock: Explain does not show a due time of a clock that was ahead
// as the next step. The engine has brought that step forward.
func TestExplainNextAfterWrongClock(t *testing.T) {
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		return studio.Fault{Err: &transport.Error{Kind: transport.KindConflict}}
	}}, Config{}, func(b *bench) {
		b.skew.Store(int64(9 * time.Hour))
		b.goRun()
		id := b.start("ws-1")
		b.after(10 * time.Second)
		b.skew.Store(0)
		b.after(30 * time.Minute)
		if x := b.wantWaiting(id, WaitConflict); x.Next.Sub(b.now()) > 2*time.Minute {
			t.Errorf("the next step is said to be in %v: %s", x.Next.Sub(b.now()), x.Text)
		}
	})
}

// TestSessionsOfOneThatCannotList: the sessions of a provider that cannot list come from the
// operations, behind a Mux too.
func TestSessionsOfOneThatCannotList(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		var m transport.Mux
		m.Handle("*", &stale{})
		b.close()
		b.open(&m)
		b.start("ws-1")
		n := 0
		for k, err := range b.Sessions(b.Context(), "studio") {
			if n++; err != nil || k.Live || k.Session.SessionID != "ws-1" {
				t.Errorf("%+v, %v; want the stored session", k, err)
			}
		}
		if n != 1 {
			t.Errorf("%d sessions, want one", n)
		}
	})
}

// TestStateWithoutBounds: a provider's state may be any text. An unknown state is stored and
// shown as one line of bounded length.
func TestStateWithoutBounds(t *testing.T) {
	state := fsm.State("MELTING\x1b[2J\r\n" + strings.Repeat("é", 1<<19))
	melting := &transport.Session{Ref: Ref{StudioID: "studio", SessionID: "ws-1"}, State: state}
	scenario(t, studio.Config{Boot: time.Hour}, Config{BootTimeout: 5 * time.Minute}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(time.Second)
		b.studio.Put(*melting)
		b.all([]ID{id})
		shown := []fsm.State{b.op(id).Session}
		for ev, err := range b.Events(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			shown = append(shown, ev.Session)
		}
		for _, s := range shown {
			if len(s) > decide.MaxState+len("…") || strings.ContainsFunc(string(s), unicode.IsControl) {
				t.Errorf("a state of %d bytes: %.80q", len(s), s)
			}
		}
		if got := b.op(id).Session; !strings.HasPrefix(string(got), "MELTING [2J  éé") {
			t.Errorf("the state is shown as %q", got)
		}
		if text := b.op(id).LastError; len(text) > 2*decide.MaxError || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("an error of %d bytes: %.80q", len(text), text)
		}
	})
}

// TestExplainNextAsTheClockIsSetRight: a laptop wakes, and Explain or Stats may be the first
// call that compares the clock. Neither shows a trial call of a blocked lane by the time
// of the clock that was wrong.
func TestExplainNextAsTheClockIsSetRight(t *testing.T) {
	for name, next := range map[string]func(b *bench, id ID) time.Time{
		"Explain": func(b *bench, id ID) time.Time { return b.wantWaiting(id, WaitOffline).Next },
		"Stats": func(b *bench, _ ID) time.Time {
			stats, err := b.Stats(b.Context())
			if err != nil || len(stats.Lanes) != 1 {
				b.Fatalf("%d lanes, %v", len(stats.Lanes), err)
			}
			return stats.Lanes[0].Next
		},
	} {
		t.Run(name, func(t *testing.T) {
			scenario(t, studio.Config{}, Config{}, func(b *bench) {
				b.studio.SetOffline(true)
				b.skew.Store(int64(5 * 365 * 24 * time.Hour))
				b.goRun()
				id := b.start("ws-1")
				b.after(time.Minute)
				b.skew.Store(0)
				if in := next(b, id).Sub(b.now()); in > 10*time.Minute {
					t.Errorf("the next step is said to be in %v", in)
				}
			})
		})
	}
}
