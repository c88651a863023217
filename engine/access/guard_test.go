package access_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/store"
)

// front is a guard in front of a handler that says who asked.
type front struct {
	*testing.T
	store   *watchedStore
	tokens  *access.Tokens
	handler http.Handler
	log     bytes.Buffer
}

func newFront(t *testing.T, c access.GuardConfig) *front {
	t.Helper()
	f := &front{T: t}
	f.store, _ = openStore(t)
	f.tokens = access.NewTokens(f.store)
	c.Tokens, c.Logger = f.tokens, slog.New(slog.NewTextHandler(&f.log, nil))
	g, err := access.NewGuard(c)
	if err != nil {
		t.Fatal(err)
	}
	f.handler = g.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := access.FromContext(r.Context())
		fmt.Fprint(w, id.Name, " ", id.Role, " ", id.Scope, " ", ok)
	}))
	return f
}

// ask sends a request that change may change, and returns the answer.
func (f *front) ask(change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(f.Context(), http.MethodPost, "http://127.0.0.1:8282/v1/operations", nil)
	change(r)
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

// withToken returns a change of a request that gives it a bearer token.
func withToken(secret access.Secret) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+string(secret)) }
}

// wantProblem checks that the answer is a problem of the type, and returns its detail.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, word string) string {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Errorf("answer %d %s: %v", w.Code, w.Body, err)
	}
	if w.Code != status || p.Status != status || p.Type != "urn:rouse:problem:"+word || p.Title == "" || p.Detail == "" {
		t.Errorf("answer %d %+v, want %d %s", w.Code, p, status, word)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	return p.Detail
}

