package nimble_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// cut ends the connection without an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// inTurn answers the nth request by the nth handler, and later ones by the last. It
// counts requests.
func inTurn(handlers ...http.HandlerFunc) (http.HandlerFunc, *atomic.Int32) {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		i := min(int(n.Add(1)), len(handlers)) - 1
		handlers[i](w, r)
	}, &n
}

func refuse(status int, code string) http.HandlerFunc {
	return say(status, `{"message":"why"}`, "X-Amzn-ErrorType", code)
}

// eager repeats without a wait.
func eager(o *nimble.Options) {
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

// Without a Retryer one call is one request, whatever its outcome is.
func TestOneCallIsOneRequest(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"cut": cut, "500": refuse(500, "InternalServerErrorException"), "503": refuse(503, "ServiceUnavailable"),
		"429": refuse(429, "ThrottlingException"), "409": refuse(409, "ConflictException"), "page": say(502, "Bad Gateway"),
		"skewed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			refuse(403, "RequestTimeTooSkewed")(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			warm, requests := inTurn(say(200, good), answer)
			client := answering(t, warm)
			if err := start(t.Context(), client); err != nil { // from here on the client reuses a kept connection
				t.Fatal(err)
			}
			if err := start(t.Context(), client); err == nil {
				t.Error("no error")
			}
			if requests.Load() != 2 {
				t.Errorf("%d requests for 2 calls", requests.Load())
			}
		})
	}
}

func TestRetryerRepeats(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	tokens := map[string]int{}
	bodies := map[string]int{}
	note := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		tokens[r.Header.Get("X-Amz-Client-Token")]++
		bodies[string(body)]++
		if tokens["token"] < 3 {
			cut(w, r)
		}
		say(200, good)(w, r)
	}
	if err := start(t.Context(), answering(t, note, eager)); err != nil {
		t.Fatal(err)
	}
	if tokens["token"] != 3 || bodies["{}"] != 3 {
		t.Errorf("tokens %v, bodies %v; want each three times the same", tokens, bodies)
	}
}

// After an attempt that may have had its effect, a refusal does not make the outcome
// known.
func TestRefusalAfterAnOpenAttempt(t *testing.T) {
	t.Parallel()
	denied := refuse(403, "AccessDeniedException")
	for name, row := range map[string]struct {
		answers []http.HandlerFunc
		want    transport.Kind
	}{
		"cut, refused":       {[]http.HandlerFunc{cut, denied}, transport.KindUnknown},
		"500, refused":       {[]http.HandlerFunc{refuse(500, "X"), denied}, transport.KindUnknown},
		"page, refused":      {[]http.HandlerFunc{say(502, ""), denied}, transport.KindUnknown},
		"throttled, refused": {[]http.HandlerFunc{refuse(429, "ThrottlingException"), denied}, transport.KindAccessDenied},
		"500, 500, 500":      {[]http.HandlerFunc{refuse(500, "X")}, transport.KindInternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers, _ := inTurn(row.answers...)
			e := errorOf(t, start(t.Context(), answering(t, answers, eager)))
			if e.Kind != row.want || e.NotSent {
				t.Errorf("%v: kind %v, want %v", e, e.Kind, row.want)
			}
			// A read has no effect, so its outcome is never unknown.
			answers, _ = inTurn(row.answers...)
			_, err := answering(t, answers, eager).Get(t.Context(), ref)
			if e := errorOf(t, err); e.Kind == transport.KindUnknown {
				t.Errorf("Get: %v", e)
			}
		})
	}
}

