package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// served begins "rouse serve" and returns its URL.
func served(t *testing.T, env []string, args ...string) (*process, string) {
	t.Helper()
	p := launch(t, env, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	p.until("listening on http://")
	_, url, _ := strings.Cut(p.out.String(), "listening on ")
	url, _, _ = strings.Cut(url, "\n")
	return p, url
}

// answer returns the status and the body of a request without credentials.
func answer(t *testing.T, url, host string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestServe checks that the server answers a supervisor, and no other client, without
// credentials. The tool works through the socket meanwhile, and Ctrl-C ends it.
func TestServe(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, shortBoot)
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	p, url := served(t, env)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if status, _ := answer(t, url+"/readyz", ""); status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not ready after 20 s")
		}
	}
	for _, row := range []struct {
		path, host string
		status     int
		body       string
	}{
		{"/livez", "", http.StatusOK, "ok\n"},
		{"/v1/stats", "", http.StatusUnauthorized, "urn:rouse:problem:unauthenticated"},
		{"/openapi.json", "", http.StatusUnauthorized, "urn:rouse:problem:unauthenticated"},
		{"/", "", http.StatusUnauthorized, "urn:rouse:problem:unauthenticated"},
		{"/v1/stats", "rebound.example", http.StatusMisdirectedRequest, "urn:rouse:problem:host"},
	} {
		if status, body := answer(t, url+row.path, row.host); status != row.status || !strings.Contains(body, row.body) {
			t.Errorf("GET %s (Host %q) is answered %d %s, want %d %s", row.path, row.host, status, body, row.status, row.body)
		}
	}
	launch(t, env, "start", "lab", "ws-1", "--wait").exit(0)
	p.interrupt()
	p.exit(0)
	if got := provider.effects("lab", "ws-1"); got != 1 {
		t.Errorf("the session was started %d times, want once", got)
	}
}
