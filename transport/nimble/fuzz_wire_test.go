package nimble

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// fuzzKey signs the fuzzed requests.
var fuzzKey = aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}

// onWire returns the request that a server reads from these bytes, or false.
func onWire(target string) (*http.Request, bool) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: studio.example.com\r\n\r\n")))
	return r, err == nil
}

// FuzzSpelling checks that a request of the SDK's signer is accepted as it was sent. With
// another target it is accepted only if that has the same path, byte for byte, and a
// query with the same values.
func FuzzSpelling(f *testing.F) {
	const base = "/" + apiVersion + "/studios/lab/streaming-sessions"
	for _, pair := range [][2]string{
		{base + "/a%2Fb", base + "/a/b"}, {base + "/a%2Fb", base + "/a%2fb"}, {base + "//", base + "/"}, {base + "/.", base}, {base + "/x/..", base}, {base + "/a+b", base + "/a%20b"},
		{base + "/a%2Bb", base + "/a+b"}, {base + "/%61", base + "/a"}, {base + "/é", base + "/%C3%A9"}, {base + "/a\"%2Fb", base + "/a%22/b"}, {base + "?a=&b", base + "?b=&a="}, {base + "?a=1&a=2", base + "?a=2&a=1"},
		{base + "?a=%2f", base + "?a=%2F"}, {base + "?a=b+c", base + "?a=b%20c"}, {base + "?a=b%2Bc", base + "?a=b+c"}, {base + "?a", base + "?a="}, {base + "?", base}, {base + "?&&", base}, {base + "?=", base}, {base + "?a=%C3%A9", base + "?a=é"},
		{"*", "/*"}, {"//", "/"}, {"/%2e%2e", "/.."}, {"/%", "/%25"}, {"http://studio.example.com/a", "/a"}, {"/;x", "/%3Bx"}, {"/~", "/%7E"}, {"/!$&'()*,:=@[]", "/"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, signed, sent string) {
		path, query, _ := strings.Cut(signed, "?")
		if _, err := url.ParseQuery(query); err != nil || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "#") {
			t.Skip()
		}
		r, ok := onWire(signed)
		if !ok {
			t.Skip()
		}
		// The signer uses Opaque unchanged.
		sdk := &http.Request{Method: "GET", Host: r.Host, Header: http.Header{}, URL: &url.URL{Scheme: "http", Host: r.Host, Opaque: "//" + r.Host + path, RawQuery: query}}
		empty := sha256.Sum256(nil)
		if err := v4.NewSigner().SignHTTP(context.Background(), fuzzKey, sdk, hex.EncodeToString(empty[:]), serviceName, "r", time.Now()); err != nil {
			t.Skip()
		}
		verify := func(r *http.Request) error {
			for _, name := range []string{"Authorization", "X-Amz-Date"} {
				r.Header[name] = sdk.Header[name]
			}
			s, err := parseSignature(r, "r")
			if err != nil {
				return err
			}
			return s.verify(r, nil, fuzzKey)
		}
		_, foul := wirePath(r.URL)
		switch err := verify(r); {
		case foul != nil && err == nil:
			t.Errorf("%q is accepted, although no path may be spelled so", signed)
		case foul == nil && err != nil && !strings.Contains(strings.ToLower(err.Error()), "query"):
			t.Errorf("%q is refused: %v", signed, err)
		}
		other, ok := onWire(sent)
		if !ok || verify(other) != nil {
			return
		}
		otherPath, otherQuery, _ := strings.Cut(sent, "?")
		if rest, absolute := strings.CutPrefix(otherPath, "http://"+other.Host); absolute {
			otherPath = rest
		}
		if otherPath != path {
			t.Errorf("signed as %q, accepted as %q", signed, sent)
		}
		mine, _ := url.ParseQuery(query)
		theirs, err := url.ParseQuery(otherQuery)
		for _, values := range []url.Values{mine, theirs} {
			for _, v := range values {
				slices.Sort(v) // the order of one name's values is not signed
			}
		}
		if err != nil || !reflect.DeepEqual(mine, theirs) {
			t.Errorf("signed as %q, accepted as %q", signed, sent)
		}
	})
}

