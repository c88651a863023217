package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/transport"
)

// issuer is the test provider of go-oidc, which can be away.
type issuer struct {
	*testing.T
	url   string
	key   *ecdsa.PrivateKey
	away  atomic.Bool
	found atomic.Int64 // calls for discovery
	keys  atomic.Int64 // calls for keys
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{T: t, key: newKey(t)}
	provider := &oidctest.Server{
		PublicKeys: []oidctest.PublicKey{{PublicKey: i.key.Public(), KeyID: "k1", Algorithm: oidc.ES256}},
		Algorithms: []string{oidc.ES256},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			i.keys.Add(1)
		} else {
			i.found.Add(1)
		}
		if i.away.Load() {
			http.Error(w, "down for maintenance", http.StatusBadGateway)
			return
		}
		provider.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	i.url = s.URL
	provider.SetIssuer(i.url)
	return i
}

// config returns a configuration with four groups.
func (i *issuer) config() access.OIDCConfig {
	return access.OIDCConfig{
		Issuer:   i.url,
		Audience: "rouse",
		Groups: map[string]access.Grant{
			"everyone":  {Role: access.RoleViewer},
			"comp":      {Role: access.RoleOperator, Scope: access.Scope{"comp/*"}},
			"light":     {Role: access.RoleOperator, Scope: access.Scope{"light/*"}},
			"wranglers": {Role: access.RoleOperator},
			"it":        {Role: access.RoleAdmin},
		},
	}
}

func (i *issuer) open(c access.OIDCConfig) *access.OIDC {
	i.Helper()
	o, err := access.NewOIDC(c)
	if err != nil {
		i.Fatal(err)
	}
	return o
}

// token returns an ID token of maya in the group comp, with other claims in place of
// these. A nil claim is left out.
func (i *issuer) token(other map[string]any) string {
	claims := map[string]any{
		"iss": i.url, "aud": "rouse", "sub": "1", "exp": time.Now().Add(time.Hour).Unix(),
		"email": "maya@farm.example", "email_verified": true, "groups": []string{"comp"},
	}
	maps.Copy(claims, other)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(claims)
	if err != nil {
		i.Fatal(err)
	}
	return oidctest.SignIDToken(i.key, "k1", oidc.ES256, string(text))
}

func TestOIDCIdentities(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	c := i.config()
	byName := c
	byName.NameClaim, byName.GroupsClaim = "preferred_username", "roles"
	both := i.open(c)
	for name, test := range map[string]struct {
		oidc   *access.OIDC
		claims map[string]any
		want   string // name, role and scope
		err    string // "": none
	}{
		"operator":            {want: "maya@farm.example operator comp/*"},
		"two scopes":          {claims: map[string]any{"groups": []string{"comp", "light"}}, want: "maya@farm.example operator comp/*, light/*"},
		"every session":       {claims: map[string]any{"groups": []string{"comp", "wranglers", "light"}}, want: "maya@farm.example operator every session"},
		"a lower role":        {claims: map[string]any{"groups": []string{"everyone", "comp"}}, want: "maya@farm.example operator comp/*"},
		"a lower role later":  {claims: map[string]any{"groups": []string{"comp", "everyone"}}, want: "maya@farm.example operator comp/*"},
		"a higher role":       {claims: map[string]any{"groups": []string{"comp", "it", "light"}}, want: "maya@farm.example admin every session"},
		"one group as a text": {claims: map[string]any{"groups": "everyone"}, want: "maya@farm.example viewer every session"},
		"unknown groups":      {claims: map[string]any{"groups": []string{"guests"}}, want: "maya@farm.example none every session"},
		"no groups":           {claims: map[string]any{"groups": nil}, want: "maya@farm.example none every session"},
		"groups of numbers":   {claims: map[string]any{"groups": []int{1}}, want: "maya@farm.example none every session"},
		"other claims": {oidc: i.open(byName), claims: map[string]any{"preferred_username": "maya", "roles": "it", "email_verified": false},
			want: "maya admin every session"},
		"two audiences": {claims: map[string]any{"aud": []string{"other", "rouse"}}, want: "maya@farm.example operator comp/*"},

		"another audience":    {claims: map[string]any{"aud": "other"}, err: `expected audience "rouse"`},
		"expired":             {claims: map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, err: "token is expired"},
		"no expiry":           {claims: map[string]any{"exp": nil}, err: "token is expired"},
		"another issuer":      {claims: map[string]any{"iss": "https://evil.example"}, err: `its issuer is "https://evil.example"`},
		"no name":             {claims: map[string]any{"email": nil}, err: "the claim email names nobody: it is missing"},
		"a number as name":    {claims: map[string]any{"email": 7}, err: "the claim email names nobody: it is missing"},
		"a control character": {claims: map[string]any{"email": "ma\u202eya"}, err: "cannot be printed on one line"},
		"two lines":           {claims: map[string]any{"email": "maya\nroot"}, err: "cannot be printed on one line"},
		"a long name":         {claims: map[string]any{"email": strings.Repeat("m", 129)}, err: "is longer than 128 bytes"},
		"unverified":          {claims: map[string]any{"email_verified": false}, err: "has not verified the email address"},
	} {
		o := both
		if test.oidc != nil {
			o = test.oidc
		}
		id, err := o.Authenticate(t.Context(), i.token(test.claims))
		if test.err != "" {
			if !errors.Is(err, access.ErrIDToken) || !strings.Contains(err.Error(), test.err) || id.Name != "" {
				t.Errorf("%s: %v, %v, want ErrIDToken: %s", name, id, err, test.err)
			}
			continue
		}
		if got := id.Name + " " + id.Role.String() + " " + id.Scope.String(); err != nil || got != test.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, test.want)
		}
	}
}

