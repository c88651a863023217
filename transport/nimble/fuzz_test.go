package nimble

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
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// FuzzAnswer checks that no answer makes the client panic, and that a session that was
// read can be written again.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"session":{"sessionId":"ws-1","state":"READY","createdAt":1700000000.5,"tags":{"a":"b"}}}`,
		`{"session":{"startedAt":"2026-03-04T05:06:07.008Z","updatedAt":null}}`, `{"session":{"createdAt":1e400}}`,
		`{"sessions":[{"sessionId":"a"},{}],"nextToken":"t"}`, `{"session":`, `{"session":null}`, `<html>`, ``, `{}`, "{\"session\":{\"arn\":\"\xff\"}}",
		`{"session":{"createdAt":"0000-01-01T00:00:00Z"}}`, `{"session":{"createdAt":-62135596800}}`, `{"session":{"createdAt":253402300799.9999999}}`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, list bool) {
		c := &call{list: list, ref: transport.Ref{StudioID: "lab", SessionID: "ws-1"}}
		resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}}
		out, err := c.accepted(resp, body, nil)
		var e *transport.Error
		if err != nil {
			if !errors.As(err, &e) || e.NotSent || e.Kind != transport.KindUnknown && e.Kind != transport.KindUnreachable {
				t.Fatalf("%v is a refusal", err)
			}
			return
		}
		sessions := []transport.Session{}
		switch out := out.(type) {
		case transport.Session:
			if sessions = append(sessions, out); out.Ref != c.ref {
				t.Errorf("the answer is of %q", out.Ref)
			}
		case transport.ListOutput:
			sessions = out.Sessions
		}
		for _, s := range sessions {
			written, err := json.Marshal(toWire(s))
			if err != nil {
				t.Fatalf("%+v cannot be written: %v", s, err)
			}
			var again session
			if err := json.Unmarshal(written, &again); err != nil {
				t.Fatalf("%s cannot be read: %v", written, err)
			}
			if once, twice := toWire(s), again; !once.CreatedAt.Equal(twice.CreatedAt.Time) || once.State != twice.State {
				t.Errorf("%+v became %+v", once, twice)
			}
		}
	})
}

// FuzzError checks that the client shows only clean text of an error. Only an answer in
// the service's shape may be a refusal.
func FuzzError(f *testing.F) {
	f.Add(403, "AccessDeniedException", []byte(`{"message":"m","code":"c","context":{"a":"b"}}`))
	f.Add(403, "", []byte(`{"__type":"ns#ExpiredToken:x","Message":"m\u0000"}`))
	f.Add(404, "", []byte(`<html>`))
	f.Add(500, "a#b:c#d", []byte{0xff, '{'})
	f.Add(429, " \t ", []byte(`{"code":"ThrottlingException"}`))
	f.Fuzz(func(t *testing.T, status int, header string, body []byte) {
		resp := &http.Response{StatusCode: status, Header: http.Header{}}
		resp.Header.Set(headerErrorType, header)
		e := refused(resp, body, nil)
		code, _, shaped := readError(resp.Header, body)
		if !shaped && e.Kind != transport.KindUnreachable || shaped && e.Code != code || e.NotSent {
			t.Errorf("%d %q %q: %v (%v)", status, header, body, e, e.Kind)
		}
		if status >= 500 && e.Kind.Refusal() && e.Kind != transport.KindThrottled {
			t.Errorf("%d %q is read as a refusal", status, header)
		}
		for _, text := range []string{e.Message, e.Code} {
			if strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) || len(text) > 512 {
				t.Errorf("%q is not clean", text)
			}
		}
	})
}