// FuzzQuery checks that a canonical query has the values of the query, and is its own
// canonical form.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"", "b=2&a=1&a=0", "a=%2F+%20&%61=", "&&=&=x", "a=é", "a;b", "%zz", "A=1&a=1", "a=1&a=1", "%00=%FF"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		canonical, err := canonicalQuery(raw)
		if err != nil {
			return
		}
		if again, err := canonicalQuery(canonical); err != nil || again != canonical {
			t.Errorf("%q becomes %q, and that %q, %v", raw, canonical, again, err)
		}
		first, _ := url.ParseQuery(raw)
		second, _ := url.ParseQuery(canonical)
		for _, v := range first {
			slices.Sort(v)
		}
		for _, v := range second {
			slices.Sort(v)
		}
		if !reflect.DeepEqual(first, second) {
			t.Errorf("%q reads as %v, %q as %v", raw, first, canonical, second)
		}
	})
}

// FuzzHandler checks that every request gets an answer in the wire's form and never an
// internal error. Without a signature it does not reach the provider.
func FuzzHandler(f *testing.F) {
	const sessions = "/2020-08-01/studios/lab/streaming-sessions"
	for _, text := range []string{
		"GET " + sessions + "?sessionIds=a,b&nextToken=x HTTP/1.1\r\nHost: x\r\n\r\n", "POST " + sessions + "/ws-1/start HTTP/1.1\r\nHost: x\r\nX-Amz-Client-Token: t\r\nContent-Length: 2\r\n\r\n{}",
		"POST " + sessions + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "POST " + sessions + "/ws-1/stop HTTP/1.0\r\n\r\n", "DELETE " + sessions + "/%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST " + sessions + " HTTP/1.1\r\nHost: x\r\nContent-Length: 23\r\n\r\n{\"tags\":{\"a\":\"b\",\"a\":1}}", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n", "GET http://a/" + sessions + " HTTP/1.1\r\nHost: b\r\n\r\n",
		"GET " + sessions + "/ws-1 HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AK/20260304/r/nimble/aws4_request, SignedHeaders=host, Signature=00\r\nX-Amz-Date: 20260304T050607Z\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			body = nil
		}
		for _, credentials := range []func(context.Context, string) (aws.Credentials, error){nil, Keys(fuzzKey)} {
			var log bytes.Buffer
			s := studio.New(studio.Config{Any: true})
			again := r.Clone(context.Background())
			again.Body = io.NopCloser(bytes.NewReader(body))
			answer := httptest.NewRecorder()
			Handler(s, HandlerConfig{Credentials: credentials, Logger: slog.New(slog.NewTextHandler(&log, nil))}).ServeHTTP(answer, again)
			var members map[string]any
			if err := json.Unmarshal(answer.Body.Bytes(), &members); err != nil {
				t.Fatalf("the answer %q is no JSON object: %v", answer.Body, err)
			}
			code := answer.Header().Get(headerErrorType)
			if answer.Code >= 500 || (answer.Code == http.StatusOK) != (code == "") || code != "" && (members["message"] == "" || members["code"] == "" || members["context"] == nil) {
				t.Errorf("%q is answered %d %q %s", text, answer.Code, code, answer.Body)
			}
			for line := range strings.Lines(log.String()) {
				if !strings.HasPrefix(line, "time=") {
					t.Errorf("a line of the log is %q", line)
				}
			}
			if credentials == nil {
				continue
			}
			for _, a := range []studio.Action{studio.Start, studio.Stop, studio.Create, studio.Delete, studio.Get, studio.List} {
				if s.Calls(a) != 0 {
					t.Errorf("%q reached the provider", text)
				}
			}
		}
	})
}