func TestOIDCForgeries(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	o := i.open(i.config())
	good := i.token(nil)
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	forger := &issuer{T: t, url: i.url, key: newKey(t)}
	none := "eyJhbGciOiJub25lIn0" // {"alg":"none"}
	flipped := "A"
	if signature[0] == 'A' {
		flipped = "B"
	}
	for name, text := range map[string]string{
		"another key":       forger.token(nil),
		"another signature": head + "." + payload + "." + flipped + signature[1:],
		"no signature":      head + "." + payload + ".",
		"alg none":          none + "." + payload + ".",
		"two parts":         head + "." + payload,
		"four parts":        good + ".x",
		"no JSON":           head + ".e30x." + signature,
		"too long":          good + strings.Repeat("A", 16<<10),
		"empty":             "",
	} {
		if id, err := o.Authenticate(t.Context(), text); !errors.Is(err, access.ErrIDToken) || id.Name != "" {
			t.Errorf("%s: %v, %v, want ErrIDToken", name, id, err)
		}
	}
	if _, err := o.Authenticate(t.Context(), good); err != nil {
		t.Errorf("a good token: %v", err)
	}

	// Forged tokens do not make a call each.
	i.keys.Store(0)
	limited := 0
	for range 50 {
		if _, err := o.Authenticate(t.Context(), forger.token(nil)); errors.Is(err, access.ErrIssuer) {
			limited++
		}
	}
	if n := i.keys.Load(); n > 10 || limited == 0 {
		t.Errorf("50 forged tokens made %d calls, and %d were not checked", n, limited)
	}
	if _, err := o.Authenticate(t.Context(), good); err != nil {
		t.Errorf("a good token meanwhile: %v", err)
	}
}

