package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport/studio"
)

// tokenBench is an engine whose API manages the access tokens of its store.
type tokenBench struct {
	tokens  *access.Tokens
	handler http.Handler
}

func newTokenBench(t *testing.T) *tokenBench {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "rouse.db"), bolt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	e, err := engine.New(s, studio.New(studio.Config{Any: true}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	b := &tokenBench{tokens: access.NewTokens(s)}
	b.handler = api.Handler(e, api.Config{Tokens: b.tokens})
	return b
}

func listening(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// as returns a client for tokens with this identity.
func (b *tokenBench) as(t *testing.T, who access.Identity) *api.TokenClient {
	t.Helper()
	server := listening(t, as(who, b.handler))
	return api.NewClient(server.URL, server.Client(), "").Tokens()
}

func tokenRequest(name string) access.TokenRequest {
	return access.TokenRequest{Name: name, Role: access.RoleOperator, Scope: access.Scope{"comp/ws-0*"}, Lifetime: 90 * 24 * time.Hour}
}

// TestTokenCalls makes each call through the API, and compares what the server has.
func TestTokenCalls(t *testing.T) {
	t.Parallel()
	b, ctx := newTokenBench(t), t.Context()
	client := b.as(t, admin)
	issued, err := client.Create(ctx, tokenRequest("render-bot"), "root")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := b.tokens.Authenticate(ctx, string(issued.Secret)); err != nil || id.Name != "render-bot" || id.Role != access.RoleOperator || id.Scope.String() != "comp/ws-0*" {
		t.Errorf("the secret of Create: %+v, %v", id, err)
	}
	if issued.CreatedBy != "kim" || issued.ExpiresAt.Sub(issued.CreatedAt) != 90*24*time.Hour {
		t.Errorf("created %+v", issued.Token)
	}
	second, err := client.Rotate(ctx, issued.ID, "root")
	if err != nil || second.Secret == issued.Secret || second.RotatedBy != "kim" {
		t.Errorf("Rotate: %+v, %v", second.Token, err)
	}
	if _, err := b.tokens.Authenticate(ctx, string(second.Secret)); err != nil {
		t.Errorf("the secret of Rotate: %v", err)
	}
	want, err := b.tokens.List(ctx)
	if err != nil || len(want) != 1 {
		t.Fatalf("%v, %v", want, err)
	}
	if got, err := client.List(ctx); err != nil || stored(t, got) != stored(t, want) {
		t.Errorf("List: %s, %v, want %s", stored(t, got), err, stored(t, want))
	}
	revoked, err := client.Revoke(ctx, issued.ID, "root")
	if err != nil || revoked.RevokedBy != "kim" || revoked.ID != issued.ID {
		t.Errorf("Revoke: %+v, %v", revoked, err)
	}
	if _, err := b.tokens.Authenticate(ctx, string(second.Secret)); !errors.Is(err, access.ErrRevoked) {
		t.Errorf("after Revoke: %v", err)
	}
	for name, test := range map[string]struct {
		call func(api.Tokens) error
		want error
	}{
		"a name with a space": {func(c api.Tokens) error { _, err := c.Create(ctx, tokenRequest("a b"), ""); return err }, engine.ErrorKindInvalid},
		"no role": {func(c api.Tokens) error {
			_, err := c.Create(ctx, access.TokenRequest{Name: "a", Lifetime: time.Hour}, "")
			return err
		}, engine.ErrorKindInvalid},
		"rotate a revoked one": {func(c api.Tokens) error { _, err := c.Rotate(ctx, issued.ID, ""); return err }, access.ErrRevoked},
		"rotate no token":      {func(c api.Tokens) error { _, err := c.Rotate(ctx, "none", ""); return err }, access.ErrNoToken},
		"revoke no token":      {func(c api.Tokens) error { _, err := c.Revoke(ctx, "none", ""); return err }, access.ErrNoToken},
	} {
		here, there := test.call(b.tokens), test.call(client)
		if !errors.Is(here, test.want) || !errors.Is(there, test.want) || here.Error() != there.Error() {
			t.Errorf("%s: %v through the API, %v without, want %v", name, there, here, test.want)
		}
	}
}

// TestTokensNeedAnAdmin: no other role may call the routes.
func TestTokensNeedAnAdmin(t *testing.T) {
	t.Parallel()
	b, ctx := newTokenBench(t), t.Context()
	for _, c := range []struct {
		who  access.Identity
		want error
	}{
		{access.Identity{Name: "lee"}, api.ErrRole},
		{access.Identity{Name: "lee", Role: access.RoleViewer}, api.ErrRole},
		{access.Identity{Name: "lee", Role: access.RoleOperator}, api.ErrRole},
		{access.Identity{Name: "lee", Role: access.RoleAdmin, Scope: access.Scope{"comp/*"}}, api.ErrScope},
	} {
		client := b.as(t, c.who)
		calls := map[string]error{}
		_, calls["create"] = client.Create(ctx, tokenRequest("mine"), "")
		_, calls["list"] = client.List(ctx)
		_, calls["revoke"] = client.Revoke(ctx, "x", "")
		_, calls["rotate"] = client.Rotate(ctx, "x", "")
		for name, err := range calls {
			if !errors.Is(err, c.want) {
				t.Errorf("%s as %+v: %v, want %v", name, c.who, err, c.want)
			}
		}
	}
	if all, err := b.tokens.List(ctx); err != nil || len(all) != 0 {
		t.Errorf("tokens: %v, %v", all, err)
	}
	without := newBench(t, admin).clientAs(t, admin)
	if _, err := without.Tokens().List(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a server without tokens: %v", err)
	}
}

// TestTokensOverTCP: what a token may do over a guarded listener.
func TestTokensOverTCP(t *testing.T) {
	t.Parallel()
	b, ctx := newTokenBench(t), t.Context()
	guard, err := access.NewGuard(access.GuardConfig{Tokens: b.tokens})
	if err != nil {
		t.Fatal(err)
	}
	server := listening(t, guard.Protect(b.handler))
	login := func(name string, role access.Role, scope ...string) *api.Client {
		issued, err := b.tokens.Create(ctx, access.TokenRequest{Name: name, Role: role, Scope: scope, Lifetime: time.Hour}, "kim")
		if err != nil {
			t.Fatal(err)
		}
		return api.NewClient(server.URL, server.Client(), string(issued.Secret))
	}
	boss := login("boss", access.RoleAdmin)
	viewer, artist := login("screen", access.RoleViewer), login("maya", access.RoleOperator, "comp/ws-1")

	mine, err := artist.Start(ctx, request("ws-1"))
	if err != nil || mine.Operation.RequestedBy != "maya" {
		t.Fatalf("start in the scope: %+v, %v", mine, err)
	}
	other, err := boss.Start(ctx, request("ws-2"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := artist.Start(ctx, request("ws-2")); !errors.Is(err, api.ErrScope) {
		t.Errorf("start out of the scope: %v", err)
	}
	if _, err := artist.Cancel(ctx, other.ID, ""); err == nil {
		t.Error("an operation out of the scope was canceled")
	}
	if _, err := viewer.Cancel(ctx, mine.ID, ""); !errors.Is(err, api.ErrRole) {
		t.Errorf("a viewer who cancels: %v", err)
	}
	if o, err := viewer.Get(ctx, mine.ID); err != nil || o.Ref != mine.Operation.Ref {
		t.Errorf("a viewer who looks: %v, %v", o, err)
	}
	if _, err := artist.Tokens().Create(ctx, tokenRequest("more"), ""); !errors.Is(err, api.ErrRole) {
		t.Errorf("an operator who creates a token: %v", err)
	}
	for name, secret := range map[string]string{"no token": "", "a wrong token": "rouse_wrong"} {
		if _, err := api.NewClient(server.URL, server.Client(), secret).Get(ctx, mine.ID); !errors.Is(err, api.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A token that is revoked stops at once.
	all, err := boss.Tokens().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range all {
		if token.Name == "screen" {
			if _, err := boss.Tokens().Revoke(ctx, token.ID, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := viewer.Get(ctx, mine.ID); !errors.Is(err, api.ErrUnauthenticated) {
		t.Errorf("a revoked token: %v", err)
	}
}

// TestTokenForm sends requests of the wrong form, and looks at the form of the answer.
func TestTokenForm(t *testing.T) {
	t.Parallel()
	b := newTokenBench(t)
	server := listening(t, as(admin, b.handler))
	send := func(body string) (int, string) {
		answer, err := server.Client().Post(server.URL+"/v1/tokens", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var v map[string]any
		if err := json.NewDecoder(answer.Body).Decode(&v); err != nil {
			t.Fatal(err)
		}
		if got := answer.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control %q", got)
		}
		return answer.StatusCode, stored(t, v)
	}
	for body, want := range map[string]int{
		`{"name":"a","role":"owner","lifetimeSeconds":60}`:                       http.StatusUnprocessableEntity,
		`{"name":"a","role":"viewer"}`:                                           http.StatusUnprocessableEntity,
		`{"name":"a","role":"viewer","lifetimeSeconds":0}`:                       http.StatusUnprocessableEntity,
		`{"name":"a","role":"viewer","lifetimeSeconds":9223372036854775807}`:     http.StatusUnprocessableEntity,
		`{"name":"a","role":"viewer","lifetimeSeconds":60,"secret":"x"}`:         http.StatusUnprocessableEntity,
		`{"name":"a","role":"viewer","lifetimeSeconds":60,"scope":["comp"]}`:     http.StatusBadRequest,
		`{"name":"a","role":"admin","lifetimeSeconds":60,"scope":["comp/ws-1"]}`: http.StatusBadRequest,
		`{"name":"b","role":"viewer","lifetimeSeconds":60,"createdBy":"root"}`:   http.StatusUnprocessableEntity,
		`{"name":"render-bot","role":"viewer","lifetimeSeconds":60}`:             http.StatusCreated,
	} {
		status, text := send(body)
		if status != want {
			t.Errorf("%s: %d %s, want %d", body, status, text, want)
		}
		if status == http.StatusCreated && !(strings.Contains(text, `"role":"viewer"`) && strings.Contains(text, `"secret":"rouse_`) && strings.Contains(text, `"scope":[]`)) {
			t.Errorf("the answer %s", text)
		}
	}
}