// FuzzBody checks that the values read from a request's body do not depend on the order
// of its members. They would if a member could occur twice.
func FuzzBody(f *testing.F) {
	for _, body := range []string{`{}`, `{"launchProfileId":"lp","tags":{"a":"b"},"x":[{}]}`, `{"tags":null,"Tags":{}}`, `{"tags":{"a":"b","A":"c"}}`, "{\"\u212a\":1,\"k\":2}", `{"ownedBy":"\ud800"}`, ` {"volumeRetentionMode":"RETAIN"} `, `{"a":[{"b":1,"b":2}]}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var once createBody
		if (arrival{body: body}).decode(&once) != nil || len(body) == 0 {
			return
		}
		var names, values []string
		d := json.NewDecoder(bytes.NewReader(body))
		_, _ = d.Token()
		for d.More() {
			name, err := d.Token()
			var value json.RawMessage
			if err == nil {
				err = d.Decode(&value)
			}
			if err != nil {
				t.Fatalf("%q is accepted, and is not an object: %v", body, err)
			}
			key, _ := json.Marshal(name)
			names, values = append(names, string(key)), append(values, string(value))
		}
		var turned strings.Builder
		for i := range slices.Backward(names) {
			fmt.Fprintf(&turned, ",%s:%s", names[i], values[i])
		}
		var twice createBody
		if err := json.Unmarshal([]byte("{"+strings.TrimPrefix(turned.String(), ",")+"}"), &twice); err != nil || !reflect.DeepEqual(once, twice) {
			t.Errorf("%q is %+v, and the other way round %+v, %v", body, once, twice, err)
		}
	})
}

// FuzzRetryAfter checks that, for all headers, a wait is between zero and a day, and a
// date is valid or zero.
func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{"", "7", "-7", "9223372036854775807", "1e9", "Wed, 04 Mar 2026 05:06:07 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Wednesday, 04-Mar-26 05:06:07 GMT", "Wed Mar  4 05:06:07 2026", "٧", "+7", "0x7", " 7 "} {
		f.Add(v, "Wed, 04 Mar 2026 05:06:07 GMT", v)
		f.Add("", v, v)
	}
	f.Fuzz(func(t *testing.T, after, date, amz string) {
		h := http.Header{}
		h.Set("Retry-After", after)
		h.Set("Date", date)
		h.Set("X-Amz-Retry-After", amz)
		if wait := awswire.RetryAfter(h); wait < 0 || wait > 24*time.Hour {
			t.Errorf("%q, %q, %q: %v", after, date, amz, wait)
		}
		at := awswire.ServerDate(h)
		if at.Location() != time.UTC && !at.IsZero() {
			t.Errorf("%q is %v", date, at)
		}
		h.Set("Age", "1")
		if !awswire.ServerDate(h).IsZero() {
			t.Error("a cache's date is used")
		}
	})
}

// FuzzTimestamp checks that a time that was read can be written, and reads as the same
// time again.
func FuzzTimestamp(f *testing.F) {
	for _, v := range []string{`"2026-03-04T05:06:07.008Z"`, `1700000000.25`, `-62135596800`, `253402300799.9999999`, `1e9`, `null`, `""`, `"0000-01-01T00:00:00Z"`, `"9999-12-31T23:59:59-23:59"`, `-0`, `"2026-02-30T00:00:00Z"`, `true`, `{}`} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var once, twice timestamp
		if json.Unmarshal(b, &once) != nil {
			return
		}
		text, err := json.Marshal(once)
		if err != nil {
			t.Fatalf("%s is read as %v and cannot be written: %v", b, once, err)
		}
		if err := json.Unmarshal(text, &twice); err != nil || !once.Equal(twice.Time) || once.Location() != time.UTC && !once.IsZero() {
			t.Errorf("%s is read as %v, written as %s and read as %v, %v", b, once, text, twice, err)
		}
	})
}

// FuzzListInput checks that the handler reads the same list input that the client sent.
func FuzzListInput(f *testing.F) {
	f.Add("lab", "me & you", "é/+%", "t+/=;", "ws-1", "a+b")
	f.Add("{sessionId}", "", "\x00", "\xff", "%2C", "a&b=c")
	f.Fuzz(func(t *testing.T, studioID, createdBy, ownedBy, next, a, b string) {
		in := transport.ListInput{StudioID: studioID, CreatedBy: createdBy, OwnedBy: ownedBy, NextToken: next, SessionIDs: []string{a, b}}
		r := requestOf(in)
		if r.check != nil {
			return
		}
		req := smithyhttp.NewStackRequest().(*smithyhttp.Request)
		if _, err := r.encode(req); err != nil {
			t.Fatal(err)
		}
		req.URL.Scheme, req.URL.Host = "http", "studio.example.com"
		got, ok := wired(req.Build(context.Background()), nil)
		if !ok {
			t.Fatalf("%+v makes %q, which no server reads", in, req.URL)
		}
		seen := &listed{}
		Handler(seen, HandlerConfig{}).ServeHTTP(httptest.NewRecorder(), got)
		if !reflect.DeepEqual(seen.in, in) {
			t.Errorf("asked for %+v, by %q, was understood as %+v", in, got.RequestURI, seen.in)
		}
	})
}

// listed records the input of List.
type listed struct {
	Provider
	in transport.ListInput
}

func (l *listed) List(_ context.Context, in transport.ListInput) (transport.ListOutput, error) {
	l.in = in
	return transport.ListOutput{}, errors.New("not here")
}