// FuzzAuthorization checks that the parts read from any header are in the right form.
func FuzzAuthorization(f *testing.F) {
	const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
	f.Add(algorithm + " Credential=AK/20260304/eu-central-1/nimble/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + zeros)
	f.Add(algorithm + " Signature=" + zeros + ",Credential=AK/20260304//nimble/aws4_request,SignedHeaders=")
	f.Add("AWS4-HMAC-SHA256 a=b,a=c")
	f.Add("")
	f.Fuzz(func(t *testing.T, header string) {
		s, err := parseAuthorization(header)
		var r *refusal
		if err != nil {
			if !errors.As(err, &r) || r.status != http.StatusForbidden {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		if s.accessKey == "" || len(s.mac) != sha256.Size || !strings.HasSuffix(s.scope, "/nimble/aws4_request") || strings.Count(s.scope, "/") != 3 {
			t.Errorf("%q is read as %+v", header, s)
		}
	})
}

// FuzzRoute checks that a path leads to valid names or is refused. A ref's path, as the
// client escapes it, leads back to the ref.
func FuzzRoute(f *testing.F) {
	for _, p := range []string{
		"/2020-08-01/studios/lab/streaming-sessions/ws-1/start", "/2020-08-01/studios/a%2Fb/streaming-sessions",
		"//", "/2020-08-01/studios/%/streaming-sessions/x", "", "/2020-08-01/studios/../streaming-sessions",
	} {
		f.Add("POST", p, "lab", "ws-1")
	}
	f.Fuzz(func(t *testing.T, method, path, studio, session string) {
		if rt, err := routeOf(method, path); err == nil {
			if err := transport.CheckID("studio id", rt.ref.StudioID); err != nil || rt.action == nil {
				t.Errorf("%q leads to %q: %v", path, rt.ref, err)
			}
			if rt.ref.SessionID != "" && rt.ref.Validate() != nil {
				t.Errorf("%q leads to %q", path, rt.ref)
			}
		}
		ref := transport.Ref{StudioID: studio, SessionID: session}
		if ref.Validate() != nil {
			return
		}
		escaped := "/" + apiVersion + "/studios/" + escape(studio, "") + "/streaming-sessions/" + escape(session, "") + "/stop"
		rt, err := routeOf(http.MethodPost, escaped)
		if err != nil || rt.ref != ref {
			t.Errorf("%q leads to %q, %v", escaped, rt.ref, err)
		}
	})
}

// FuzzSignature compares this package with the SDK's signer. A request that it signed is
// accepted after its transfer. Another body, path, query or header is refused.
func FuzzSignature(f *testing.F) {
	f.Add("/2020-08-01/studios/lab/streaming-sessions/ws-1/start", "", "token", []byte("{}"))
	f.Add("/a b/%2F/~é/+", "b=2&a=1&a=%20+&c", "  two   spaces ", []byte{})
	f.Add("//x//", "a=%E2%82%AC&=v&k=", "t\tt", []byte{0, 1, 2})
	f.Add("", "sessionIds=a%2Cb", "", []byte("x"))
	f.Add("/*'();:@&=$,[]", "a*=*", "\"", []byte("x"))
	key := aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}
	f.Fuzz(func(t *testing.T, path, query, header string, body []byte) {
		if _, err := url.ParseQuery(query); err != nil || strings.ContainsFunc(header, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) {
			t.Skip() // a bad query is refused earlier; such a header is not sent
		}
		if strings.Contains(strings.ToLower(query), "amz") || strings.Contains(query, "%") && strings.Contains(strings.ToLower(query), "%78") {
			t.Skip() // the query holds credentials
		}
		u := &url.URL{Scheme: "http", Host: "studio.example.com", Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}
		signed := &http.Request{Method: "POST", URL: u, Host: u.Host, Header: http.Header{}, ContentLength: int64(len(body))}
		signed.Header.Set("X-Amz-Meta", header)
		sum := sha256.Sum256(body)
		if err := v4.NewSigner().SignHTTP(context.Background(), key, signed, hex.EncodeToString(sum[:]), serviceName, "r", time.Now()); err != nil {
			t.Skip()
		}
		verify := func(r *http.Request, body []byte) error {
			s, err := parseSignature(r, "r")
			if err != nil {
				return err
			}
			return s.verify(r, body, key)
		}
		got, ok := wired(signed, body)
		if !ok {
			t.Skip() // no server can read the request
		}
		if err := verify(got, body); err != nil {
			t.Fatalf("%s, X-Amz-Meta %q, is refused: %v", got.RequestURI, header, err)
		}
		if err := verify(got, append(bytes.Clone(body), 'x')); err == nil {
			t.Error("another body is accepted")
		}
		for name, tamper := range map[string]func(*http.Request){
			"path": func(r *http.Request) { r.RequestURI = "/x" + r.RequestURI },
			"query": func(r *http.Request) {
				r.RequestURI, _, _ = strings.Cut(r.RequestURI, "?")
				r.RequestURI += "?tampered=" + escape(query, "")
			},
			"method": func(r *http.Request) { r.Method = "PUT" },
			"host":   func(r *http.Request) { r.Host += "x" },
			"header": func(r *http.Request) { r.Header.Set("X-Amz-Meta", header+"x") },
		} {
			other, _ := wired(signed, body)
			if tamper(other); verify(other, body) == nil {
				t.Errorf("another %s is accepted", name)
			}
		}
	})
}

// wired returns r as a server reads it, or false if no server can.
func wired(r *http.Request, body []byte) (*http.Request, bool) {
	out := r.Clone(context.Background())
	out.Body = io.NopCloser(bytes.NewReader(body))
	var b bytes.Buffer
	if out.Write(&b) != nil {
		return nil, false
	}
	got, err := http.ReadRequest(bufio.NewReader(&b))
	return got, err == nil
}
