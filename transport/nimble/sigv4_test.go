package nimble_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	host      = "studio.example.com"
	startPath = "/2020-08-01/studios/lab/streaming-sessions/ws-1/start"
	listPath  = "/2020-08-01/studios/lab/streaming-sessions"
)

// overWire returns r as a server reads it.
func overWire(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func bodyOf(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// signing says how a test's request is made: before it is signed, by the signer, and
// after it is signed.
type signing struct {
	method, target, body string // by default POST startPath "{}"
	before, after        func(*http.Request)
	key                  aws.Credentials // the credentials that sign
	hash                 string          // the hash of the body
	service, region      string          // by default nimble and the region
	off                  time.Duration   // how far the signer's clock is off
}

func (s signing) request(t testing.TB) *http.Request {
	t.Helper()
	or := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	if s.method == "" {
		or(&s.body, "{}")
	}
	or(&s.method, http.MethodPost)
	or(&s.target, startPath)
	or(&s.hash, hashOf(s.body))
	or(&s.service, "nimble")
	or(&s.region, region)
	if s.key.AccessKeyID == "" {
		s.key = credentials
	}
	r := httptest.NewRequest(s.method, "http://"+host+s.target, nil)
	bodyOf(r, s.body)
	r.Header.Set("X-Amz-Client-Token", "token")
	r.Header.Set("Content-Type", "application/json")
	if s.before != nil {
		s.before(r)
	}
	err := v4.NewSigner().SignHTTP(context.Background(), s.key, r, s.hash, s.service, s.region, time.Now().Add(s.off))
	if err != nil {
		t.Fatal(err)
	}
	if s.after != nil {
		s.after(r)
	}
	return overWire(t, r)
}

// edit replaces a part of the Authorization header.
func edit(old, fresh string) func(*http.Request) {
	return func(r *http.Request) {
		was := r.Header.Get("Authorization")
		now := strings.Replace(was, old, fresh, 1)
		if now == was {
			panic("nothing replaced in " + was)
		}
		r.Header.Set("Authorization", now)
	}
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func add(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func drop(name string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Del(name) }
}

func path(escaped string) func(*http.Request) {
	return func(r *http.Request) {
		u := *r.URL
		r.URL = &u
		r.URL.Opaque = "//" + host + escaped
	}
}

func mac(r *http.Request) string {
	_, m, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	return m
}

var (
	temporary = aws.Credentials{AccessKeyID: "ASIATEMPORARY", SecretAccessKey: secret, SessionToken: "session/token+="}
	expired   = aws.Credentials{AccessKeyID: "ASIAEXPIRED", SecretAccessKey: secret, SessionToken: "t", CanExpire: true, Expires: time.Unix(0, 0)}
)

const (
	incomplete = "IncompleteSignatureException"
	mismatch   = "InvalidSignatureException"
	unsigned   = "MissingAuthenticationTokenException"
	outdated   = "ExpiredTokenException"
	malformed  = "ValidationException"
	served     = ""
)

// Every request that differs from what was signed is refused, and does nothing.
func TestSignatures(t *testing.T) {
	t.Parallel()
	withHeaders := func(names string) func(*http.Request) {
		return edit("SignedHeaders=content-length;content-type;host;x-amz-client-token;x-amz-date", "SignedHeaders="+names)
	}
	for _, row := range []struct {
		name string
		make signing
		want string // the code of the error; "" if the request is served
	}{
		{"as signed", signing{}, served},
		{"empty body", signing{method: "POST", body: ""}, served},
		{"body hash sent", signing{before: set("X-Amz-Content-Sha256", hashOf("{}"))}, served},
		{"other headers signed", signing{before: set("X-Amz-User-Agent", "a   b ")}, served},
		{"repeated spaces", signing{before: set("Accept-Language", "  de   en  ")}, served},
		{"two values of a signed header", signing{before: func(r *http.Request) { r.Header["Accept"] = []string{"a", "b"} }}, served},
		{"temporary credentials", signing{key: temporary}, served},
		{"unsigned header that decides nothing", signing{after: set("X-Forwarded-Host", "evil.example.com")}, served},
		{"upper case digits", signing{after: func(r *http.Request) { edit(mac(r), strings.ToUpper(mac(r)))(r) }}, served},
		{"no spaces between the parts", signing{after: func(r *http.Request) {
			r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), ", ", ","))
		}}, served},
		{"4:59 old", signing{off: -5*time.Minute + time.Second}, served},
		{"4:59 ahead", signing{off: 5*time.Minute - time.Second}, served},

		{"5:01 old", signing{off: -5*time.Minute - time.Second}, mismatch},
		{"5:01 ahead", signing{off: 5*time.Minute + time.Second}, mismatch},
		{"a day old", signing{off: -24 * time.Hour}, mismatch},
		{"date moved", signing{off: -time.Hour, after: func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
		}}, mismatch},
		{"no date", signing{after: drop("X-Amz-Date")}, incomplete},
		{"date of another form", signing{after: set("X-Amz-Date", "2000-01-01T00:00:00Z")}, incomplete},
		{"date with a fraction", signing{after: set("X-Amz-Date", "20000101T000000.5Z")}, incomplete},
		{"two dates", signing{after: add("X-Amz-Date", "20000101T000000Z")}, incomplete},
		{"day of the scope", signing{after: edit("/20000101/", "/20000102/")}, mismatch},

		{"not signed", signing{after: drop("Authorization")}, unsigned},
		{"empty", signing{after: set("Authorization", "")}, incomplete},
		{"basic", signing{after: set("Authorization", "Basic dTpw")}, incomplete},
		{"other algorithm", signing{after: edit("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 ")}, incomplete},
		{"two of them", signing{after: func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }}, incomplete},
		{"no credential", signing{after: edit("Credential=", "Cred=")}, incomplete},
		{"no signed headers", signing{after: withHeaders("")}, incomplete},
		{"no signature", signing{after: edit(", Signature=", ", ")}, incomplete},
		{"a part twice", signing{after: func(r *http.Request) { edit("Signature=", "Signature="+mac(r)+", Signature=")(r) }}, incomplete},
		{"a part too many", signing{after: edit("Signature=", "Extra=1, Signature=")}, incomplete},
		{"four parts of scope", signing{after: edit("/aws4_request", "")}, incomplete},
		{"six parts of scope", signing{after: edit("/aws4_request", "/x/aws4_request")}, incomplete},
		{"no access key", signing{after: edit("Credential=AKIDEXAMPLE", "Credential=")}, incomplete},
		{"very long", signing{after: edit("Credential=", "Credential="+strings.Repeat("A", 5000))}, incomplete},
		{"other service", signing{service: "ec2"}, mismatch},
		{"other region", signing{region: "us-east-1"}, mismatch},
		{"region renamed", signing{region: "us-east-1", after: edit("/us-east-1/", "/eu-central-1/")}, mismatch},
		{"other ending", signing{after: edit("aws4_request", "aws5_request")}, mismatch},

		{"unknown key", signing{key: aws.Credentials{AccessKeyID: "AKIDOTHER", SecretAccessKey: secret}}, mismatch},
		{"unknown key, no secret", signing{key: aws.Credentials{AccessKeyID: "AKIDOTHER"}}, mismatch},
		{"wrong secret", signing{key: aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "x"}}, mismatch},
		{"one digit of the signature", signing{after: func(r *http.Request) {
			m := mac(r)
			digit := "0"
			if m[63] == '0' {
				digit = "1"
			}
			edit(m, m[:63]+digit)(r)
		}}, mismatch},
		{"signature of zeros", signing{after: func(r *http.Request) { edit(mac(r), strings.Repeat("0", 64))(r) }}, mismatch},
		{"signature cut", signing{after: func(r *http.Request) { edit(mac(r), mac(r)[:62])(r) }}, incomplete},
		{"signature longer", signing{after: func(r *http.Request) { edit(mac(r), mac(r)+"00")(r) }}, incomplete},
		{"signature not hex", signing{after: func(r *http.Request) { edit(mac(r), strings.Repeat("z", 64))(r) }}, incomplete},

		{"host not signed", signing{after: withHeaders("content-length;content-type;x-amz-client-token;x-amz-date")}, incomplete},
		{"date not signed", signing{after: withHeaders("content-length;content-type;host;x-amz-client-token")}, incomplete},
		{"token not signed", signing{after: withHeaders("content-length;content-type;host;x-amz-date")}, incomplete},
		{"type not signed", signing{after: withHeaders("content-length;host;x-amz-client-token;x-amz-date")}, mismatch},
		{"headers not sorted", signing{after: withHeaders("host;content-length;content-type;x-amz-client-token;x-amz-date")}, incomplete},
		{"a header twice", signing{after: withHeaders("content-length;content-type;host;host;x-amz-client-token;x-amz-date")}, incomplete},
		{"a header in capitals", signing{after: withHeaders("Host;content-length;content-type;host;x-amz-client-token;x-amz-date")}, incomplete},
		{"a header that is not there", signing{after: withHeaders("accept;content-length;content-type;host;x-amz-client-token;x-amz-date")}, incomplete},

		{"host changed", signing{after: func(r *http.Request) { r.Host = "evil.example.com" }}, mismatch},
		{"method changed", signing{target: "/2020-08-01/studios/lab/streaming-sessions/ws-1", after: func(r *http.Request) { r.Method = "DELETE" }, method: "GET"}, mismatch},
		{"other action", signing{after: path(strings.Replace(startPath, "start", "stop", 1))}, mismatch},
		{"other session", signing{after: path(strings.Replace(startPath, "ws-1", "ws-2", 1))}, mismatch},
		{"other spelling of the path", signing{after: path(strings.Replace(startPath, "ws-1", "ws%2D1", 1))}, mismatch},
		{"query added", signing{after: func(r *http.Request) { r.URL.RawQuery = "force=true" }}, mismatch},
		{"query changed", signing{method: "GET", target: listPath + "?ownedBy=a", after: func(r *http.Request) { r.URL.RawQuery = "ownedBy=b" }}, mismatch},
		{"query repeated", signing{method: "GET", target: listPath + "?ownedBy=a", after: func(r *http.Request) { r.URL.RawQuery = "ownedBy=a&ownedBy=a" }}, mismatch},
		{"query in another order", signing{method: "GET", target: listPath + "?a=1&b=2&b=1", after: func(r *http.Request) { r.URL.RawQuery = "b=2&a=1&b=1" }}, served},
		{"plus for a space", signing{method: "GET", target: listPath + "?ownedBy=a+b"}, served},
		{"plus turned into a plus", signing{method: "GET", target: listPath + "?ownedBy=a+b", after: func(r *http.Request) { r.URL.RawQuery = "ownedBy=a%2Bb" }}, mismatch},
		{"query that cannot be read", signing{method: "GET", target: listPath, after: func(r *http.Request) { r.URL.RawQuery = "a=%zz" }}, malformed},
		{"query with a semicolon", signing{method: "GET", target: listPath, after: func(r *http.Request) { r.URL.RawQuery = "a=1;b=2" }}, malformed},

		{"body changed", signing{after: func(r *http.Request) { bodyOf(r, "[]") }}, mismatch},
		{"body removed", signing{after: func(r *http.Request) { bodyOf(r, "") }}, mismatch},
		{"body longer", signing{after: func(r *http.Request) { bodyOf(r, "{} ") }}, mismatch},
		{"wrong hash of the body", signing{before: set("X-Amz-Content-Sha256", hashOf("[]")), hash: hashOf("[]")}, mismatch},
		{"wrong hash in the header", signing{before: set("X-Amz-Content-Sha256", hashOf("[]"))}, mismatch},
		{"unsigned payload", signing{before: set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), hash: "UNSIGNED-PAYLOAD"}, mismatch},
		{"streaming payload", signing{before: set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), hash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, mismatch},
		{"hash added", signing{after: set("X-Amz-Content-Sha256", hashOf("{}"))}, incomplete},

		{"token changed", signing{after: set("X-Amz-Client-Token", "other")}, mismatch},
		{"token added", signing{after: add("X-Amz-Client-Token", "other")}, incomplete},
		{"token removed", signing{after: drop("X-Amz-Client-Token")}, incomplete},
		{"token signed twice", signing{before: add("X-Amz-Client-Token", "other")}, incomplete},
		{"x-amz header added", signing{after: set("X-Amz-Target", "x")}, incomplete},
		{"type changed", signing{after: set("Content-Type", "text/plain")}, mismatch},

		{"presigned", signing{method: "GET", target: listPath + "?X-Amz-Signature=00"}, incomplete},
		{"credentials in the query too", signing{after: func(r *http.Request) { r.URL.RawQuery = "x-amz-credential=AK" }}, incomplete},
		{"session token not asked for", signing{key: aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret, SessionToken: "x"}}, mismatch},
		{"session token missing", signing{key: aws.Credentials{AccessKeyID: temporary.AccessKeyID, SecretAccessKey: secret}}, mismatch},
		{"session token wrong", signing{key: aws.Credentials{AccessKeyID: temporary.AccessKeyID, SecretAccessKey: secret, SessionToken: "session/token+?"}}, mismatch},
		{"session token added", signing{after: set("X-Amz-Security-Token", "x")}, incomplete},
		{"expired credentials", signing{key: expired}, outdated},
		{"expired credentials, wrong secret", signing{key: aws.Credentials{AccessKeyID: expired.AccessKeyID, SecretAccessKey: "x", SessionToken: "t"}}, mismatch},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := studio.New(studio.Config{Any: true})
				h := nimble.Handler(s, nimble.HandlerConfig{Credentials: nimble.Keys(credentials, temporary, expired), Region: region})
				answer := httptest.NewRecorder()
				h.ServeHTTP(answer, row.make.request(t))
				if got := answer.Header().Get("X-Amzn-ErrorType"); got != row.want {
					t.Fatalf("%d %q: %s; want %q", answer.Code, got, answer.Body, row.want)
				}
				if row.want == served {
					if answer.Code != http.StatusOK {
						t.Errorf("%d: %s", answer.Code, answer.Body)
					}
					return
				}
				if s.Calls(studio.Start)+s.Calls(studio.List)+s.Calls(studio.Get)+s.Calls(studio.Delete)+s.Calls(studio.Stop) != 0 {
					t.Error("a refused request reached the provider")
				}
				if strings.Contains(answer.Body.String(), secret) {
					t.Error("the answer quotes the secret")
				}
			})
		})
	}
}