func TestHost(t *testing.T) {
	t.Parallel()
	f := newFront(t, access.GuardConfig{Hosts: []string{"Farm.example", "10.0.0.7", "fd00::7"}})
	good := withToken(create(t, f.tokens, request("bot")).Secret)
	for host, want := range map[string]bool{
		"127.0.0.1:8282":         true,
		"127.0.0.1":              true,
		"127.8.8.8:1":            true,
		"localhost:8282":         true,
		"LOCALHOST":              true,
		"localhost.:8282":        true,
		"[::1]:8282":             true,
		"[::1]":                  true,
		"farm.example:443":       true,
		"FARM.example.":          true,
		"10.0.0.7:8282":          true,
		"[fd00::7]:8282":         true,
		"192.0.2.9:8282":         true, // where the connection arrives
		"[::ffff:192.0.2.9]:80":  true,
		"":                       false,
		":8282":                  false,
		"evil.example":           false,
		"farm.example.evil.test": false,
		"evil.farm.example":      false,
		"localhost.evil.test":    false,
		"127.0.0.1.evil.test":    false,
		"10.0.0.8:8282":          false,
		"0.0.0.0:8282":           false,
		"[::]:8282":              false,
		"127.0.0.1:8282:1":       false,
		"user@localhost":         false,
	} {
		w := f.ask(func(r *http.Request) {
			good(r)
			r.Host = host
			*r = *r.WithContext(contextWithLocal(r, "192.0.2.9:8282"))
		})
		if want {
			if w.Code != http.StatusOK {
				t.Errorf("Host %q: %d %s", host, w.Code, w.Body)
			}
			continue
		}
		wantProblem(t, w, http.StatusMisdirectedRequest, "host")
	}
	// The guard checks the host before it answers anything else.
	w := f.ask(func(r *http.Request) { r.Host = "evil.example"; r.Header.Set("Sec-Fetch-Site", "cross-site") })
	wantProblem(t, w, http.StatusMisdirectedRequest, "host")
	for _, host := range []string{"", "http://farm.example", "farm.example:80", "farm.example/x", "*.example", "farm example"} {
		if _, err := access.NewGuard(access.GuardConfig{Hosts: []string{host}}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("host %q is neither", host)) {
			t.Errorf("host %q: %v", host, err)
		}
	}
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	f := newFront(t, access.GuardConfig{})
	good := withToken(create(t, f.tokens, request("bot")).Secret)
	for _, c := range []struct {
		method, name, value string
		allowed             bool
	}{
		{"POST", "Sec-Fetch-Site", "cross-site", false},
		{"POST", "Sec-Fetch-Site", "same-site", false},
		{"DELETE", "Sec-Fetch-Site", "cross-site", false},
		{"POST", "Origin", "https://evil.example", false},
		{"POST", "Origin", "null", false},
		{"POST", "Sec-Fetch-Site", "same-origin", true},
		{"POST", "Origin", "http://127.0.0.1:8282", true},
		{"POST", "X-Other", "a program", true},
		{"GET", "Sec-Fetch-Site", "cross-site", true},
	} {
		w := f.ask(func(r *http.Request) { good(r); r.Method = c.method; r.Header.Set(c.name, c.value) })
		if c.allowed {
			if w.Code != http.StatusOK {
				t.Errorf("%+v: %d %s", c, w.Code, w.Body)
			}
			continue
		}
		wantProblem(t, w, http.StatusForbidden, "origin")
	}
	// The origin is checked before the credentials.
	w := f.ask(func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") })
	wantProblem(t, w, http.StatusForbidden, "origin")
}

func TestBearer(t *testing.T) {
	t.Parallel()
	f := newFront(t, access.GuardConfig{})
	bot := create(t, f.tokens, request("bot"))
	revoked := create(t, f.tokens, request("gone"))
	if _, err := f.tokens.Revoke(t.Context(), revoked.ID, "ada"); err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER  "} {
		w := f.ask(func(r *http.Request) { r.Header.Set("Authorization", scheme+string(bot.Secret)) })
		if w.Code != http.StatusOK || w.Body.String() != "bot operator comp/ws-0* true" {
			t.Errorf("scheme %q: %d %s", scheme, w.Code, w.Body)
		}
	}
	for name, headers := range map[string][]string{
		"none":         nil,
		"empty":        {""},
		"no token":     {"Bearer "},
		"basic":        {"Basic " + string(bot.Secret)},
		"no scheme":    {string(bot.Secret)},
		"two headers":  {"Bearer " + string(bot.Secret), "Bearer " + string(bot.Secret)},
		"in the query": nil,
	} {
		w := f.ask(func(r *http.Request) {
			r.Header["Authorization"] = headers
			r.URL.RawQuery = "access_token=" + string(bot.Secret)
		})
		wantProblem(t, w, http.StatusUnauthorized, "unauthenticated")
		if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="rouse"` {
			t.Errorf("%s: WWW-Authenticate %q", name, got)
		}
	}
	answers := map[string]string{}
	for name, secret := range map[string]access.Secret{
		"revoked":      revoked.Secret,
		"wrong":        bot.Secret[:len(bot.Secret)-4] + "aaaa",
		"unknown":      "rouse_aaaaaaaa_" + bot.Secret[15:],
		"malformed":    "rouse_x",
		"no ID tokens": "a.b.c",
	} {
		w := f.ask(withToken(secret))
		wantProblem(t, w, http.StatusUnauthorized, "unauthenticated")
		answers[fmt.Sprint(w.Code, w.Header(), w.Body)] = name
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
	for text := range answers {
		if !strings.Contains(text, `error="invalid_token"`) || strings.Contains(text, bot.ID) {
			t.Errorf("answer %s", text)
		}
	}
	// The log says which it was, and no secret.
	log := f.log.String()
	for _, want := range []string{"token was revoked: " + revoked.ID, "wrong secret: token " + bot.ID, "no such token: aaaaaaaa", "not an access token", "192.0.2.1:1234"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, string(revoked.Secret[15:])) || strings.Contains(log, string(bot.Secret[15:40])) {
		t.Errorf("the log has a secret:\n%s", log)
	}
}

func TestExpiredToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFront(t, access.GuardConfig{})
		short := request("short")
		short.Lifetime = time.Minute
		expired := withToken(create(t, f.tokens, short).Secret)
		if w := f.ask(expired); w.Code != http.StatusOK {
			t.Errorf("before its expiry: %d %s", w.Code, w.Body)
		}
		time.Sleep(time.Minute)
		wantProblem(t, f.ask(expired), http.StatusUnauthorized, "unauthenticated")
	})
}

// TestStreamOfRevokedToken: a request that lasts ends soon after its token is revoked.
func TestStreamOfRevokedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFront(t, access.GuardConfig{})
		bot := create(t, f.tokens, request("bot"))
		guard, err := access.NewGuard(access.GuardConfig{Tokens: f.tokens})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		stream := guard.Bearer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		ended := make(chan time.Duration, 1)
		go func() {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			withToken(bot.Secret)(r)
			stream.ServeHTTP(httptest.NewRecorder(), r)
			ended <- time.Since(began)
		}()
		time.Sleep(time.Minute)
		select {
		case <-ended:
			t.Fatal("the stream of a valid token has ended")
		default:
		}
		if _, err := f.tokens.Revoke(t.Context(), bot.ID, "ada"); err != nil {
			t.Fatal(err)
		}
		if took := <-ended - time.Minute; took > 11*time.Second {
			t.Errorf("the stream goes on for %v after its token was revoked", took)
		}
	})
}

func TestFailuresAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFront(t, access.GuardConfig{})
		good := withToken(create(t, f.tokens, request("bot")).Secret)
		from := func(addr string, change func(*http.Request)) *httptest.ResponseRecorder {
			return f.ask(func(r *http.Request) { change(r); r.RemoteAddr = addr })
		}
		bad := withToken("rouse_wrong")
		for _, client := range []string{"192.0.2.1:%d", "[2001:db8::%x]:1", "@"} {
			at := func(i int) string {
				if strings.Contains(client, "%") {
					return fmt.Sprintf(client, 1000+i)
				}
				return client
			}
			for i := range 10 {
				wantProblem(t, from(at(i), bad), http.StatusUnauthorized, "unauthenticated")
			}
			f.log.Reset()
			for i := range 5 {
				w := from(at(i), bad)
				wantProblem(t, w, http.StatusTooManyRequests, "too_many")
				if w.Header().Get("Retry-After") != "10" {
					t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
				}
			}
			if f.log.Len() > 0 {
				t.Errorf("what is limited is logged: %s", f.log.String())
			}
			if w := from(at(0), good); w.Code != http.StatusOK {
				t.Errorf("a valid token from %s: %d %s", at(0), w.Code, w.Body)
			}
		}
		wantProblem(t, from("192.0.2.2:1000", bad), http.StatusUnauthorized, "unauthenticated")
		wantProblem(t, from("[2001:db8:0:1::1]:1", bad), http.StatusUnauthorized, "unauthenticated")
		time.Sleep(time.Second)
		wantProblem(t, from("192.0.2.1:1", bad), http.StatusUnauthorized, "unauthenticated")
		wantProblem(t, from("192.0.2.1:1", bad), http.StatusTooManyRequests, "too_many")
		time.Sleep(time.Minute)

		// Addresses beyond those that have a place share one limit, and no more.
		limited := 0
		for i := range 5000 {
			if w := from(fmt.Sprintf("10.0.%d.%d:1", i/256, i%256), bad); w.Code == http.StatusTooManyRequests {
				limited++
			}
		}
		if limited < 800 || limited > 5000-4096 {
			t.Errorf("%d of 5000 addresses were limited, want those beyond the table", limited)
		}
		if w := from("10.0.255.1:1", good); w.Code != http.StatusOK {
			t.Errorf("a valid token while the table is full: %d %s", w.Code, w.Body)
		}
		time.Sleep(time.Minute) // the table has room again
		for i := range 20 {
			wantProblem(t, from(fmt.Sprintf("10.1.0.%d:1", i), bad), http.StatusUnauthorized, "unauthenticated")
		}
	})
}

// TestStoreFails: an error of the store is not an answer about the token.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	f := newFront(t, access.GuardConfig{})
	issued := create(t, f.tokens, request("bot"))
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	w := f.ask(withToken(issued.Secret))
	if detail := wantProblem(t, w, http.StatusServiceUnavailable, "unchecked"); strings.Contains(detail, store.ErrClosed.Error()) {
		t.Errorf("the answer has the store's error: %s", detail)
	}
	if !strings.Contains(f.log.String(), store.ErrClosed.Error()) {
		t.Errorf("the log lacks the store's error: %s", f.log.String())
	}
}

// TestGuardServes asks over a real connection.
func TestGuardServes(t *testing.T) {
	t.Parallel()
	f := newFront(t, access.GuardConfig{})
	issued := create(t, f.tokens, request("bot"))
	s := httptest.NewServer(f.handler)
	defer s.Close()
	for host, want := range map[string]int{"": http.StatusOK, "evil.example": http.StatusMisdirectedRequest} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		withToken(issued.Secret)(r)
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %q: %d, want %d", host, resp.StatusCode, want)
		}
	}
}

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }

func contextWithLocal(r *http.Request, local string) context.Context {
	return context.WithValue(r.Context(), http.LocalAddrContextKey, addr(local))
}
