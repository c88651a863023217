package nimble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// cut ends the connection without an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// inTurn answers the nth request by the nth handler, and those beyond by the
// last. It counts them.
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

// eager repeats without waiting.
func eager(o *nimble.Options) {
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

// Without a Retryer one call is one request, whatever becomes of it.
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
			if err := start(t.Context(), client); err != nil { // from here on the connection is a kept one
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

// A refusal after an attempt that may have had its effect is no verdict.
func TestRefusalAfterAnOpenAttempt(t *testing.T) {
	t.Parallel()
	denied := refuse(403, "AccessDeniedException")
	for name, row := range map[string]struct {
		answers []http.HandlerFunc
		want    transport.Kind
	}{
		"cut, refused":       {[]http.HandlerFunc{cut, denied}, transport.Unknown},
		"500, refused":       {[]http.HandlerFunc{refuse(500, "X"), denied}, transport.Unknown},
		"page, refused":      {[]http.HandlerFunc{say(502, ""), denied}, transport.Unknown},
		"throttled, refused": {[]http.HandlerFunc{refuse(429, "ThrottlingException"), denied}, transport.AccessDenied},
		"500, 500, 500":      {[]http.HandlerFunc{refuse(500, "X")}, transport.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers, _ := inTurn(row.answers...)
			e := errorOf(t, start(t.Context(), answering(t, answers, eager)))
			if e.Kind != row.want || e.NotSent {
				t.Errorf("%v: kind %v, want %v", e, e.Kind, row.want)
			}
			// A look has no effect to be unsure of.
			answers, _ = inTurn(row.answers...)
			_, err := answering(t, answers, eager).Get(t.Context(), ref)
			if e := errorOf(t, err); e.Kind == transport.Unknown {
				t.Errorf("Get: %v", e)
			}
		})
	}
}

// An attempt that was cut, and then the provider gone, or the credentials: not
// "not sent".
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
		if e := errorOf(t, start(t.Context(), client)); e.Kind != transport.Unknown || e.NotSent {
			t.Errorf("%v: kind %v, not sent %v; want unknown", e, e.Kind, e.NotSent)
		}
	})
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

func briefly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// Where no answer came, NotSent is certain or not claimed.
func TestSilence(t *testing.T) {
	t.Parallel()
	// net/http lets a dial go on when its request has ended.
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
	}{
		{"refused", (*testing.T).Context, "http://127.0.0.1:1", nil, transport.Unreachable, true},
		{"no such name", (*testing.T).Context, "http://studio.invalid", nil, transport.Unreachable, true},
		{"dial without end", briefly, "http://127.0.0.1:1", &http.Client{Transport: blackHole}, transport.Unreachable, true},
		{"dial without end, client's time-out", (*testing.T).Context, "http://127.0.0.1:1", &http.Client{Transport: blackHole, Timeout: 30 * time.Millisecond}, transport.Unreachable, true},
		{"cancelled before", func(*testing.T) context.Context { return cancelled }, plain.URL, plainHTTP, transport.Unknown, true},
		{"cancelled while dialing", func(*testing.T) context.Context { return soon }, plain.URL, &http.Client{Transport: cancelling}, transport.Unknown, true},
		{"TLS with a plain server", (*testing.T).Context, strings.Replace(plain.URL, "http:", "https:", 1), plainHTTP, transport.Unreachable, true},
		{"certificate of a stranger", (*testing.T).Context, untrusted.URL, &http.Client{Transport: &http.Transport{}}, transport.Unreachable, true},
		{"proxy refuses the tunnel", (*testing.T).Context, "https://studio.invalid", &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxyURL)}}, transport.Unreachable, true},
		{"no answer", briefly, slow.URL, slowHTTP, transport.Unknown, false},
		{"no answer, client's time-out", (*testing.T).Context, slow.URL, &http.Client{Transport: slowHTTP.Transport, Timeout: 30 * time.Millisecond}, transport.Unknown, false},
		{"cut", (*testing.T).Context, cutting.URL, cuttingHTTP, transport.Unknown, false},
		{"a client that says nothing", (*testing.T).Context, plain.URL, doFunc(func(*http.Request) (*http.Response, error) {
			return nil, context.DeadlineExceeded
		}), transport.Unknown, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := row.ctx(t)
			err := start(ctx, dial(row.endpoint, row.h))
			if e := errorOf(t, err); e.Kind != row.kind || e.NotSent != row.notSent {
				t.Errorf("%v: kind %v, not sent %v; want %v, %v", err, e.Kind, e.NotSent, row.kind, row.notSent)
			}
			if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
				t.Errorf("%v does not wrap %v", err, ctx.Err())
			}
		})
	}
}

type doFunc func(*http.Request) (*http.Response, error)

