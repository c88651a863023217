package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"
)

// Returned by [OIDC.Authenticate].
var (
	// ErrIDToken: the text is no valid ID token of the issuer for this audience.
	ErrIDToken = errors.New("access: ID token refused")
	// ErrIssuer: the issuer cannot be asked for its keys, so the token is not checked.
	ErrIssuer = errors.New("access: the issuer cannot be asked")
)

// OIDCConfig says which ID tokens of OpenID Connect are accepted, and what they allow.
type OIDCConfig struct {
	// Issuer is the issuer's URL, exactly as its ID tokens have it. It begins with
	// https, except on loopback.
	Issuer string
	// Audience must be in the aud claim of an ID token: the client id of rouse at the
	// issuer.
	Audience string
	// NameClaim is the claim with the name of the identity. People must not be able to
	// choose it themselves. Defaults to email, which the issuer must not call
	// unverified.
	NameClaim string
	// GroupsClaim is the claim with the names of the groups, an array or one text.
	// Defaults to groups.
	GroupsClaim string
	// Groups says what the members of a group may do. A person who is in several has
	// the highest role, with the scopes of the groups that give that role.
	Groups map[string]Grant
}

// Grant is a role for the sessions of a scope; an empty one has every session.
type Grant struct {
	Role  Role
	Scope Scope
}

// OIDC turns ID tokens into identities. It asks the issuer for its keys when it first
// needs them, so it can be made while the issuer is away. It is safe for concurrent
// use. Make it with [NewOIDC].
type OIDC struct {
	config OIDCConfig
	client *http.Client

	// mu guards the fields below. It is never held across a call to the issuer.
	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil: the issuer was not found yet
	finding  chan struct{}         // closed when the search that goes on ends; nil: none goes on
	err      error                 // why the last search failed
	wait     time.Duration         // after that failure; 0: there was none
	next     time.Time             // when the next search may begin
}

// The limits of calls to the issuer.
const (
	issuerTimeout = 10 * time.Second
	issuerBody    = 1 << 20
	issuerEvery   = time.Second // an ID token with an unknown key makes one call
	issuerBurst   = 5
	minIssuerWait = time.Second
	maxIssuerWait = time.Minute
	maxIDToken    = 16 << 10
)