// TestOIDCIssuerAway: the issuer is asked when it is needed, and again after a wait.
func TestOIDCIssuerAway(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.away.Store(true)
	o := i.open(i.config())
	if i.found.Load() != 0 {
		t.Error("NewOIDC called the issuer")
	}
	var all sync.WaitGroup
	began := time.Now()
	for range 20 {
		all.Go(func() {
			_, err := o.Authenticate(t.Context(), i.token(nil))
			if !errors.Is(err, access.ErrIssuer) || !strings.Contains(err.Error(), i.url) || !strings.Contains(err.Error(), "502") {
				t.Errorf("while the issuer is away: %v", err)
			}
		})
	}
	all.Wait()
	_, _ = o.Authenticate(t.Context(), i.token(nil))
	if n := i.found.Load(); n != 1 && time.Since(began) < time.Second {
		t.Errorf("21 requests made %d calls, want 1 until the wait is over", n)
	}
	if _, err := o.Authenticate(t.Context(), "a.b.c"); !errors.Is(err, access.ErrIDToken) {
		t.Errorf("what is no ID token, while the issuer is away: %v", err)
	}
	i.away.Store(false)
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err := o.Authenticate(t.Context(), i.token(nil))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("20 seconds after the issuer came back: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	// A known key works while the issuer is away; an unknown one cannot be checked.
	i.away.Store(true)
	if _, err := o.Authenticate(t.Context(), i.token(nil)); err != nil {
		t.Errorf("a known key, while the issuer is away: %v", err)
	}
	_, err := o.Authenticate(t.Context(), (&issuer{T: t, url: i.url, key: newKey(t)}).token(nil))
	if !errors.Is(err, access.ErrIssuer) || !strings.Contains(err.Error(), "502") {
		t.Errorf("an unknown key, while the issuer is away: %v", err)
	}
}

func TestOIDCGuard(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	f := newFront(t, access.GuardConfig{OIDC: i.open(i.config())})
	bot := create(t, f.tokens, request("bot"))
	i.away.Store(true)
	w := f.ask(withToken(access.Secret(i.token(nil))))
	if detail := wantProblem(t, w, http.StatusServiceUnavailable, "unchecked"); !strings.Contains(detail, i.url) || !strings.Contains(detail, "access tokens still work") {
		t.Errorf("while the issuer is away: %s", detail)
	}
	if w := f.ask(withToken(bot.Secret)); w.Code != http.StatusOK {
		t.Errorf("an access token, while the issuer is away: %d %s", w.Code, w.Body)
	}

	i.away.Store(false)
	f = newFront(t, access.GuardConfig{OIDC: i.open(i.config())})
	if w := f.ask(withToken(access.Secret(i.token(nil)))); w.Body.String() != "maya@farm.example operator comp/* true" {
		t.Errorf("an ID token: %d %s", w.Code, w.Body)
	}
	w = f.ask(withToken(access.Secret(i.token(map[string]any{"groups": "guests"}))))
	if detail := wantProblem(t, w, http.StatusForbidden, "role"); !strings.Contains(detail, "maya@farm.example has no role") {
		t.Errorf("without a role: %s", detail)
	}
	expired := i.token(map[string]any{"exp": 1})
	wantProblem(t, f.ask(withToken(access.Secret(expired))), http.StatusUnauthorized, "unauthenticated")
	if log := f.log.String(); strings.Contains(log, expired[len(expired)-20:]) || !strings.Contains(log, "token is expired") {
		t.Errorf("the log: %s", log)
	}
	// Over the limit, an ID token is not checked.
	for range 9 {
		f.ask(withToken("x.y.z"))
	}
	wantProblem(t, f.ask(withToken(access.Secret(i.token(nil)))), http.StatusTooManyRequests, "too_many")
}

func TestNewOIDCRefuses(t *testing.T) {
	t.Parallel()
	valid := (&issuer{url: "https://login.example"}).config()
	for want, change := range map[string]func(*access.OIDCConfig){
		"issuer is empty":                   func(c *access.OIDCConfig) { c.Issuer = "" },
		`"login.example" is no URL`:         func(c *access.OIDCConfig) { c.Issuer = "login.example" },
		"is no URL of an issuer":            func(c *access.OIDCConfig) { c.Issuer = "https://login.example?x=1" },
		"does not begin with https://":      func(c *access.OIDCConfig) { c.Issuer = "http://login.example" },
		`"ftp://login.example" does not`:    func(c *access.OIDCConfig) { c.Issuer = "ftp://login.example" },
		"audience is empty":                 func(c *access.OIDCConfig) { c.Audience = "" },
		"no group of https://login.example": func(c *access.OIDCConfig) { c.Groups = nil },
		`group "x" has no role`:             func(c *access.OIDCConfig) { c.Groups = map[string]access.Grant{"x": {}} },
		`"comp" has no slash`: func(c *access.OIDCConfig) {
			c.Groups = map[string]access.Grant{"x": {Role: 1, Scope: access.Scope{"comp"}}}
		},
		`group "x": an admin has no scope`: func(c *access.OIDCConfig) {
			c.Groups = map[string]access.Grant{"x": {Role: 3, Scope: access.Scope{"a/b"}}}
		},
	} {
		c := valid
		change(&c)
		if _, err := access.NewOIDC(c); !errors.Is(err, transport.KindInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("NewOIDC: %v, want %q", err, want)
		}
	}
	for _, url := range []string{"https://login.example", "https://login.example/tenant/", "http://localhost:5556/dex", "http://127.0.0.1:1"} {
		c := valid
		c.Issuer = url
		if _, err := access.NewOIDC(c); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
