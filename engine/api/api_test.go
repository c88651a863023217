package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport/studio"
)

var admin = access.Identity{Name: "kim", Role: access.RoleAdmin}

// bench is an engine on a new file, and what serves it. Each answer that its client or
// send gets is compared with the OpenAPI document.
type bench struct {
	engine   *engine.Engine
	provider *studio.Studio
	server   *httptest.Server
	client   *api.Client
	folder   string
	answers  *validating
}

func newBench(t *testing.T, who access.Identity) *bench {
	t.Helper()
	b := &bench{provider: studio.New(studio.Config{Any: true}), folder: t.TempDir()}
	s, err := bolt.Open(filepath.Join(b.folder, "rouse.db"), bolt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	e, err := engine.New(s, b.provider, engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	b.engine = e
	b.server = httptest.NewServer(as(who, api.Handler(e, api.Config{Version: "1.2.3", Folder: b.folder, Tokens: access.NewTokens(s)})))
	t.Cleanup(b.server.Close)
	t.Cleanup(b.server.CloseClientConnections)
	b.answers = &validating{t: t, next: b.server.Client().Transport, seen: map[string]bool{}}
	b.server.Client().Transport = b.answers
	b.client = api.NewClient(b.server.URL, b.server.Client(), "")
	return b
}

// as gives each request an identity.
func as(who access.Identity, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(access.NewContext(r.Context(), who)))
	})
}

// run runs the engine until the test ends.
func (b *bench) run(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.engine.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}

func request(session string) engine.Request {
	return engine.Request{Ref: engine.Ref{StudioID: "comp", SessionID: session}}
}

// sessionIDs are ids that a URL escapes.
var sessionIDs = []string{"ws-1", "a:b", "50%", "x%2Fy", "q?a=b&c", "#1", "a+b", "...", "@;=,"}

// TestRoundTrip makes each call with the engine and with a client of it, and compares.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	ctx := t.Context()
	var ids []engine.ID
	for _, session := range sessionIDs {
		r := request(session)
		r.ClientToken, r.Labels, r.Reason, r.Source = "token:"+session, map[string]string{"show": "a=b, c"}, "dailies <1> & 2", "cli"
		r.NotBefore, r.ExpiresAt = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		got, err := b.client.Start(ctx, r)
		if err != nil || !got.Created {
			t.Fatalf("start %s: %+v, %v", r.Ref, got, err)
		}
		if got.Operation.RequestedBy != "kim" || got.Operation.Source != "cli" {
			t.Errorf("the operation is requested by %q from %q", got.Operation.RequestedBy, got.Operation.Source)
		}
		again, err := b.client.Start(ctx, r)
		if err != nil || again.Created || again.ID != got.ID {
			t.Errorf("start %s again: %+v, %v", r.Ref, again, err)
		}
		ids = append(ids, got.ID)
	}
	many, err := b.client.StartAll(ctx, []engine.Request{request("ws-2"), request("ws-1"), request("bad id"), {Ref: engine.Ref{StudioID: "comp", SessionID: "ws-3"}, ExpiresAt: time.Now().Add(-time.Hour)}})
	if err != nil || len(many) != 4 {
		t.Fatalf("start all: %+v, %v", many, err)
	}
	var expiry *engine.ExpiryError
	var provider *engine.ProviderError
	if !many[0].Created || many[1].Created || many[1].ID != ids[0] || !errors.As(many[2].Err, &provider) || !errors.As(many[3].Err, &expiry) {
		t.Errorf("start all: %+v", many)
	}

	type result struct {
		value any
		err   error
	}
	list := func(f engine.Filter) func(api.Engine) result {
		return func(e api.Engine) result {
			v, err := collect(e.List(ctx, f))
			return result{v, err}
		}
	}
	first, _ := b.engine.Get(ctx, ids[0])
	calls := map[string]func(api.Engine) result{
		"get":          func(e api.Engine) result { v, err := e.Get(ctx, ids[2]); return result{v, err} },
		"get none":     func(e api.Engine) result { v, err := e.Get(ctx, "none"); return result{v, err} },
		"get nothing":  func(e api.Engine) result { v, err := e.Get(ctx, ""); return result{v, err} },
		"get dots":     func(e api.Engine) result { v, err := e.Get(ctx, ".."); return result{v, err} },
		"get steps":    func(e api.Engine) result { v, err := e.Get(ctx, "x/../y"); return result{v, err} },
		"explain":      func(e api.Engine) result { v, err := e.Explain(ctx, ids[1]); return result{v, err} },
		"explain none": func(e api.Engine) result { v, err := e.Explain(ctx, "none"); return result{v, err} },
		"find none": func(e api.Engine) result {
			v, err := e.Find(ctx, engine.Ref{StudioID: "comp", SessionID: "none"})
			return result{v, err}
		},
		"find bad": func(e api.Engine) result {
			v, err := e.Find(ctx, engine.Ref{StudioID: "comp", SessionID: "a/b"})
			return result{v, err}
		},
		"head":           func(e api.Engine) result { v, err := e.Head(ctx); return result{v, err} },
		"stats":          func(e api.Engine) result { v, err := e.Stats(ctx); return result{v, err} },
		"list":           list(engine.Filter{}),
		"list newest":    list(engine.Filter{Newest: true, Limit: 3}),
		"list after":     list(engine.Filter{After: ids[3], Limit: 2}),
		"list bad after": list(engine.Filter{After: "none"}),
		"list some": list(engine.Filter{
			Phases: []engine.Phase{engine.PhaseQueued, engine.PhaseFailed}, Active: true, StudioID: "comp", SessionID: "ws-1", Lane: "comp",
			RequestedBy: "kim", ClientToken: "token:ws-1", Labels: map[string]string{"show": "a=b, c"}, Since: first.CreatedAt,
		}),
		"list none": list(engine.Filter{Phases: []engine.Phase{engine.PhaseFailed}}),
		"session bad": func(e api.Engine) result {
			v, err := e.Session(ctx, engine.Ref{StudioID: "comp"})
			return result{v, err}
		},
		"sessions bad": func(e api.Engine) result { v, err := e.SessionsPage(ctx, "comp", "no token"); return result{v, err} },
		"sessions none": func(e api.Engine) result {
			v, err := e.SessionsPage(ctx, "", "")
			return result{v, err}
		},
		"cancel none":    func(e api.Engine) result { v, err := e.Cancel(ctx, "none", "kim"); return result{v, err} },
		"retry active":   func(e api.Engine) result { v, err := e.Retry(ctx, ids[0], "kim"); return result{v, err} },
		"retry-now":      func(e api.Engine) result { return result{nil, e.RetryNow(ctx, ids[0], "kim")} },
		"retry-now none": func(e api.Engine) result { return result{nil, e.RetryNow(ctx, "none", "kim")} },
		"pause":          func(e api.Engine) result { return result{nil, e.Pause(ctx, "comp", "kim")} },
		"resume":         func(e api.Engine) result { return result{nil, e.Resume(ctx, "comp", "kim")} },
		"pause none":     func(e api.Engine) result { return result{nil, e.Pause(ctx, "a/b", "kim")} },
		"prune":          func(e api.Engine) result { v, err := e.Prune(ctx); return result{v, err} },
		"adopt":          func(e api.Engine) result { return result{nil, e.Adopt(ctx, "kim")} },
		"start active": func(e api.Engine) result {
			r := request("ws-1")
			r.ClientToken = "another"
			v, err := e.Start(ctx, r)
			return result{v.Operation.Ref, err}
		},
		"events": func(e api.Engine) result {
			v, err := collect(e.Events(ctx, ""))
			return result{v, err}
		},
		"events bad": func(e api.Engine) result {
			for _, err := range e.Events(ctx, "no cursor") {
				return result{nil, err}
			}
			return result{}
		},
		"follow bad": func(e api.Engine) result {
			for _, err := range e.Follow(ctx, "no cursor") {
				return result{nil, err}
			}
			return result{}
		},
		"nudge": func(e api.Engine) result { e.Nudge(); return result{} },
	}
	for _, session := range sessionIDs {
		calls["find "+session] = func(e api.Engine) result {
			v, err := e.Find(ctx, engine.Ref{StudioID: "comp", SessionID: session})
			return result{v, err}
		}
		calls["session "+session] = func(e api.Engine) result {
			v, err := e.Session(ctx, engine.Ref{StudioID: "comp", SessionID: session})
			v.SeenAt = time.Time{}
			return result{v, err}
		}
	}
	for name, call := range calls {
		want, got := call(b.engine), call(b.client)
		if text := errorText(got.err); text != errorText(want.err) {
			t.Errorf("%s: the client's error is %s\nthe engine's is  %s", name, text, errorText(want.err))
		}
		if a, b := stored(t, got.value), stored(t, want.value); a != b {
			t.Errorf("%s: the client has %s\nthe engine has %s", name, a, b)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return "none"
	}
	return err.Error()
}

