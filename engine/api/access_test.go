package api_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
)

// clientAs returns a client of the engine with another identity.
func (b *bench) clientAs(t *testing.T, who access.Identity) *api.Client {
	t.Helper()
	server := httptest.NewServer(as(who, api.Handler(b.engine, api.Config{Folder: b.folder})))
	t.Cleanup(server.Close)
	return api.NewClient(server.URL, server.Client(), "")
}

// TestRoles makes each kind of call with each role.
func TestRoles(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	ctx := t.Context()
	r, err := b.client.Start(ctx, request("ws-1"))
	if err != nil {
		t.Fatal(err)
	}
	calls := []struct {
		name  string
		least access.Role
		all   bool // a scope refuses it
		call  func(api.Engine) error
	}{
		{"get", access.RoleViewer, false, func(e api.Engine) error { _, err := e.Get(ctx, r.ID); return err }},
		{"find", access.RoleViewer, false, func(e api.Engine) error { _, err := e.Find(ctx, request("ws-1").Ref); return err }},
		{"explain", access.RoleViewer, false, func(e api.Engine) error { _, err := e.Explain(ctx, r.ID); return err }},
		{"list", access.RoleViewer, false, func(e api.Engine) error { _, err := collect(e.List(ctx, engine.Filter{})); return err }},
		{"events", access.RoleViewer, false, func(e api.Engine) error { _, err := collect(e.Events(ctx, "")); return err }},
		{"head", access.RoleViewer, false, func(e api.Engine) error { _, err := e.Head(ctx); return err }},
		{"session", access.RoleViewer, false, func(e api.Engine) error { _, err := e.Session(ctx, request("ws-1").Ref); return err }},
		{"sessions", access.RoleViewer, false, func(e api.Engine) error { _, err := e.SessionsPage(ctx, "comp", ""); return err }},
		{"stats", access.RoleViewer, false, func(e api.Engine) error { _, err := e.Stats(ctx); return err }},
		{"start", access.RoleOperator, false, func(e api.Engine) error { _, err := e.Start(ctx, request("ws-1")); return err }},
		{"start many", access.RoleOperator, false, func(e api.Engine) error { _, err := e.StartAll(ctx, []engine.Request{request("ws-1")}); return err }},
		{"cancel", access.RoleOperator, false, func(e api.Engine) error { _, err := e.Cancel(ctx, r.ID, ""); return err }},
		{"retry-now", access.RoleOperator, false, func(e api.Engine) error { return e.RetryNow(ctx, r.ID, "") }},
		{"retry", access.RoleOperator, false, func(e api.Engine) error {
			_, err := e.Retry(ctx, r.ID, "")
			if errors.Is(err, engine.ErrNotEnded) {
				return nil
			}
			return err
		}},
		{"pause", access.RoleOperator, true, func(e api.Engine) error { return e.Pause(ctx, "comp", "") }},
		{"resume", access.RoleOperator, true, func(e api.Engine) error { return e.Resume(ctx, "comp", "") }},
		{"prune", access.RoleAdmin, true, func(e api.Engine) error { _, err := e.Prune(ctx); return err }},
		{"adopt", access.RoleAdmin, true, func(e api.Engine) error { return e.Adopt(ctx, "") }},
		{"backup", access.RoleAdmin, true, func(e api.Engine) error { return e.Backup(ctx, t.TempDir()+"/copy.db") }},
	}
	for role := access.Role(0); role <= access.RoleAdmin; role++ {
		for _, scope := range []access.Scope{nil, {"comp/*"}} {
			client := b.clientAs(t, access.Identity{Name: "lee", Role: role, Scope: scope})
			for _, c := range calls {
				var want error
				switch {
				case role < c.least:
					want = api.ErrRole
				case c.all && scope != nil:
					want = api.ErrScope
				}
				if err := c.call(client); !errors.Is(err, want) {
					t.Errorf("%s as %v with the scope %q: %v, want %v", c.name, role, scope, err, want)
				}
			}
		}
	}
}

