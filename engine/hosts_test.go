package engine

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// Calls that hosts make.

// TestSession: Session returns one session with its endpoints and its active operation.
func TestSession(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Hour}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		ref := b.op(id).Ref
		k, err := b.Session(b.Context(), ref)
		if err != nil || !k.Live || k.Session.State != fsm.StateStopped || k.Active == nil || k.Active.ID != id || k.Err != nil || k.SeenAt.IsZero() {
			t.Errorf("before its start: %+v, %v", k, err)
		}
		b.goRun()
		b.after(time.Minute)
		where := []transport.Endpoint{{Name: "dcv", Host: "10.0.0.5", Port: 8443}}
		b.studio.Put(transport.Session{Ref: ref, State: fsm.StateStartInProgress, StatusMessage: "POST 3 of 7", Endpoints: where})
		k, err = b.Session(b.Context(), Ref{StudioID: " studio ", SessionID: "ws-1"})
		if err != nil || !k.Live || len(k.Session.Endpoints) != 1 || k.Session.Endpoints[0] != where[0] || k.Active == nil || k.Active.Phase != fsm.PhaseStarting {
			t.Errorf("while it boots: %+v, %v", k, err)
		}
		b.after(time.Minute)
		b.studio.SetOffline(true)
		k, err = b.Session(b.Context(), ref)
		if err != nil || k.Live || k.Session.State != fsm.StateStartInProgress || k.Session.StatusMessage != "POST 3 of 7" ||
			k.SeenAt.IsZero() || k.Active == nil || !errors.Is(k.Err, transport.KindUnreachable) {
			t.Errorf("offline: %+v, %v", k, err)
		}
		b.studio.SetOffline(false)
		var te *transport.Error
		if _, err := b.Session(b.Context(), Ref{StudioID: "studio", SessionID: "no-such"}); !errors.As(err, &te) || te.Kind != transport.KindNotFound || !strings.Contains(err.Error(), "no-such") {
			t.Errorf("a session that does not exist: %v", err)
		}
		if _, err := b.Session(b.Context(), Ref{StudioID: "studio"}); !errors.Is(err, transport.KindInvalid) {
			t.Errorf("an empty ref: %v", err)
		}
	})
}

// TestSessionUnblocksItsLane: an answer to a call of the host counts for the lane.
func TestSessionUnblocksItsLane(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		b.goRun()
		b.after(time.Hour)
		b.wantWaiting(id, WaitOffline)
		b.studio.SetOffline(false)
		if _, err := b.Session(b.Context(), b.op(id).Ref); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		if x, err := b.Explain(b.Context(), id); err != nil || x.Waiting == WaitOffline {
			t.Errorf("a second after a good answer: %s, %v", x.Text, err)
		}
	})
}

type tenant struct{}

// tracing is a provider that notes a value of each call's context.
type tracing struct {
	*wire
	seen chan any
}

func (s tracing) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	s.seen <- ctx.Value(tenant{})
	return s.wire.Start(ctx, in)
}

func (s tracing) Get(ctx context.Context, ref Ref) (transport.Session, error) {
	s.seen <- ctx.Value(tenant{})
	return s.wire.Get(ctx, ref)
}

