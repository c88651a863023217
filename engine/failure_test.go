package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// calls has each call of an engine, as a function that returns its error.
var calls = map[string]func(e *Engine, id ID) error{
	"Start": func(e *Engine, _ ID) error {
		_, err := e.Start(context.Background(), Request{Ref: Ref{StudioID: "studio", SessionID: "ws-2"}})
		return err
	},
	"StartAll": func(e *Engine, _ ID) error {
		rs := make([]Request, enqueueChunk+1) // more than fit into one commit
		for i := range rs {
			rs[i].Ref = Ref{StudioID: "studio", SessionID: "ws-3"}
		}
		for _, some := range [][]Request{rs[:1], rs} {
			if got, err := e.StartAll(context.Background(), some); err == nil || got != nil {
				return fmt.Errorf("StartAll of %d: %d receipts with the error %v", len(some), len(got), err)
			}
		}
		_, err := e.StartAll(context.Background(), rs)
		return err
	},
	"Get":      func(e *Engine, id ID) error { _, err := e.Get(context.Background(), id); return err },
	"Find":     func(e *Engine, _ ID) error { _, err := e.Find(context.Background(), Ref{}); return err },
	"Wait":     func(e *Engine, id ID) error { _, err := e.Wait(context.Background(), id); return err },
	"Explain":  func(e *Engine, id ID) error { _, err := e.Explain(context.Background(), id); return err },
	"Cancel":   func(e *Engine, id ID) error { _, err := e.Cancel(context.Background(), id, "mo"); return err },
	"Retry":    func(e *Engine, id ID) error { _, err := e.Retry(context.Background(), id, "mo"); return err },
	"RetryNow": func(e *Engine, id ID) error { return e.RetryNow(context.Background(), id, "test") },
	"Pause":    func(e *Engine, _ ID) error { return e.Pause(context.Background(), "studio", "mo") },
	"Resume":   func(e *Engine, _ ID) error { return e.Resume(context.Background(), "studio", "mo") },
	"Adopt":    func(e *Engine, _ ID) error { return e.Adopt(context.Background(), "mo") },
	"Prune":    func(e *Engine, _ ID) error { _, err := e.Prune(context.Background()); return err },
	"Stats":    func(e *Engine, _ ID) error { _, err := e.Stats(context.Background()); return err },
	"Run":      func(e *Engine, _ ID) error { return e.Run(context.Background()) },
	"List":     func(e *Engine, _ ID) error { return last(e.List(context.Background(), Filter{})) },
	"Events":   func(e *Engine, _ ID) error { return last(e.Events(context.Background(), "")) },
	"Follow":   func(e *Engine, _ ID) error { return last(e.Follow(context.Background(), "")) },
	"Watch":    func(e *Engine, id ID) error { return last(e.Watch(context.Background(), id)) },
	"Session": func(e *Engine, _ ID) error {
		_, err := e.Session(context.Background(), Ref{StudioID: "studio", SessionID: "ws-1"})
		return err
	},
	"Head": func(e *Engine, _ ID) error { _, err := e.Head(context.Background()); return err },
	"Backup": func(e *Engine, _ ID) error {
		return e.Backup(context.Background(), filepath.Join(os.TempDir(), "rouse-never-written.db"))
	},
	"Sessions": func(e *Engine, _ ID) error { return last(e.Sessions(context.Background(), "studio")) },
}

// last returns the last error of a sequence.
func last[T any](seq iter.Seq2[T, error]) (last error) {
	for _, err := range seq {
		last = err
	}
	return last
}

// TestClosed: after Close every call returns ErrClosed at once.
func TestClosed(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		e := b.Engine
		b.restart()
		for name, call := range calls {
			if err := call(e, id); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", name, err)
			}
		}
	})
}

// TestStoreClosedFirst: a host that closes the store before its engine gets store.ErrClosed
// from every call.
func TestStoreClosedFirst(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		if err := b.store.Close(); err != nil {
			t.Fatal(err)
		}
		b.studio.SetOffline(true) // a provider that lists needs no store for that
		for name, call := range calls {
			if err := call(b.Engine, id); !errors.Is(err, store.ErrClosed) || errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v, want the store's ErrClosed", name, err)
			}
		}
		b.restart()
	})
}

// closing is a store whose engine is closed during a call of Operation.
type closing struct {
	store.Store
	e *Engine
}

func (s *closing) Operation(ctx context.Context, id ID) (Operation, error) {
	if err := s.e.Close(); err != nil {
		return Operation{}, err
	}
	return s.Store.Operation(ctx, id)
}

// TestCloseDuringACall: a call that is under way at Close returns the engine's ErrClosed, not
// the store's, since the host may not know the store.
func TestCloseDuringACall(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		s := &closing{}
		b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
		b.restart()
		s.e = b.Engine
		if _, err := b.Get(b.Context(), id); !errors.Is(err, ErrClosed) {
			t.Errorf("Get = %v, want ErrClosed", err)
		}
		b.wrap = nil
		b.restart()
	})
}

// TestStoreFails: if a call of the store fails, the engine's call returns its error, and Run
// ends.
func TestStoreFails(t *testing.T) {
	for _, c := range []struct{ store, engine string }{
		{"Apply", "Cancel"}, {"Apply of one", "Cancel"}, {"Apply", "RetryNow"}, {"Apply of one", "RetryNow"},
		{"Stats", "Explain"}, {"Stats", "Watch"}, {"Stats", "Stats"}, {"Lanes", "Stats"},
		{"Stats", "Run"}, {"Lanes", "Run"}, {"Own", "Run"}, {"Claim", "Run"},
	} {
		t.Run(c.store+" in "+c.engine, func(t *testing.T) {
			scenario(t, studio.Config{}, Config{}, func(b *bench) {
				s := &troubled{call: c.store}
				b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
				b.restart()
				id := b.start("ws-1")
				b.after(time.Second)
				s.from.Store(true)
				if err := calls[c.engine](b.Engine, id); !errors.Is(err, errTrouble) {
					t.Errorf("%v, want %v", err, errTrouble)
				}
				s.from.Store(false)
				b.wantWaiting(id, WaitNotRunning)
			})
		})
	}
}

// TestSessionsRefused: a provider that refuses to list is not unreachable. Sessions yields
// its error, and no stored sessions.
func TestSessionsRefused(t *testing.T) {
	scenario(t, studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.List {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindAccessDenied}}
		}
		return studio.Fault{}
	}}, Config{}, func(b *bench) {
		b.start("ws-1")
		n := 0
		for _, err := range b.Sessions(b.Context(), "studio") {
			if n++; !errors.Is(err, transport.KindAccessDenied) {
				t.Errorf("%v, want AccessDenied", err)
			}
		}
		if n != 1 {
			t.Errorf("%d answers, want one", n)
		}
	})
}

// TestNoFollowerAfterClose: a Wait that is under way at Close starts no goroutine.
func TestNoFollowerAfterClose(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		h := newFollower(b.store)
		h.close()
		if _, err := h.subscribe(b.Context(), id); !errors.Is(err, ErrClosed) {
			t.Errorf("subscribe = %v, want ErrClosed", err)
		}
	})
}

// TestEventsCutOff: Events yields an error if its context ends before the head.
func TestEventsCutOff(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.start("ws-1")
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		if err := last(b.Events(ctx, "")); !errors.Is(err, context.Canceled) {
			t.Errorf("Events = %v, want context.Canceled", err)
		}
		if err := last(b.Follow(ctx, "")); err != nil {
			t.Errorf("Follow = %v, want none", err)
		}
	})
}
