package access

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/internal/printable"
)

// GuardConfig configures a [Guard]. Everything but Tokens may be left out.
type GuardConfig struct {
	// Tokens has the access tokens. It is required.
	Tokens *Tokens
	// OIDC accepts ID tokens of an issuer. Nil accepts none.
	OIDC *OIDC
	// Hosts are the host names and IP addresses, without port, by which clients may
	// call the server. Loopback names and the address that a connection arrives at
	// are always allowed.
	Hosts []string
	// Logger hears of failed authentications, without their secrets. Defaults to none.
	Logger *slog.Logger
}

// Guard stands before the handlers of a TCP listener, loopback included: every local
// user and, by DNS rebinding, every web page reaches loopback. It is safe for
// concurrent use. Make it with [NewGuard].
type Guard struct {
	config   GuardConfig
	hosts    hostNames
	origin   http.CrossOriginProtection
	failures failures
}

// NewGuard returns a guard. The error is a *transport.Error of kind KindInvalid that
// names a host that is none.
func NewGuard(c GuardConfig) (*Guard, error) {
	hosts, err := newHostNames(c.Hosts)
	if err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Guard{config: c, hosts: hosts}, nil
}

// Protect returns a handler that lets a request through to next if it passes
// [Guard.Site] and then [Guard.Bearer].
func (g *Guard) Protect(next http.Handler) http.Handler { return g.Site(g.Bearer(next)) }

// Site returns a handler that refuses what a web page of another site sends. It asks
// for the Host first (421), which DNS rebinding cannot change, and then for the origin
// of a request that may change something (403).
func (g *Guard) Site(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.hosts.has(r) {
			problemHost.write(w, g.hosts.refusal(r))
			return
		}
		if err := g.origin.Check(r); err != nil {
			problemOrigin.write(w, "a web page of another origin sent this request: send it from a program, or from a page of this server")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Bearer returns a handler that attaches the identity of a bearer token to the context
// of a request (see [FromContext]). It answers 401 if there is no valid token, 403 if
// the identity has no role, and 503 if the token could not be checked.
//
// After 10 failures of a remote address at once, or more than one a second, it answers
// 429. A valid access token passes even then, so that clients that share an address
// cannot lock each other out. An ID token does not, because its check is expensive.
func (g *Guard) Bearer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := bearer(r)
		if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer realm="rouse"`)
			problemUnauthenticated.write(w, "the request has no credentials: send the header Authorization: Bearer TOKEN")
			return
		}
		remote := remoteOf(r.RemoteAddr)
		if !isSecret(text) && g.failures.over(remote) {
			g.limited(w)
			return
		}
		id, err := g.identify(r.Context(), text)
		switch {
		case err == nil && id.May(ActionRead):
			ctx, stop := g.whileValid(r.Context(), text)
			defer stop()
			next.ServeHTTP(w, r.WithContext(NewContext(ctx, id)))
		case err == nil:
			problemRole.write(w, id.Name+" has no role on this server: ask its administrator for a group that has one")
		case r.Context().Err() != nil: // no client waits for an answer
		case !refused(err):
			g.config.Logger.Error("credentials cannot be checked", "remote", r.RemoteAddr, "error", printable.Clean(err.Error(), maxLogged))
			w.Header().Set("Retry-After", "1")
			problemUnchecked.write(w, uncheckedText(err))
		case !g.failures.allow(remote):
			g.limited(w)
		default:
			g.config.Logger.Warn("authentication failed", "remote", r.RemoteAddr, "error", printable.Clean(err.Error(), maxLogged))
			// One answer for every reason: it must not say which tokens exist.
			w.Header().Set("WWW-Authenticate", `Bearer realm="rouse", error="invalid_token"`)
			problemUnauthenticated.write(w, "the token is not valid: it may be wrong, expired or revoked; ask for another one")
		}
	})
}

// recheckEvery is how often the token of a request that lasts, such as a stream, is
// checked again.
const recheckEvery = 10 * time.Second

// whileValid returns a context that ends when a token is no longer valid, at the next
// check after it expired or was revoked. The caller calls stop.
func (g *Guard) whileValid(ctx context.Context, text string) (valid context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(recheckEvery):
			}
			if _, err := g.identify(ctx, text); err != nil && refused(err) {
				cancel()
			}
		}
	}()
	return ctx, func() { cancel(); <-checked }
}

// maxLogged is how many bytes of an error are logged: a client may have written it.
const maxLogged = 300

func (g *Guard) limited(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "10")
	problemLimited.write(w, "too many failed authentications from this address: correct the token, and try again in 10 seconds")
}

// bearer returns the bearer token of a request, and false if it has none.
func bearer(r *http.Request) (string, bool) {
	all := r.Header.Values("Authorization")
	if len(all) != 1 {
		return "", false
	}
	scheme, text, _ := strings.Cut(all[0], " ")
	text = strings.TrimSpace(text)
	return text, strings.EqualFold(scheme, "Bearer") && text != ""
}

// isSecret reports whether text is to be an access token's secret.
func isSecret(text string) bool { return strings.HasPrefix(text, secretPrefix) }

// identify returns the identity of a bearer token. The error matches refused if the
// token is to blame.
func (g *Guard) identify(ctx context.Context, text string) (Identity, error) {
	if g.config.OIDC == nil || isSecret(text) {
		return g.config.Tokens.Authenticate(ctx, text)
	}
	return g.config.OIDC.Authenticate(ctx, text)
}

// refused reports whether err says that credentials are not valid.
func refused(err error) bool {
	for _, is := range []error{ErrMalformed, ErrNoToken, ErrSecret, ErrExpired, ErrRevoked, ErrIDToken} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// uncheckedText says why credentials could not be checked. Only the issuer's part is
// for clients.
func uncheckedText(err error) string {
	if errors.Is(err, ErrIssuer) {
		return printable.Clean(strings.TrimPrefix(err.Error(), "access: "), maxLogged)
	}
	return "the server cannot read its access tokens: try again; its log says why"
}