// TestLife starts sessions by the client, and sees them end in the feed and by Wait.
func TestLife(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	b.run(t)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	head, err := b.client.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	phases := make(chan []engine.Phase)
	go func() {
		var got []engine.Phase
		for ev, err := range b.client.Follow(ctx, head) {
			if err != nil {
				t.Error(err)
				break
			}
			got = append(got, ev.To)
			if ev.To.Ended() {
				break
			}
		}
		phases <- got
	}()
	r, err := b.client.Start(ctx, request("ws-1"))
	if err != nil {
		t.Fatal(err)
	}
	op, err := b.client.Wait(ctx, r.ID)
	if err != nil || op.Phase != engine.PhaseSucceeded {
		t.Errorf("wait: %s, %v", op.Phase, err)
	}
	if got, want := <-phases, []engine.Phase{engine.PhaseQueued, engine.PhaseStarting, engine.PhaseSucceeded}; !reflect.DeepEqual(got, want) {
		t.Errorf("followed %v, want %v", got, want)
	}
	seen := func(e api.Engine) string {
		all, err := collect(e.Sessions(ctx, "comp"))
		if err != nil || len(all) != 1 {
			t.Fatalf("sessions: %+v, %v", all, err)
		}
		all[0].SeenAt = time.Time{}
		return stored(t, all)
	}
	if got, want := seen(b.client), seen(b.engine); got != want {
		t.Errorf("the client has the sessions %s\nthe engine has %s", got, want)
	}
	again, err := b.client.Retry(ctx, r.ID, "")
	if err != nil || again.Operation.RetryOf != r.ID {
		t.Errorf("retry: %+v, %v", again, err)
	}
	if c, err := b.client.Cancel(ctx, r.ID, ""); err != nil || c != engine.CancellationAlreadyEnded {
		t.Errorf("cancel: %v, %v", c, err)
	}
}

// TestBackup writes a backup that opens.
func TestBackup(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	if _, err := b.client.Start(t.Context(), request("ws-1")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := b.client.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has %v, %v", info.Mode(), err)
	}
	if err := b.client.Backup(t.Context(), path); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second backup to one file returns %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(b.folder, ".rouse-backup-*")); len(left) > 0 {
		t.Errorf("the server leaves %v", left)
	}
	e, err := engine.Open(path, b.provider, engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Find(t.Context(), request("ws-1").Ref); err != nil {
		t.Error(err)
	}
}
