package ec2_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

const one = "i-0123456789abcdef0"

func start(id string) transport.StartInput {
	return transport.StartInput{Ref: ref(id), ClientToken: "token"}
}

// TestErrors checks the kind of each of EC2's errors, with one request each.
func TestErrors(t *testing.T) {
	t.Parallel()
	for code, test := range map[string]struct {
		status int
		kind   transport.Kind
	}{
		"InsufficientInstanceCapacity":        {500, transport.KindCapacity},
		"InsufficientHostCapacity":            {500, transport.KindCapacity},
		"Server.InsufficientInstanceCapacity": {500, transport.KindCapacity},
		"UnavailableHostRequirements":         {400, transport.KindCapacity},
		"InstanceLimitExceeded":               {400, transport.KindQuotaExceeded},
		"VcpuLimitExceeded":                   {400, transport.KindQuotaExceeded},
		"RequestLimitExceeded":                {503, transport.KindThrottled},
		"Throttling":                          {400, transport.KindThrottled},
		"ThrottlingException":                 {400, transport.KindThrottled},
		"ConcurrentTagAccess":                 {400, transport.KindThrottled},
		"SomethingElse":                       {429, transport.KindThrottled},
		"IncorrectInstanceState":              {400, transport.KindConflict},
		"UnauthorizedOperation":               {403, transport.KindAccessDenied},
		"OptInRequired":                       {401, transport.KindAccessDenied},
		"AuthFailure":                         {401, transport.KindCredentials},
		"ExpiredToken":                        {400, transport.KindCredentials},
		"ExpiredTokenException":               {400, transport.KindCredentials},
		"RequestExpired":                      {400, transport.KindCredentials},
		"SignatureDoesNotMatch":               {403, transport.KindCredentials},
		"InvalidInstanceID.NotFound":          {400, transport.KindNotFound},
		"InvalidInstanceID.Malformed":         {400, transport.KindInvalid},
		"InvalidParameterValue":               {400, transport.KindInvalid},
		"UnsupportedOperation":                {400, transport.KindInvalid},
		"InternalError":                       {500, transport.KindInternal},
		"Unavailable":                         {503, transport.KindInternal},
		"Unknown4":                            {403, transport.KindAccessDenied},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, always(test.status, failing(code, "said &#x9b;31m&#x202e;by EC2")))
			_, err := s.open(ec2.Config{}).Start(t.Context(), start(one))
			var e *transport.Error
			if !errors.As(err, &e) || e.Kind != test.kind || e.NotSent || e.HTTPStatusCode != test.status || e.Code != code {
				t.Fatalf("%+v, want %v", err, test.kind)
			}
			if e.RequestID != "req-1" || e.RetryAfter != 7*time.Second || !e.Date.Equal(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)) {
				t.Errorf("request id %q, retry after %v, date %v", e.RequestID, e.RetryAfter, e.Date)
			}
			if strings.ContainsAny(err.Error(), "\u009b\u202e") || strings.Contains(err.Error(), secret) {
				t.Errorf("%q is not printable", err)
			}
			var api smithy.APIError
			if !errors.As(err, &api) || api.ErrorCode() != code {
				t.Errorf("no smithy.APIError in %v", err)
			}
			if n := len(s.requests()); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

// TestDenial checks that the encoded message is kept for a person who can decode it, and
// is not in the text.
func TestDenial(t *testing.T) {
	t.Parallel()
	blob := strings.Repeat("abcdefgh-IJ_", 150)
	s := newScript(t, always(403, failing("UnauthorizedOperation",
		"You are not authorized to perform this operation. Encoded authorization failure message: "+blob)))
	_, err := s.open(ec2.Config{}).Start(t.Context(), start(one))
	var e *transport.Error
	if !errors.As(err, &e) || e.Context[ec2.EncodedMessage] != blob || e.Message != "You are not authorized to perform this operation." {
		t.Errorf("%+v with context %v", err, e.Context)
	}
	if strings.Contains(err.Error(), "abcdefgh") {
		t.Errorf("%v holds the encoded message", err)
	}
}