func (f doFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// A kept connection, and one of HTTP/2, are connections too: a request that was
// written to one is never "not sent".
func TestKeptConnectionsAreSeen(t *testing.T) {
	t.Parallel()
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers, _ := inTurn(say(200, good), hang(t))
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
				e := errorOf(t, start(briefly(t), client))
				if e.Kind != transport.Unknown || e.NotSent {
					t.Errorf("%v: kind %v, not sent %v; want unknown", e, e.Kind, e.NotSent)
				}
			}
		})
	}
}

// The SDK's own HTTP client follows 307 and 308; ours does not let it.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]aws.HTTPClient{
		"none given": nil, "the SDK's": awshttp.NewBuildableClient(), "net/http's": &http.Client{Transport: &http.Transport{}},
		"one that insists": doFunc((&http.Client{Transport: &http.Transport{}}).Do),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers, requests := inTurn(say(307, "", "Location", "/elsewhere"), say(200, good))
			server, _ := listen(t, answers)
			e := errorOf(t, start(t.Context(), dial(server.URL, h)))
			if e.Kind != transport.Unreachable || e.NotSent || e.HTTPStatusCode != 307 {
				t.Errorf("%v: kind %v, HTTP %d", e, e.Kind, e.HTTPStatusCode)
			}
			if _, theirs := h.(doFunc); !theirs && requests.Load() != 1 {
				t.Errorf("%d requests", requests.Load())
			}
		})
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		answer := good
		if strings.HasSuffix(r.URL.Path, "/streaming-sessions") && r.Method == http.MethodGet {
			answer = `{"sessions":[]}`
		}
		say(200, answer)(w, r)
	}, func(o *nimble.Options) {
		o.AppID = "night-shift"
		o.BaseEndpoint = aws.String(*o.BaseEndpoint + "/base%2Fpath/")
	})
	const sessions = "/base%2Fpath/2020-08-01/studios/lab/streaming-sessions"
	for _, row := range []struct {
		call                    func() error
		method, uri, body, kind string
		token                   bool
	}{
		{func() error { return start(t.Context(), client) }, "POST", sessions + "/ws-1/start", "{}", "application/json", true},
		{func() error {
			_, err := client.Stop(t.Context(), transport.StopInput{Ref: ref, VolumeRetentionMode: "RETAIN"})
			return err
		}, "POST", sessions + "/ws-1/stop", `{"volumeRetentionMode":"RETAIN"}`, "application/json", true},
		{func() error { _, err := client.Get(t.Context(), ref); return err }, "GET", sessions + "/ws-1", "", "", false},
		{func() error {
			_, err := client.Delete(t.Context(), transport.DeleteInput{Ref: ref})
			return err
		}, "DELETE", sessions + "/ws-1", "", "", true},
		{func() error {
			_, err := client.Create(t.Context(), transport.CreateInput{StudioID: lab, LaunchProfileID: "lp", Tags: map[string]string{"a": "b"}})
			return err
		}, "POST", sessions, `{"launchProfileId":"lp","tags":{"a":"b"}}`, "application/json", true},
		{func() error {
			_, err := client.List(t.Context(), transport.ListInput{StudioID: lab, SessionIDs: []string{"a", "b"}, OwnedBy: "me & you", CreatedBy: "x", NextToken: "t+/="})
			return err
		}, "GET", sessions + "?createdBy=x&nextToken=t%2B%2F%3D&ownedBy=me%20%26%20you&sessionIds=a%2Cb", "", "", false},
	} {
		if err := row.call(); err != nil {
			t.Errorf("%s %s: %v", row.method, row.uri, err)
			continue
		}
		if got.Method != row.method || got.RequestURI != row.uri || string(body) != row.body || got.Header.Get("Content-Type") != row.kind {
			t.Errorf("sent %s %s %q of type %q, want %s %s %q", got.Method, got.RequestURI, body, got.Header.Get("Content-Type"), row.method, row.uri, row.body)
		}
		if token := got.Header.Get("X-Amz-Client-Token"); row.token != (token != "") {
			t.Errorf("%s: client token %q", row.uri, token)
		}
		agent := got.UserAgent()
		for _, part := range []string{"aws-sdk-go-v2/", "api/nimble#2020-08-01", "lib/rouse", "app/night-shift"} {
			if !strings.Contains(agent, part) {
				t.Errorf("user agent %q lacks %s", agent, part)
			}
		}
		if !strings.Contains(got.Header.Get("Authorization"), "/eu-central-1/nimble/aws4_request") {
			t.Errorf("authorization %q", got.Header.Get("Authorization"))
		}
	}
}