// The first attempt was cut, and then the provider or the credentials are gone. The error
// must not have NotSent.
func TestNothingIsUnsentAfterAnOpenAttempt(t *testing.T) {
	t.Parallel()
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		server, h := listen(t, http.HandlerFunc(cut))
		var dials atomic.Int32
		h.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1) > 1 {
				return nil, &net.OpError{Op: "dial", Err: errors.New("no route to host")}
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
		e := errorOf(t, start(t.Context(), dial(server.URL, h, eager)))
		if e.NotSent || dials.Load() < 2 {
			t.Errorf("%v (not sent %v) after %d dials", e, e.NotSent, dials.Load())
		}
	})
	t.Run("credentials", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int32
		client := answering(t, cut, eager, func(o *nimble.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				if asked.Add(1) > 1 {
					return aws.Credentials{}, errors.New("they have expired")
				}
				return credentials, nil
			})
		})
		if e := errorOf(t, start(t.Context(), client)); e.Kind != transport.KindUnknown || e.NotSent {
			t.Errorf("%v: kind %v, not sent %v; want unknown", e, e.Kind, e.NotSent)
		}
	})
}

// An HTTP client that repeats requests reports only its last attempt. The first may have
// had its effect.
func TestDialThatFailsAfterAConnection(t *testing.T) {
	t.Parallel()
	server, h := listen(t, http.HandlerFunc(cut))
	gone := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: errors.New("no route to host")}
	}}}
	twice := doFunc(func(r *http.Request) (*http.Response, error) {
		if resp, err := h.Do(r); err == nil {
			return resp, nil
		}
		return gone.Do(r.Clone(r.Context()))
	})
	if e := errorOf(t, start(t.Context(), dial(server.URL, twice))); e.NotSent {
		t.Errorf("%v: not sent", e)
	}
}

// net/http can repeat a request if it knows that it sent nothing of it.
func TestBodyCanBeSentAgain(t *testing.T) {
	t.Parallel()
	client := dial("http://studio.invalid", doFunc(func(r *http.Request) (*http.Response, error) {
		for range 2 {
			again, err := r.GetBody()
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(again); string(body) != "{}" {
				t.Errorf("body %q, %v", body, err)
			}
		}
		return nil, io.ErrUnexpectedEOF
	}))
	if err := start(t.Context(), client); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// hang answers when the test ends.
func hang(t *testing.T) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}
}

func briefly(t *testing.T) context.Context { return within(t, 300*time.Millisecond) }

// patience is long enough to send any request. The wait after it is for the answer.
const patience = 3 * time.Second