// TestNotEC2 checks that the answer of another server is not a refusal and not an empty
// list of instances. Its clock is not EC2's.
func TestNotEC2(t *testing.T) {
	t.Parallel()
	page := "<html><head><title>Welcome to the airport</title></head><body></body></html>"
	for name, test := range map[string]struct {
		status int
		body   string
	}{
		"a portal":       {200, page},
		"a redirect":     {302, page},
		"a proxy's 403":  {403, page},
		"a proxy's 407":  {407, page},
		"a gateway":      {502, page},
		"nothing":        {200, ""},
		"JSON":           {200, `{"ok": true}`},
		"another action": {200, "<RunInstancesResponse></RunInstancesResponse>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, always(test.status, test.body))
			tr := s.open(ec2.Config{})
			_, startErr := tr.Start(t.Context(), start(one))
			_, getErr := tr.Get(t.Context(), ref(one))
			for _, err := range []error{startErr, getErr} {
				var e *transport.Error
				if !errors.As(err, &e) || e.Kind != transport.KindUnreachable || e.NotSent || e.HTTPStatusCode != test.status {
					t.Errorf("%+v, want unreachable by HTTP %d, outcome unknown", err, test.status)
				} else if !e.Date.IsZero() {
					t.Errorf("%v has the date %v of another server", err, e.Date)
				}
			}
			if n := len(s.requests()); n != 2 {
				t.Errorf("%d requests for two calls", n)
			}
		})
	}
}

// TestCutShort checks that the outcome is unknown after an answer that ends too early.
func TestCutShort(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"in the middle":  `<StartInstancesResponse><instancesSet><item><instanceId>i-01`,
		"without a list": `<StartInstancesResponse></StartInstancesResponse>`,
	} {
		_, err := newScript(t, always(200, body)).open(ec2.Config{}).Start(t.Context(), start(one))
		var e *transport.Error
		if !errors.As(err, &e) || e.Kind != transport.KindUnknown || e.NotSent {
			t.Errorf("%s: %+v, want an unknown outcome", name, err)
		}
	}
}

// TestLongError checks that an error has a lower limit than an answer.
func TestLongError(t *testing.T) {
	t.Parallel()
	_, err := newScript(t, always(500, failing("InternalError", strings.Repeat("x", 2<<20)))).open(ec2.Config{}).Start(t.Context(), start(one))
	if !errors.Is(err, transport.KindUnknown) || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("%v, want an unknown outcome that names the limit", err)
	}
}

// TestEcho checks errors of a server, or of a proxy in front of it, that echo the
// request. No error's text has the credentials or the signature.
func TestEcho(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 403, 500, 503} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			echo := r.Header.Get("Authorization") + " " + r.Header.Get("X-Amz-Security-Token")
			w.Header().Set("X-Amzn-Requestid", echo)
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, "<Response><Errors><Error><Code>InvalidParameterValue</Code><Message>%[1]s</Message></Error></Errors><RequestID>%[1]s</RequestID></Response>", echo)
		}))
		t.Cleanup(server.Close)
		cfg := newScript(t, always(500, "")).config()
		cfg.BaseEndpoint = aws.String(server.URL)
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAECHO12345678", SecretAccessKey: secret, SessionToken: "token-" + secret}, nil
		})
		tr, err := ec2.NewFromConfig(cfg, ec2.Config{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = tr.Start(t.Context(), start(one))
		if err == nil {
			t.Fatal("an error was no error")
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			text := fmt.Sprintf("%v %+v %#v", e, e, e)
			if strings.Contains(text, secret) || strings.Contains(text, "AKIAECHO") || !strings.Contains(text, "Signature=[secret]") && e == err {
				t.Errorf("%d: %s", status, text)
			}
		}
	}
}

// TestNoCredentials checks that nothing is sent without credentials, and that a source of
// credentials that cannot be reached is KindUnreachable. The source's own text is not
// quoted, because it may be the credentials.
func TestNoCredentials(t *testing.T) {
	t.Parallel()
	leaky := errors.New("parse failed of process output: {\"SecretAccessKey\":\"" + secret + "\"}")
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for name, test := range map[string]struct {
		err  error
		kind transport.Kind
		says string
	}{
		"leaky":   {leaky, transport.KindCredentials, "there are no credentials"},
		"expired": {&smithy.GenericAPIError{Code: "UnauthorizedException", Message: secret}, transport.KindCredentials, "UnauthorizedException: there are no credentials"},
		"offline": {fmt.Errorf("refresh by %s: %w", secret, &net.DNSError{Err: "no such host", Name: "sso.test", IsNotFound: true}), transport.KindUnreachable, "cannot be reached: lookup sso.test: no such host"},
		"refused": {fmt.Errorf("refresh by %s: %w", secret, refused), transport.KindUnreachable, "cannot be reached: dial tcp: connect: connection refused"},
		"foreign": {fmt.Errorf("refresh by %s: %w", secret, x509.UnknownAuthorityError{}), transport.KindUnreachable, "cannot be reached"},
	} {
		s := newScript(t, always(500, ""))
		cfg := s.config()
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, test.err })
		tr, err := ec2.NewFromConfig(cfg, ec2.Config{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = tr.Start(t.Context(), start(one))
		var e *transport.Error
		if !errors.As(err, &e) || e.Kind != test.kind || !e.NotSent || len(s.requests()) != 0 {
			t.Errorf("%s: %+v after %d requests, want %v, not sent", name, err, len(s.requests()), test.kind)
		}
		if text := fmt.Sprintf("%v %+v", err, err); !strings.Contains(text, test.says) || strings.Contains(text, secret) {
			t.Errorf("%s: %s, want %q, without the source's text", name, text, test.says)
		}
	}
}