// What cannot be right is refused before anything is sent.
func TestRefusedBeforeSending(t *testing.T) {
	t.Parallel()
	client := answering(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	bad := transport.Ref{StudioID: lab}
	for name, call := range map[string]func() error{
		"start, no id": func() error {
			_, err := client.Start(t.Context(), transport.StartInput{Ref: bad, ClientToken: "t"})
			return err
		},
		"start, no token": func() error { _, err := client.Start(t.Context(), transport.StartInput{Ref: ref}); return err },
		"stop":            func() error { _, err := client.Stop(t.Context(), transport.StopInput{Ref: bad}); return err },
		"get":             func() error { _, err := client.Get(t.Context(), bad); return err },
		"delete":          func() error { _, err := client.Delete(t.Context(), transport.DeleteInput{Ref: bad}); return err },
		"delete, token": func() error {
			_, err := client.Delete(t.Context(), transport.DeleteInput{Ref: ref, ClientToken: strings.Repeat("x", 65)})
			return err
		},
		"create": func() error { _, err := client.Create(t.Context(), transport.CreateInput{}); return err },
		"list":   func() error { _, err := client.List(t.Context(), transport.ListInput{}); return err },
		"list, empty id": func() error {
			_, err := client.List(t.Context(), transport.ListInput{StudioID: lab, SessionIDs: []string{""}})
			return err
		},
		"list, comma": func() error {
			_, err := client.List(t.Context(), transport.ListInput{StudioID: lab, SessionIDs: []string{"a,b"}})
			return err
		},
		"batch, too large": func() error { _, err := client.BatchGet(t.Context(), make([]transport.Ref, 101)); return err },
	} {
		if e := errorOf(t, call()); e.Kind != transport.Invalid || !e.NotSent {
			t.Errorf("%s: %v (not sent %v), want invalid, not sent", name, e, e.NotSent)
		}
	}
}

// A client that cannot send says what it lacks, and lets the request wait.
func TestNotConfigured(t *testing.T) {
	t.Parallel()
	leaky := errors.New("parse failed: {\"SecretAccessKey\":\"" + secret + "\"}")
	for name, row := range map[string]struct {
		set  func(*nimble.Options)
		kind transport.Kind
		says string
	}{
		"no endpoint":       {func(o *nimble.Options) { o.BaseEndpoint = nil }, transport.Unreachable, "BaseEndpoint"},
		"empty endpoint":    {func(o *nimble.Options) { o.BaseEndpoint = aws.String("") }, transport.Unreachable, "BaseEndpoint"},
		"endpoint, no host": {func(o *nimble.Options) { o.BaseEndpoint = aws.String("studio:80") }, transport.Unreachable, "not an http"},
		"endpoint, scheme":  {func(o *nimble.Options) { o.BaseEndpoint = aws.String("ftp://x") }, transport.Unreachable, "not an http"},
		"endpoint, rotten":  {func(o *nimble.Options) { o.BaseEndpoint = aws.String("http://u:" + secret + "@%zz") }, transport.Unreachable, "not an http"},
		"no region":         {func(o *nimble.Options) { o.Region = "" }, transport.Unreachable, "Region"},
		"no credentials":    {func(o *nimble.Options) { o.Credentials = nil }, transport.Credentials, "no credentials"},
		"rotten credentials": {func(o *nimble.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, leaky })
		}, transport.Credentials, "no credentials"},
		"expired login": {func(o *nimble.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, &smithy.GenericAPIError{Code: "UnauthorizedException", Message: secret}
			})
		}, transport.Credentials, "UnauthorizedException"},
		"login cancelled": {func(o *nimble.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, context.Canceled })
		}, transport.Unknown, "no credentials"},
		"rotten middleware": {func(o *nimble.Options) {
			o.APIOptions = append(o.APIOptions, func(*middleware.Stack) error { return errors.New("no such step") })
		}, transport.Invalid, "no such step"},
	} {
		client := answering(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }, row.set)
		err := start(t.Context(), client)
		if e := errorOf(t, err); e.Kind != row.kind || !e.NotSent || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v (kind %v, not sent %v), want %v that says %q", name, err, e.Kind, e.NotSent, row.kind, row.says)
		}
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
			t.Errorf("%s: the error quotes the secret", name)
		}
	}
}