// A person who has seen a request can send it again. It has no second effect, with or
// without a token.
func TestRepeatedRequestsHaveOneEffect(t *testing.T) {
	t.Parallel()
	const session = listPath + "/ws-1"
	for name, row := range map[string]struct {
		make  signing
		state fsm.State // the state before the first request
	}{
		"start":  {signing{target: startPath}, fsm.StateStopped},
		"stop":   {signing{target: session + "/stop"}, fsm.StateReady},
		"delete": {signing{method: "DELETE", target: session}, fsm.StateStopped},
		"create": {signing{target: listPath, body: `{"launchProfileId":"lp"}`}, ""},
	} {
		for _, token := range []string{"token", ""} {
			t.Run(name+" by token "+token, func(t *testing.T) {
				t.Parallel()
				var tokens []string
				s := studio.New(studio.Config{Intercept: func(c studio.Call) studio.Fault {
					tokens = append(tokens, c.ClientToken)
					return studio.Fault{}
				}})
				if row.state != "" {
					s.Put(transport.Session{Ref: ref, State: row.state})
				}
				h := nimble.Handler(s, nimble.HandlerConfig{Credentials: nimble.Keys(credentials), Region: region})
				made := row.make
				if token == "" {
					made.before = drop("X-Amz-Client-Token")
				}
				seen := made.request(t)
				body := made.body
				if made.method == "" && body == "" {
					body = "{}"
				}
				var answers []string
				for range 3 {
					again := seen.Clone(t.Context())
					bodyOf(again, body)
					answer := httptest.NewRecorder()
					h.ServeHTTP(answer, again)
					if answer.Code != http.StatusOK {
						t.Fatalf("%d: %s", answer.Code, answer.Body)
					}
					var got struct {
						Session struct{ SessionID string }
					}
					if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
						t.Fatal(err)
					}
					answers = append(answers, got.Session.SessionID)
				}
				if answers[0] != answers[2] || tokens[0] != tokens[2] || token != "" && tokens[0] != token {
					t.Errorf("the same request made sessions %q with tokens %q", answers, tokens)
				}
				page, err := s.List(t.Context(), transport.ListInput{StudioID: lab})
				if err != nil || len(page.Sessions) != 1 || s.Effects(ref) > 1 {
					t.Errorf("%d sessions, %d starts, %v", len(page.Sessions), s.Effects(ref), err)
				}
			})
		}
	}
}