// TestCredentialsThatNoRequestCarries checks that credentials that no header can have are
// refused before anything is sent.
func TestCredentialsThatNoRequestCarries(t *testing.T) {
	t.Parallel()
	s := newScript(t, always(500, ""))
	cfg := s.config()
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: secret, SessionToken: secret + "\n"}, nil
	})
	tr, err := ec2.NewFromConfig(cfg, ec2.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tr.Start(t.Context(), start(one))
	var e *transport.Error
	if !errors.As(err, &e) || e.Kind != transport.KindCredentials || !e.NotSent || !strings.Contains(e.Message, "line break") || strings.Contains(err.Error(), secret) {
		t.Errorf("%+v, want credentials, not sent", err)
	}
}

// TestCredentialsInterrupted checks that the error says that the call ended, without the
// text of the credentials' source.
func TestCredentialsInterrupted(t *testing.T) {
	t.Parallel()
	s := newScript(t, always(500, ""))
	ctx, cancel := context.WithCancel(t.Context())
	cfg := s.config()
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		cancel()
		return aws.Credentials{}, errors.New("interrupted after " + secret)
	})
	tr, err := ec2.NewFromConfig(cfg, ec2.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tr.Start(ctx, start(one))
	var e *transport.Error
	if !errors.As(err, &e) || e.Kind != transport.KindUnknown || !e.NotSent || !errors.Is(err, context.Canceled) || len(s.requests()) != 0 {
		t.Errorf("%+v after %d requests, want canceled, not sent", err, len(s.requests()))
	}
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
		t.Errorf("%v quotes the source", err)
	}
}

func TestNothingListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	tr, err := ec2.NewFromConfig(aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String("http://" + l.Addr().String()), Credentials: keys(secret),
	}, ec2.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tr.Start(t.Context(), start(one))
	var e *transport.Error
	if !errors.As(err, &e) || e.Kind != transport.KindUnreachable || !e.NotSent {
		t.Errorf("%+v, want unreachable, not sent", err)
	}
	if want := "unreachable: StartInstances: Post \"http://" + l.Addr().String() + "/\": dial tcp"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("the error is %q, want it to begin with %q", err, want)
	}
	if _, err = tr.Start(ended(), start(one)); !errors.As(err, &e) || e.Kind != transport.KindUnknown || !e.NotSent {
		t.Errorf("with an ended context: %+v", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := aws.Config{Region: "us-west-2", Credentials: keys(secret)}
	for want, test := range map[string]struct {
		aws aws.Config
		cfg ec2.Config
	}{
		"no region":               {aws.Config{Credentials: keys(secret)}, ec2.Config{}},
		"no credentials":          {aws.Config{Region: "us-west-2"}, ec2.Config{}},
		"Config.StaleFor is -1s":  {good, ec2.Config{StaleFor: -time.Second}},
		"Config.Tags has an empt": {good, ec2.Config{Tags: map[string]string{"": "x"}}},
	} {
		if _, err := ec2.NewFromConfig(test.aws, test.cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	bad := ec2.Config{}
	bad.Probe.Port = 22
	if _, err := ec2.NewFromConfig(good, bad); err == nil || !strings.Contains(err.Error(), "Config.Probe") {
		t.Errorf("a port without a kind: %v", err)
	}
}

// TestUnsent checks that an id that cannot be an instance is not sent.
func TestUnsent(t *testing.T) {
	t.Parallel()
	s := newScript(t, always(http.StatusOK, ""))
	tr := s.open(ec2.Config{})
	for _, id := range []string{"ws-042", "i-0123", "i-0123456789ABCDEF0", "i-0123456789abcdeg0", "mi-0123456789abcdef0", "i-0123456789abc ef0", "\u00a0"} {
		_, startErr := tr.Start(t.Context(), start(id))
		_, getErr := tr.Get(t.Context(), ref(id))
		_, stopErr := tr.Stop(t.Context(), transport.StopInput{Ref: ref(id)})
		for _, err := range []error{startErr, getErr, stopErr} {
			var e *transport.Error
			if !errors.As(err, &e) || e.Kind != transport.KindInvalid || !e.NotSent {
				t.Errorf("%q: %v, want invalid, not sent", id, err)
			}
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}