func patiently(t *testing.T) context.Context { return within(t, patience) }

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Without an answer, NotSent is set only if it is certain.
func TestSilence(t *testing.T) {
	t.Parallel()
	// net/http continues a dial whose request has ended.
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	endless := func(context.Context, string, string) (net.Conn, error) {
		<-over
		return nil, net.ErrClosed
	}
	blackHole := &http.Transport{DialContext: endless}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	soon, cancelSoon := context.WithCancel(context.Background())
	cancelling := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		cancelSoon()
		return endless(ctx, network, address)
	}}
	plain, plainHTTP := listen(t, say(200, good))
	untrusted := httptest.NewUnstartedServer(say(200, good))
	untrusted.Config.ErrorLog = plain.Config.ErrorLog
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	proxy, _ := listen(t, say(407, "who are you?"))
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	slow, slowHTTP := listen(t, hang(t))
	cutting, cuttingHTTP := listen(t, http.HandlerFunc(cut))

	for _, row := range []struct {
		name     string
		ctx      func(*testing.T) context.Context
		endpoint string
		h        aws.HTTPClient
		kind     transport.Kind
		notSent  bool
		says     string // the whole error message; "" accepts any message of the network
	}{
		{"refused", (*testing.T).Context, "http://127.0.0.1:1", nil, transport.KindUnreachable, true, ""},
		{"no such name", (*testing.T).Context, "http://studio.invalid", nil, transport.KindUnreachable, true, ""},
		{"dial without end", briefly, "http://127.0.0.1:1", &http.Client{Transport: blackHole}, transport.KindUnreachable, true, "no connection came about in time"},
		{"dial without end, client's time-out", (*testing.T).Context, "http://127.0.0.1:1", &http.Client{Transport: blackHole, Timeout: 300 * time.Millisecond}, transport.KindUnreachable, true, ""},
		{"cancelled before", func(*testing.T) context.Context { return cancelled }, plain.URL, plainHTTP, transport.KindUnknown, true, ""},
		{"cancelled while dialing", func(*testing.T) context.Context { return soon }, plain.URL, &http.Client{Transport: cancelling}, transport.KindUnknown, true, "the call was interrupted before anything was sent"},
		{"TLS with a plain server", (*testing.T).Context, strings.Replace(plain.URL, "http:", "https:", 1), plainHTTP, transport.KindUnreachable, true, ""},
		{"certificate of an unknown authority", (*testing.T).Context, untrusted.URL, &http.Client{Transport: &http.Transport{}}, transport.KindUnreachable, true, ""},
		{"proxy refuses the tunnel", (*testing.T).Context, "https://studio.invalid", &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxyURL)}}, transport.KindUnreachable, true, ""},
		{"no answer", patiently, slow.URL, slowHTTP, transport.KindUnknown, false, "no answer came in time"},
		{"no answer, client's time-out", (*testing.T).Context, slow.URL, &http.Client{Transport: slowHTTP.Transport, Timeout: patience}, transport.KindUnknown, false, ""},
		{"cut", (*testing.T).Context, cutting.URL, cuttingHTTP, transport.KindUnknown, false, ""},
		{"an HTTP client whose error has no cause", (*testing.T).Context, plain.URL, doFunc(func(*http.Request) (*http.Response, error) {
			return nil, context.DeadlineExceeded
		}), transport.KindUnknown, false, ""},
		{"refused, by an HTTP client that names no other cause", (*testing.T).Context, plain.URL, doFunc(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("no route to host")}
		}), transport.KindUnreachable, true, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := row.ctx(t)
			err := start(ctx, dial(row.endpoint, row.h))
			if e := errorOf(t, err); e.Kind != row.kind || e.NotSent != row.notSent {
				t.Errorf("%v: kind %v, not sent %v; want %v, %v", err, e.Kind, e.NotSent, row.kind, row.notSent)
			}
			if row.says != "" && err.Error() != row.kind.Error()+": "+row.says {
				t.Errorf("it says %q, want %q", err, row.says)
			}
			if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
				t.Errorf("%v does not wrap %v", err, ctx.Err())
			}
		})
	}
}

type doFunc func(*http.Request) (*http.Response, error)

func (f doFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// A request that was written to an idle connection, or to an HTTP/2 connection, never has
// NotSent.
func TestKeptConnectionsAreSeen(t *testing.T) {
	t.Parallel()
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{})
			answers, _ := inTurn(say(200, good), func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				hang(t)(w, r)
			})
			server := httptest.NewUnstartedServer(answers)
			server.EnableHTTP2 = h2
			server.StartTLS()
			h := server.Client()
			t.Cleanup(func() {
				h.CloseIdleConnections()
				server.CloseClientConnections()
				server.Close()
			})
			client := dial(server.URL, h)
			if err := start(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					<-arrived // as long as a handshake may take
					cancel()
				}()
				e := errorOf(t, start(ctx, client))
				if e.Kind != transport.KindUnknown || e.NotSent || e.Message != "the call was interrupted before its answer came" {
					t.Errorf("%v: kind %v, not sent %v; want unknown, as it was interrupted", e, e.Kind, e.NotSent)
				}
			}
		})
	}
}

// The SDK's own HTTP client follows 307 and 308. This package prevents that.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]aws.HTTPClient{
		"none given": nil, "the SDK's": awshttp.NewBuildableClient(), "net/http's": &http.Client{Transport: &http.Transport{}},
		"a client that follows all redirects": doFunc((&http.Client{Transport: &http.Transport{}}).Do),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers, requests := inTurn(say(307, "", "Location", "/elsewhere"), say(200, good))
			server, _ := listen(t, answers)
			e := errorOf(t, start(t.Context(), dial(server.URL, h)))
			if e.Kind != transport.KindUnreachable || e.NotSent || e.HTTPStatusCode != 307 {
				t.Errorf("%v: kind %v, HTTP %d", e, e.Kind, e.HTTPStatusCode)
			}
			if _, theirs := h.(doFunc); !theirs && requests.Load() != 1 {
				t.Errorf("%d requests", requests.Load())
			}
		})
	}
}