// An unknown access key gets the same answer as a wrong signature.
func TestKeysCannotBeProbed(t *testing.T) {
	t.Parallel()
	h := nimble.Handler(studio.New(studio.Config{Any: true}), nimble.HandlerConfig{Credentials: nimble.Keys(credentials)})
	var answers []string
	for _, key := range []aws.Credentials{
		{AccessKeyID: credentials.AccessKeyID, SecretAccessKey: "wrong"},
		{AccessKeyID: "AKIDUNKNOWN", SecretAccessKey: "wrong"},
	} {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, signing{key: key}.request(t))
		answers = append(answers, answer.Header().Get("X-Amzn-ErrorType")+answer.Body.String())
	}
	if answers[0] != answers[1] {
		t.Errorf("known:   %s\nunknown: %s", answers[0], answers[1])
	}
}

func TestCredentialsThatCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	s := studio.New(studio.Config{Any: true})
	h := nimble.Handler(s, nimble.HandlerConfig{Credentials: func(context.Context, string) (aws.Credentials, error) {
		return credentials, errors.New("vault: " + secret)
	}})
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, signing{}.request(t))
	if answer.Code != http.StatusInternalServerError || strings.Contains(answer.Body.String(), "vault") || s.Calls(studio.Start) != 0 {
		t.Errorf("%d: %s, %d starts", answer.Code, answer.Body, s.Calls(studio.Start))
	}
}

// A host may serve the protocol below a prefix. The signature covers the path that was
// sent.
func TestBelowAPrefix(t *testing.T) {
	t.Parallel()
	s := studio.New(studio.Config{})
	s.Add(lab, ws1)
	server, h := listen(t, http.StripPrefix("/api", nimble.Handler(s, nimble.HandlerConfig{Credentials: nimble.Keys(credentials)})))
	if err := start(t.Context(), dial(server.URL+"/api", h)); err != nil {
		t.Error(err)
	}
}