// A provider's complaint about a signature quotes what was signed.
func TestCredentialsAreNotQuoted(t *testing.T) {
	t.Parallel()
	client := answering(t, say(403, `{"message":"The Canonical String should have been 'x-amz-security-token:`+secret+`'","context":{"c":"`+secret+`"}}`,
		"X-Amzn-ErrorType", "InvalidSignatureException"))
	err := start(t.Context(), client)
	e := errorOf(t, err)
	if e.Kind != transport.Credentials || e.Code != "InvalidSignatureException" || e.Message == "" {
		t.Errorf("%v", err)
	}
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		if strings.Contains(fmt.Sprintf("%v %+v", cause, cause), secret) {
			t.Errorf("%T quotes the session token", cause)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	server, h := listen(t, refuse(500, "X"))
	var log bytes.Buffer
	var steps []string
	cfg := aws.Config{
		Region: region, Credentials: provide(credentials), HTTPClient: h, BaseEndpoint: aws.String(server.URL),
		Retryer:       func() aws.Retryer { return aws.NopRetryer{} },
		Logger:        logging.NewStandardLogger(&log),
		ClientLogMode: aws.LogRequest | aws.LogResponseWithBody,
		AppID:         "app",
		ServiceOptions: []func(string, any){func(service string, o any) {
			steps = append(steps, service)
			o.(*nimble.Options).StaleFor = time.Second
		}},
		APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Spy", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				steps = append(steps, middleware.GetOperationName(ctx), fmt.Sprintf("%T", in.Parameters))
				return next.HandleInitialize(ctx, in)
			}), middleware.After)
		}, smithyhttp.AddHeaderValue("X-Amz-Studio-Floor", "3")},
	}
	client := nimble.NewFromConfig(cfg, func(o *nimble.Options) {
		steps = append(steps, o.StaleFor.String())
		o.TokenMemory = time.Hour
	})
	if err := start(t.Context(), client); !errors.Is(err, transport.Internal) {
		t.Error(err)
	}
	if got, want := strings.Join(steps, " "), "nimble 1s StartStreamingSession transport.StartInput"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	want := transport.Traits{Repeat: transport.ByToken, TokenMemory: time.Hour, StaleFor: time.Second, MaxBatch: 100}
	if got := client.Traits(ref); got != want {
		t.Errorf("traits %+v, want %+v", got, want)
	}
	if !strings.Contains(log.String(), "X-Amz-Studio-Floor: 3") || !strings.Contains(log.String(), "500 Internal Server Error") {
		t.Errorf("the log has not the request and the answer:\n%s", log.String())
	}
	copied := client.Options()
	copied.APIOptions[0] = nil
	if client.Options().APIOptions[0] == nil {
		t.Error("Options shares its slice with the client")
	}
}

// signedAt is the date a request is signed with.
func signedAt(t *testing.T, r *http.Request) time.Time {
	t.Helper()
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Error(err)
	}
	return at
}

func TestSkew(t *testing.T) {
	t.Parallel()
	const far = 2 * time.Hour
	said := func(status int, code string, off time.Duration, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
			if code != "" {
				headers = append(headers, "X-Amzn-ErrorType", code)
			}
			say(status, "", headers...)(w, r)
		}
	}
	for name, row := range map[string]struct {
		first http.HandlerFunc
		set   func(*nimble.Options)
		want  time.Duration // of the second request's date
	}{
		"ahead":           {first: said(403, "RequestTimeTooSkewed", far), want: far},
		"behind":          {first: said(403, "InvalidSignatureException", -far), want: -far},
		"within":          {first: said(403, "InvalidSignatureException", 3*time.Minute)},
		"another code":    {first: said(403, "AccessDeniedException", far)},
		"from a cache":    {first: said(403, "RequestTimeTooSkewed", far, "Age", "1")},
		"from a stranger": {first: said(403, "", far)},
		"switched off":    {first: said(403, "RequestTimeTooSkewed", far), set: func(o *nimble.Options) { o.DisableClockSkewCorrection = true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near := func(r *http.Request, want time.Duration) {
				if off := time.Until(signedAt(t, r)) - want; off.Abs() > time.Minute {
					t.Errorf("signed with a date %v off", off)
				}
			}
			answers, _ := inTurn(row.first,
				func(w http.ResponseWriter, r *http.Request) {
					near(r, row.want)
					said(403, "RequestTimeTooSkewed", 0)(w, r) // the clocks agree again
				},
				func(w http.ResponseWriter, r *http.Request) {
					near(r, 0)
					say(200, good)(w, r)
				})
			var optFns []func(*nimble.Options)
			if row.set != nil {
				optFns = append(optFns, row.set)
			}
			client := answering(t, answers, optFns...)
			for range 2 {
				if err := start(t.Context(), client); err == nil {
					t.Error("no error")
				}
			}
			if err := start(t.Context(), client); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("with a Retryer in one call", func(t *testing.T) {
		t.Parallel()
		answers, requests := inTurn(said(403, "RequestTimeTooSkewed", far), say(200, good))
		if err := start(t.Context(), answering(t, answers, eager)); err != nil || requests.Load() != 2 {
			t.Errorf("%d requests, %v", requests.Load(), err)
		}
	})
}