// TestScope asks for sessions outside of a scope.
func TestScope(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	ctx := t.Context()
	in, out := request("ws-1"), request("secret-1")
	in.ClientToken, out.ClientToken = "in", "out"
	mine, err := b.client.Start(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := b.client.Start(ctx, out)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.client.Pause(ctx, "comp", ""); err != nil {
		t.Fatal(err)
	}
	artist := b.clientAs(t, access.Identity{Name: "lee", Role: access.RoleOperator, Scope: access.Scope{"comp/ws-*"}})

	if ops, err := collect(artist.List(ctx, engine.Filter{})); err != nil || len(ops) != 1 || ops[0].ID != mine.ID {
		t.Errorf("list: %v, %v", ops, err)
	}
	if evs, err := collect(artist.Events(ctx, "")); err != nil || len(evs) != 1 || evs[0].Operation != mine.ID {
		t.Errorf("events: %v, %v", evs, err)
	}
	if s, err := artist.Stats(ctx); err != nil || len(s.Lanes) > 0 {
		t.Errorf("stats: %+v, %v", s, err)
	}
	for name, call := range map[string]func() error{
		"get":       func() error { _, err := artist.Get(ctx, theirs.ID); return err },
		"wait":      func() error { _, err := artist.Wait(ctx, theirs.ID); return err },
		"explain":   func() error { _, err := artist.Explain(ctx, theirs.ID); return err },
		"cancel":    func() error { _, err := artist.Cancel(ctx, theirs.ID, ""); return err },
		"retry":     func() error { _, err := artist.Retry(ctx, theirs.ID, ""); return err },
		"retry-now": func() error { return artist.RetryNow(ctx, theirs.ID, "") },
		"find":      func() error { _, err := artist.Find(ctx, out.Ref); return err },
		"session":   func() error { _, err := artist.Session(ctx, out.Ref); return err },
	} {
		if err := call(); !errors.Is(err, engine.ErrNotFound) || strings.Contains(err.Error(), "scope") {
			t.Errorf("%s: %v, want the error of what does not exist", name, err)
		}
	}
	if op, err := b.client.Get(ctx, theirs.ID); err != nil || op.Phase.Ended() {
		t.Errorf("the operation outside of the scope is %s, %v", op.Phase, err)
	}

	if _, err := artist.Start(ctx, out); !errors.Is(err, api.ErrScope) {
		t.Errorf("start: %v", err)
	}
	spaced := request(" secret-2 ") // the engine trims it
	if _, err := artist.Start(ctx, spaced); !errors.Is(err, api.ErrScope) {
		t.Errorf("start with spaces: %v", err)
	}
	stolen := request("ws-2")
	stolen.ClientToken = "out"
	many, err := artist.StartAll(ctx, []engine.Request{out, request("ws-3"), stolen})
	if err != nil || len(many) != 3 || !errors.Is(many[0].Err, api.ErrScope) || many[1].Err != nil || !errors.Is(many[2].Err, engine.ErrTokenReused) {
		t.Errorf("start many: %+v, %v", many, err)
	}
	_, err = artist.Start(ctx, stolen)
	var conflict *engine.ConflictError
	if !errors.Is(err, engine.ErrTokenReused) || errors.As(err, &conflict) || strings.Contains(err.Error(), "secret") {
		t.Errorf("the token of another session: %v", err)
	}
}

// TestNoIdentity refuses every request that has no identity, and says nothing else.
func TestNoIdentity(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	server := httptest.NewServer(api.Handler(b.engine, api.Config{Version: "1.2.3"}))
	defer server.Close()
	for _, path := range []string{"/v1/stats", "/openapi.json", "/none", "/"} {
		answer, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("WWW-Authenticate") == "" || strings.Contains(string(text), "1.2.3") || answer.Header.Get("Rouse-Version") != "" {
			t.Errorf("GET %s: %d %v %s", path, answer.StatusCode, answer.Header, text)
		}
	}
	if _, err := api.NewClient(server.URL, server.Client(), "").Stats(t.Context()); !errors.Is(err, api.ErrUnauthenticated) {
		t.Errorf("the client returns %v", err)
	}
}