// TestRunsContextReachesTheTransport: calls have the values of Run's context, but its end
// does not cut them off.
func TestRunsContextReachesTheTransport(t *testing.T) {
	scenario(t, studio.Config{Boot: 10 * time.Second}, Config{}, func(b *bench) {
		s := tracing{&b.wire, make(chan any, 100)}
		b.close()
		b.open(struct {
			transport.Transport
			transport.Describer
		}{s, &b.wire}) // without its batches
		ctx, stop := context.WithCancel(context.WithValue(b.Context(), tenant{}, "aurora"))
		done := make(chan error, 1)
		go func() { done <- b.Engine.Run(ctx) }()
		b.all([]ID{b.start("ws-1")})
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		n := len(s.seen)
		for range n {
			if got := <-s.seen; got != "aurora" {
				t.Errorf("a call has the value %v", got)
			}
		}
		if n < 2 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestUnknownLane: Pause returns an error for a lane that no session can be in.
func TestUnknownLane(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		var m transport.Mux
		m.Handle("studio", &b.wire)
		m.Handle("box-*", lanesLike{&b.wire, "boxes"})
		b.close()
		b.open(&m)
		b.start("ws-1")
		for _, known := range []string{"studio", "boxes"} {
			if err := errors.Join(b.Pause(b.Context(), known, "mo"), b.Resume(b.Context(), known, "mo")); err != nil {
				t.Errorf("lane %s: %v", known, err)
			}
		}
		for _, unknown := range []string{"studoi", "box-1", "*", "studio "} {
			for _, set := range []func(context.Context, string, string) error{b.Pause, b.Resume} {
				err := set(b.Context(), unknown, "mo")
				if !errors.Is(err, ErrUnknownLane) || !strings.Contains(err.Error(), unknown) || !strings.Contains(err.Error(), "lanes of active operations are studio") {
					t.Errorf("lane %q: %v", unknown, err)
				}
			}
		}
		if lanes, err := b.store.Lanes(b.Context()); err != nil || len(lanes) != 2 {
			t.Errorf("%d lanes are stored, %v: a refused pause must not be", len(lanes), err)
		}
		// A lane that was paused while the settings had it can be resumed afterwards.
		if err := b.store.SetPaused(b.Context(), "gone", true, "mo", b.now()); err != nil {
			t.Fatal(err)
		}
		if err := b.Resume(b.Context(), "gone", "mo"); err != nil {
			t.Errorf("a lane of which something is stored: %v", err)
		}
	})
}

// lanesLike is a provider with one lane of its own.
type lanesLike struct {
	*wire
	lane string
}

func (l lanesLike) Traits(ref Ref) transport.Traits {
	tr := l.wire.Traits(ref)
	tr.Lane = l.lane
	return tr
}

// TestNotFoundNamesWhat: ErrNotFound names the operation or session.
func TestNotFoundNamesWhat(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		const id = ID("019a0000-0000-7000-8000-00000000abcd")
		for name, call := range map[string]func() error{
			"Get":      func() error { _, err := b.Get(b.Context(), id); return err },
			"Explain":  func() error { _, err := b.Explain(b.Context(), id); return err },
			"Wait":     func() error { _, err := b.Wait(b.Context(), id); return err },
			"Watch":    func() error { return last(b.Watch(b.Context(), id)) },
			"Cancel":   func() error { _, err := b.Cancel(b.Context(), id, "mo"); return err },
			"Retry":    func() error { _, err := b.Retry(b.Context(), id, "mo"); return err },
			"RetryNow": func() error { return b.RetryNow(b.Context(), id, "test") },
		} {
			if err := call(); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), string(id)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := b.Find(b.Context(), Ref{StudioID: "studio", SessionID: "never"}); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "studio/never") {
			t.Errorf("Find: %v", err)
		}
	})
}

// TestHeadSaysWhenAFollowerHasCaughtUp: a follower compares its cursor with Head, or begins
// at Head.
func TestHeadSaysWhenAFollowerHasCaughtUp(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		first, err := b.Head(b.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.startMany("studio", 300)
		for ev, err := range b.Follow(b.Context(), first) {
			if err != nil || ev.Seq != 1 {
				t.Errorf("after the head of an empty feed comes %+v, %v", ev, err)
			}
			break
		}
		head, err := b.Head(b.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ev, err := range b.Follow(b.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if n++; ev.Cursor == head {
				break
			}
		}
		if n != 300 {
			t.Errorf("it caught up after %d events of 300", n)
		}
	})
}

// TestEngineBackup: Backup copies the store of an engine that opened it.
func TestEngineBackup(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		copied := filepath.Join(t.TempDir(), "copy.db")
		if err := b.Backup(b.Context(), copied); err != nil {
			t.Fatal(err)
		}
		e, err := Open(copied, &b.wire, Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Get(b.Context(), id); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		b.wrap = func(s store.Store) store.Store { return struct{ store.Store }{s} }
		b.restart()
		if err := b.Backup(b.Context(), copied+"2"); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "copy.db2") {
			t.Errorf("Backup of a store that cannot: %v", err)
		}
	})
}
