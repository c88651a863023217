package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
)

// TestTokens manages tokens with the file and through the process that has it open, and
// uses them over TCP.
func TestTokens(t *testing.T) {
	t.Parallel()
	_, env := fixture(t, shortBoot)
	issue := func(args ...string) (i access.Issued) {
		t.Helper()
		p := launch(t, env, append([]string{"token", "--json"}, args...)...)
		p.exit(0)
		if err := json.Unmarshal([]byte(p.out.String()), &i); err != nil || i.Secret == "" {
			t.Fatalf("%s: %v", p.out.String(), err)
		}
		return i
	}
	before := issue("create", "--name", "before", "--role", "operator", "--scope", "lab/ws-1")

	server, url := served(t, env)
	client := func(i access.Issued) *api.Client { return api.NewClient(url, nil, string(i.Secret)) }
	stats := func(c *api.Client) error {
		_, err := c.Stats(context.Background())
		return err
	}
	start := func(i access.Issued, session string) (engine.Receipt, error) {
		return client(i).Start(context.Background(), engine.Request{Ref: engine.Ref{StudioID: "lab", SessionID: session}})
	}
	if r, err := start(before, "ws-1"); err != nil || r.Operation.RequestedBy != "before" {
		t.Errorf("a token of before the server began: %+v, %v", r, err)
	}
	if _, err := start(before, "ws-2"); !errors.Is(err, api.ErrScope) {
		t.Errorf("out of the scope: %v", err)
	}
	meanwhile := issue("create", "--name", "meanwhile", "--role", "viewer")
	if meanwhile.CreatedBy != userName() {
		t.Errorf("created by %q, want %q", meanwhile.CreatedBy, userName())
	}
	if err := stats(client(meanwhile)); err != nil {
		t.Errorf("a token that was created through the socket: %v", err)
	}
	if _, err := start(meanwhile, "ws-1"); !errors.Is(err, api.ErrRole) {
		t.Errorf("a viewer who starts: %v", err)
	}
	rotated := issue("rotate", meanwhile.ID)
	if err := stats(client(meanwhile)); !errors.Is(err, api.ErrUnauthenticated) {
		t.Errorf("the secret before it was rotated: %v", err)
	}
	if err := stats(client(rotated)); err != nil {
		t.Errorf("the secret after it was rotated: %v", err)
	}
	launch(t, env, "token", "revoke", meanwhile.ID).exit(0)
	if err := stats(client(rotated)); !errors.Is(err, api.ErrUnauthenticated) {
		t.Errorf("after it was revoked: %v", err)
	}
	p := launch(t, env, "token", "ls")
	p.exit(0)
	if out := p.out.String(); !strings.Contains(out, "revoked") || !strings.Contains(out, "s ago") || strings.Contains(out, "rouse_") {
		t.Errorf("token ls:\n%s", out)
	}
	p = launch(t, env, "token", "rotate", meanwhile.ID)
	p.exit(1)
	if text := p.errOut.String(); !strings.Contains(text, "token was revoked: token "+meanwhile.ID+" cannot be rotated; create another") {
		t.Errorf("rotating a revoked token: %s", text)
	}
	server.interrupt()
	server.exit(0)
	for name, text := range map[string]string{"output": server.out.String(), "errors": server.errOut.String()} {
		if strings.Contains(text, string(before.Secret[20:])) || strings.Contains(text, string(rotated.Secret[20:])) {
			t.Errorf("the server's %s has a secret:\n%s", name, text)
		}
	}
}