// NewOIDC checks c. It asks the issuer nothing. The error is a *transport.Error of kind
// KindInvalid.
func NewOIDC(c OIDCConfig) (*OIDC, error) {
	u, err := url.Parse(c.Issuer)
	switch {
	case c.Issuer == "":
		return nil, transport.Invalid("OIDC issuer is empty: give its URL")
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, transport.Invalid("OIDC issuer %.200q is no URL of an issuer: write it as its ID tokens have it, as in https://login.example", c.Issuer)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, transport.Invalid("OIDC issuer %.200q does not begin with https://: only an issuer on loopback may do without", c.Issuer)
	case c.Audience == "":
		return nil, transport.Invalid("OIDC audience is empty: give the client id that rouse has at %s", c.Issuer)
	case len(c.Groups) == 0:
		return nil, transport.Invalid("no group of %s has a role: name at least one", c.Issuer)
	}
	for name, g := range c.Groups {
		if _, err := g.Role.MarshalText(); err != nil {
			return nil, transport.Invalid("OIDC group %.80q has no role: give viewer, operator or admin", name)
		}
		if err := g.Scope.Validate(); err != nil {
			return nil, err
		}
		if g.Role == RoleAdmin && len(g.Scope) > 0 {
			return nil, transport.Invalid("OIDC group %.80q: an admin has no scope: leave out the scope, or choose the role operator", name)
		}
	}
	if c.NameClaim == "" {
		c.NameClaim = "email"
	}
	if c.GroupsClaim == "" {
		c.GroupsClaim = "groups"
	}
	limit := rate.NewLimiter(rate.Every(issuerEvery), issuerBurst)
	return &OIDC{config: c, client: &http.Client{Timeout: issuerTimeout, Transport: issuerTransport{limit}}}, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Authenticate returns the identity of an ID token. Its role is zero if no group of it
// has one. The error matches ErrIDToken or ErrIssuer. While the issuer is away, and for
// up to a minute after a failed call, it is ErrIssuer without another call.
func (o *OIDC) Authenticate(ctx context.Context, text string) (Identity, error) {
	// What is plainly not the issuer's must not make a call to it.
	if err := o.looksRight(text); err != nil {
		return Identity{}, err
	}
	verifier, err := o.find(ctx)
	if err != nil {
		return Identity{}, err
	}
	token, err := verifier.Verify(ctx, text)
	switch {
	case err == nil:
		return o.identity(token)
	case ctx.Err() != nil, strings.HasPrefix(err.Error(), "failed to verify signature: fetching keys "):
		return Identity{}, fmt.Errorf("%w: %s: %w", ErrIssuer, o.config.Issuer, err)
	}
	return Identity{}, fmt.Errorf("%w: %w", ErrIDToken, err)
}

// looksRight returns ErrIDToken unless text has the form of an ID token of the issuer.
func (o *OIDC) looksRight(text string) error {
	if len(text) > maxIDToken {
		return fmt.Errorf("%w: it has more than %d bytes", ErrIDToken, maxIDToken)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%w: it is no JWT", ErrIDToken)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return fmt.Errorf("%w: it is no JWT", ErrIDToken)
	}
	if claims.Issuer != o.config.Issuer {
		return fmt.Errorf("%w: its issuer is %.200q", ErrIDToken, claims.Issuer)
	}
	return nil
}

// find returns the verifier of the issuer's tokens. One request at a time looks for the
// issuer, and the others wait for it.
func (o *OIDC) find(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	o.mu.Lock()
	switch {
	case o.verifier != nil:
		defer o.mu.Unlock()
		return o.verifier, nil
	case o.finding != nil:
		finding := o.finding
		o.mu.Unlock()
		select {
		case <-finding:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %s: %w", ErrIssuer, o.config.Issuer, ctx.Err())
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.verifier, o.err
	case time.Now().Before(o.next):
		defer o.mu.Unlock()
		return nil, o.err
	}
	finding := make(chan struct{})
	o.finding = finding
	o.mu.Unlock()

	// The search goes on if this client leaves; the others wait for it.
	search, end := context.WithTimeout(context.WithoutCancel(ctx), issuerTimeout)
	provider, err := oidc.NewProvider(oidc.ClientContext(search, o.client), o.config.Issuer)
	end()

	o.mu.Lock()
	defer o.mu.Unlock()
	close(finding)
	o.finding = nil
	if err != nil {
		o.wait = min(max(2*o.wait, minIssuerWait), maxIssuerWait)
		o.next = time.Now().Add(o.wait)
		o.err = fmt.Errorf("%w: %s: %w; access tokens still work", ErrIssuer, o.config.Issuer, err)
		return nil, o.err
	}
	o.err, o.wait = nil, 0
	o.verifier = provider.Verifier(&oidc.Config{ClientID: o.config.Audience})
	return o.verifier, nil
}

// identity returns the identity that a verified token names.
func (o *OIDC) identity(token *oidc.IDToken) (Identity, error) {
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrIDToken, err)
	}
	var name string
	_ = json.Unmarshal(claims[o.config.NameClaim], &name) // one of another type is no name
	if err := checkName(name); err != nil {
		return Identity{}, fmt.Errorf("%w: the claim %s names nobody: %w", ErrIDToken, o.config.NameClaim, err)
	}
	if o.config.NameClaim == "email" && string(claims["email_verified"]) == "false" {
		return Identity{}, fmt.Errorf("%w: the issuer has not verified the email address", ErrIDToken)
	}
	id := Identity{Name: name}
	for _, group := range groupsOf(claims[o.config.GroupsClaim]) {
		if grant, ok := o.config.Groups[group]; ok {
			id = id.with(grant)
		}
	}
	return id, nil
}

// with returns i with what grant adds: a higher role replaces a lower one and its
// scope, and scopes of the same role are joined.
func (i Identity) with(grant Grant) Identity {
	switch {
	case grant.Role > i.Role:
		i.Role, i.Scope = grant.Role, grant.Scope
	case grant.Role < i.Role || len(i.Scope) == 0:
	case len(grant.Scope) == 0:
		i.Scope = nil
	default:
		i.Scope = slices.Concat(i.Scope, grant.Scope)
	}
	return i
}

// groupsOf reads a claim that is an array of texts or one text.
func groupsOf(claim json.RawMessage) []string {
	var many []string
	var one string
	switch {
	case json.Unmarshal(claim, &many) == nil:
		return many
	case json.Unmarshal(claim, &one) == nil:
		return []string{one}
	}
	return nil
}

// checkName returns an error unless name can be the by of an operation.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("it is missing, empty or no text")
	case printable.Clean(name, transport.MaxID) != name:
		return fmt.Errorf("%.80q is longer than %d bytes or cannot be printed on one line", name, transport.MaxID)
	}
	return nil
}

// issuerTransport limits the calls to the issuer and their answers. Without it go-oidc
// makes a call for each token with an unknown key, and reads an answer of any length.
type issuerTransport struct{ limit *rate.Limiter }

func (t issuerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.limit.Allow() {
		return nil, errors.New("too many calls to the issuer; try again in a second")
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, issuerBody), resp.Body}
	return resp, nil
}
