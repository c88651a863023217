package nimble_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

// bad is a request that no correct client sends. Its signature is valid, unless the row
// is about the signature.
type bad struct {
	name string
	make signing
	want int // the status of the answer
}

const (
	studiosPath = "/2020-08-01/studios/"
	sessionsOf  = "/streaming-sessions"
)

// badIDs are ids in the escaped form of a path.
var badIDs = map[string]string{
	"empty": "", "dot": ".", "dots": "..", "escaped dot": "%2E", "escaped dots": "%2e%2e", "slash": "%2F", "slash within": "a%2Fb", "slash, small": "a%2fb",
	"start by a slash": "ws-1%2Fstart", "backslash": "a%5Cb", "NUL": "%00", "NUL at the end": "ws-1%00", "line feed": "a%0Ab", "CRLF": "a%0D%0AX-Amz-Date:%200",
	"tab": "a%09b", "space": "a%20b", "DEL": "%7F", "ANSI": "%1B%5B31m", "accent": "%C3%A9", "not UTF-8": "%FF", "overlong slash": "%C0%AF", "right to left": "%E2%80%AE",
	"129 bytes": strings.Repeat("a", 129), "129 bytes of escapes": strings.Repeat("%41", 129),
}

// rawIDs are ids without the necessary escapes. No client of net/http sends them.
var rawIDs = map[string]string{"quote": `a"b`, "angle": "a<b", "bar and slash": "a|b%2Fstart", "caret": "^", "braces": "{a}%2f", "accent": "é", "accent and slash": "é%2F..%2F"}

func badPaths() (rows []bad) {
	for name, id := range badIDs {
		for action, on := range map[string][2]string{"get": {"GET", ""}, "delete": {"DELETE", ""}, "start": {"POST", "/start"}, "stop": {"POST", "/stop"}} {
			rows = append(rows, bad{action + ", session id: " + name, signing{method: on[0], target: listPath + "/" + id + on[1]}, 400})
		}
		for action, method := range map[string]string{"list": "GET", "create": "POST"} {
			rows = append(rows, bad{action + ", studio id: " + name, signing{method: method, target: studiosPath + id + sessionsOf}, 400})
		}
	}
	for name, id := range rawIDs {
		for _, rest := range []string{"", "/start", "/stop"} {
			rows = append(rows, bad{"raw session id: " + name + rest, signing{target: startPath, after: path(listPath + "/" + id + rest)}, 400})
		}
		rows = append(rows, bad{"raw studio id: " + name, signing{target: listPath, after: path(studiosPath + id + sessionsOf)}, 400})
	}
	for _, path := range []string{
		"/", "/x", "/2020-08-01", "/2020-08-01/", "/2020-08-01/studios", "/2020-08-01/studios/lab", "/2020-08-01/studios/lab/", "/2020-08-01/studios/lab/eulas",
		"/2020-08-01/studios/lab/streaming-sessions/ws-1/streams", "/2020-08-01/studios/lab/streaming-sessions/ws-1/start/", "/2020-08-01/studios/lab/streaming-sessions/ws-1/Start",
		"/2020-08-01/studios/lab/Streaming-Sessions", "/2020-08-01/Studios/lab/streaming-sessions", "/2020-8-1/studios/lab/streaming-sessions", "/2020-08-02/studios/lab/streaming-sessions",
		"/2020-08-01//studios/lab/streaming-sessions", "/./2020-08-01/studios/lab/streaming-sessions", "/a/../2020-08-01/studios/lab/streaming-sessions",
		"/2020-08-01/studios/lab%2Fstreaming-sessions", "/2020-08-01%2Fstudios/lab/streaming-sessions", "/2020-08-01/studios/lab/streaming-sessions%3Fx=1",
		"/2020-08-01/studios/lab/streaming-sessions/ws-1/st%61rt", "/2020-08-01/studios/lab/streaming-sessions/ws-1/../ws-2", "/%32020-08-01/studios/lab/streaming-sessions",
	} {
		rows = append(rows, bad{"no such path: " + path, signing{method: "POST", target: path}, 404})
	}
	for path, allowed := range map[string]string{listPath: "GET POST", listPath + "/ws-1": "GET DELETE", startPath: "POST", listPath + "/ws-1/stop": "POST"} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "post"} {
			if !strings.Contains(allowed, method) {
				rows = append(rows, bad{method + " " + path, signing{method: method, target: path}, 405})
			}
		}
	}
	return rows
}

func badQueries() (rows []bad) {
	list := func(name, query string, want int) {
		rows = append(rows, bad{"query: " + name, signing{method: "GET", target: listPath + "?" + query}, want})
	}
	for name, id := range badIDs {
		list("sessionIds: "+name, "sessionIds=ws-1,"+id, 400)
	}
	// The SDK's signer leaves out a header that it cannot read, so the test adds it
	// afterwards.
	for name, query := range map[string]string{
		"rotten escape": "ownedBy=%zz", "cut escape": "ownedBy=%4", "bare per cent": "%", "semicolon": "ownedBy=a;createdBy=b",
	} {
		rows = append(rows, bad{"query: " + name, signing{method: "GET", target: listPath, after: func(r *http.Request) { r.URL.RawQuery = query }}, 400})
	}
	for name, query := range map[string]string{
		"no ids": "sessionIds=", "comma": "sessionIds=,", "comma first": "sessionIds=,a", "comma last": "sessionIds=a,", "two commas": "sessionIds=a,,b", "an empty parameter repeated": "sessionIds=a&sessionIds=",
		"createdBy twice": "createdBy=a&createdBy=b", "ownedBy twice": "ownedBy=a&ownedBy=a", "nextToken twice": "nextToken=&nextToken=", "in another spelling": "ownedBy=a&%6FwnedBy=b",
		"a page token that the provider did not make": "nextToken=%00",
	} {
		list(name, query, 400)
	}
	for _, name := range []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Security-Token", "x-amz-signature", "X-AMZ-CREDENTIAL", "%58-Amz-Signature", "X-Amz-Content-Sha256", "X-Amz-Client-Token",
	} {
		list("credentials by "+name, name+"=x", 403)
	}
	return rows
}

func badTokens() (rows []bad) {
	mutations := map[string]signing{
		"start": {target: startPath}, "stop": {target: listPath + "/ws-1/stop"}, "create": {target: listPath}, "delete": {method: "DELETE", target: listPath + "/ws-1"},
	}
	for name, token := range map[string]string{
		"empty": "", "spaces": "  ", "65": strings.Repeat("t", 65), "space": "a b", "tab": "a\tb", "accent": "é", "not UTF-8": "\xff", "64 of two bytes": strings.Repeat("é", 64),
		"long": strings.Repeat("t", 8<<10), "comma and space": "a, b",
	} {
		for action, made := range mutations {
			made.before = set("X-Amz-Client-Token", token)
			rows = append(rows, bad{action + ", client token: " + name, made, 400})
		}
	}
	for action, made := range mutations {
		made.after = add("X-Amz-Client-Token", "other")
		rows = append(rows, bad{action + ", two client tokens", made, 403})
	}
	return rows
}

func badBodies() (rows []bad) {
	deep := func(open, end string) string {
		return `{"x":` + strings.Repeat(open, 10_001) + "1" + strings.Repeat(end, 10_001) + "}"
	}
	for name, body := range map[string]string{
		"null": "null", "list": "[]", "list of one": "[{}]", "text": `"{}"`, "number": "1", "true": "true", "a brace": "{", "a closing brace": "}", "cut name": `{"a`, "cut value": `{"a":`, "cut list": `{"a":[`,
		"two objects": "{}{}", "object and more": "{} x", "comma at the end": `{"a":1,}`, "comma first": `{,"a":1}`, "comment": "{/**/}", "single quotes": "{'a':1}", "bare name": "{a:1}", "NaN": `{"a":NaN}`, "leading zero": `{"a":01}`,
		"plus": `{"a":+1}`, "hexadecimal": `{"a":0x1}`, "BOM": "\xef\xbb\xbf{}", "UTF-16": "\xff\xfe{\x00}\x00", "not UTF-8": "{\"a\":\"\xff\"}", "overlong": "{\"a\":\"\xc0\xaf\"}", "surrogate": "{\"a\":\"\xed\xa0\x80\"}", "not UTF-8 name": "{\"\xff\":1}",
		"NUL": "\x00", "NUL after": "{}\x00", "NUL within": "{\"a\":\"\x00\"}", "raw newline": "{\"a\":\"\n\"}", "raw ANSI": "{\"a\":\"\x1b[31m\"}", "rotten escape": `{"a":"\x"}`, "cut escape": `{"a":"\u00"}`,
		"a member twice": `{"a":1,"a":2}`, "a member twice by capitals": `{"A":1,"a":2}`, "a member twice within": `{"x":{"a":1,"a":1}}`,
		"deep lists": deep("[", "]"), "deep objects": deep(`{"":`, "}"), "form": "a=b&c=d", "HTML": "<html></html>", "XML": "<?xml version=\"1.0\"?><a/>", "gzip": "\x1f\x8b\x08\x00", "multipart": "--x\r\nContent-Disposition: form-data\r\n\r\n{}\r\n--x--",
	} {
		for action, target := range map[string]string{"start": startPath, "stop": listPath + "/ws-1/stop", "create": listPath} {
			rows = append(rows, bad{action + ", body: " + name, signing{target: target, body: body}, 400})
		}
	}
	for target, members := range map[string][]string{
		listPath + "/ws-1/stop": {`"volumeRetentionMode":1`, `"volumeRetentionMode":1e999`, `"volumeRetentionMode":{}`, `"volumeRetentionMode":["RETAIN"]`, `"volumeRetentionMode":true`},
		listPath: {
			`"launchProfileId":7`, `"launchProfileId":["lp"]`, `"ec2InstanceType":{}`, `"ownedBy":false`, `"streamingImageId":1e400`, `"streamingImageId":99999999999999999999999999`,
			`"tags":[]`, `"tags":"a=b"`, `"tags":1`, `"tags":{"a":1}`, `"tags":{"a":{"b":"c"}}`, `"tags":{"a":["b"]}`, `"tags":{"a":true}`, `"tags":{"a":"b","a":"c"}`, `"tags":{},"Tags":{}`,
		},
	} {
		for _, member := range members {
			rows = append(rows, bad{"body of " + target + ": " + member, signing{target: target, body: "{" + member + "}"}, 400})
		}
	}
	for action, made := range map[string]signing{
		"start": {target: startPath}, "stop": {target: listPath + "/ws-1/stop"}, "create": {target: listPath}, "delete": {method: "DELETE", target: listPath + "/ws-1"}, "get": {method: "GET", target: listPath + "/ws-1"}, "list": {method: "GET", target: listPath},
	} {
		made.body = `{"x":"` + strings.Repeat("x", 64<<10) + `"}`
		rows = append(rows, bad{action + ", large body", made, 413})
		made.body = "{}"
		made.after = func(r *http.Request) { bodyOf(r, "{ }") }
		rows = append(rows, bad{action + ", another body", made, 403})
	}
	return rows
}

func badSignatures() (rows []bad) {
	const scope = "Credential=AKIDEXAMPLE/20000101/eu-central-1/nimble/aws4_request"
	zeros := strings.Repeat("0", 64)
	for name, value := range map[string]string{
		"empty": "", "the word alone": "AWS4-HMAC-SHA256", "the word and a space": "AWS4-HMAC-SHA256 ", "small letters": "aws4-hmac-sha256 " + scope + ", SignedHeaders=host, Signature=" + zeros, "version 2": "AWS AKIDEXAMPLE:c2ln",
		"basic": "Basic dTpw", "bearer": "Bearer " + zeros, "digest": `Digest username="u"`, "asymmetric": "AWS4-ECDSA-P256-SHA256 " + scope + ", SignedHeaders=host, Signature=" + zeros, "two spaces": "AWS4-HMAC-SHA256  , , ",
		"credential alone": "AWS4-HMAC-SHA256 " + scope, "no equals": "AWS4-HMAC-SHA256 Credential, SignedHeaders, Signature", "empty parts": "AWS4-HMAC-SHA256 Credential=, SignedHeaders=, Signature=", "commas": "AWS4-HMAC-SHA256 " + strings.Repeat(",", 1000),
		"names in small letters": "AWS4-HMAC-SHA256 credential=a, signedheaders=b, signature=c", "a fourth": "AWS4-HMAC-SHA256 " + scope + ", SignedHeaders=host, Signature=" + zeros + ", X=y", "twice": "AWS4-HMAC-SHA256 " + scope + ", " + scope + ", Signature=" + zeros,
		"no key": "AWS4-HMAC-SHA256 Credential=/20000101/eu-central-1/nimble/aws4_request, SignedHeaders=host, Signature=" + zeros, "key with a slash": "AWS4-HMAC-SHA256 Credential=A/B/20000101/eu-central-1/nimble/aws4_request, SignedHeaders=host, Signature=" + zeros,
		"no scope": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE, SignedHeaders=host, Signature=" + zeros, "other day": "AWS4-HMAC-SHA256 " + scope + ", SignedHeaders=host;x-amz-date, Signature=" + zeros,
		"short signature": "AWS4-HMAC-SHA256 " + scope + ", SignedHeaders=host, Signature=00", "odd signature": "AWS4-HMAC-SHA256 " + scope + ", SignedHeaders=host, Signature=" + zeros + "0", "signature in base64": "AWS4-HMAC-SHA256 " + scope + ", SignedHeaders=host, Signature=" + strings.Repeat("A", 43) + "=",
		"not ASCII": "AWS4-HMAC-SHA256 Credential=é, SignedHeaders=host, Signature=" + zeros,
		"8 KiB":     "AWS4-HMAC-SHA256 Credential=" + strings.Repeat("A", 8<<10), "format string": "AWS4-HMAC-SHA256 %s%n%d", "quoted": `AWS4-HMAC-SHA256 Credential="AKIDEXAMPLE", SignedHeaders="host", Signature="` + zeros + `"`,
	} {
		rows = append(rows, bad{"authorization: " + name, signing{after: set("Authorization", value)}, 403})
	}
	for name, date := range map[string]string{
		"empty": "", "epoch": "0", "RFC 3339": "2026-03-04T05:06:07Z", "RFC 1123": "Wed, 04 Mar 2026 05:06:07 GMT", "no zone": "20260304T050607", "lower z": "20260304t050607z", "offset": "20260304T050607+0000", "month 13": "20261304T050607Z",
		"leap second": "20261231T235960Z", "year 0": "00000101T000000Z", "year 9999": "99991231T235959Z", "fraction": "20260304T050607.0Z", "negative": "-0260304T050607Z", "spaces": "20260304T 50607Z", "arabic digits": "٢٠٢٦0304T050607Z",
	} {
		rows = append(rows, bad{"date: " + name, signing{after: set("X-Amz-Date", date)}, 403})
	}
	for name, hash := range map[string]string{
		"UNSIGNED-PAYLOAD": "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "of nothing": hashOf(""),
		"upper case": strings.ToUpper(hashOf("{}")), "empty": "", "zeros": zeros, "cut": hashOf("{}")[:63],
	} {
		rows = append(rows, bad{"content hash " + name, signing{before: set("X-Amz-Content-Sha256", hash), hash: hash}, 403})
	}
	for i := range 16 { // one wrong digit, at each place
		rows = append(rows, bad{fmt.Sprintf("digit %d of the signature", 4*i), signing{after: func(r *http.Request) {
			m := []byte(mac(r))
			m[4*i] = map[bool]byte{true: '1', false: '0'}[m[4*i] == '0']
			edit(mac(r), string(m))(r)
		}}, 403})
	}
	return rows
}

// TestBadInputs sends some three hundred bad requests. Each gets an answer in the wire's
// form, reaches no provider, and leaves no memory or goroutine behind.
func TestBadInputs(t *testing.T) {
	rows := append(append(append(append(badPaths(), badQueries()...), badTokens()...), badBodies()...), badSignatures()...)
	names := map[string]bool{}
	s := studio.New(studio.Config{})
	s.Add(lab, ws1)
	h := nimble.Handler(s, nimble.HandlerConfig{Credentials: nimble.Keys(credentials), Region: region})
	refuseAll := func() {
		for _, row := range rows {
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, row.make.request(t))
			wantBadAnswer(t, row, answer)
		}
	}
	for _, row := range rows {
		if names[row.name] {
			t.Errorf("two rows are named %q", row.name)
		}
		names[row.name] = true
	}
	if len(names) < 300 {
		t.Errorf("%d bad inputs, want 300 and more", len(names))
	}
	t.Logf("%d bad inputs", len(names))

	refuseAll() // allocate what is allocated only once
	before := heap()
	for range scale.Of(t, 3, 30, 500) {
		refuseAll()
	}
	grown := int64(heap()) - int64(before)
	runtime.KeepAlive(rows) // keep them alive, so that freeing them does not hide a leak
	if t.Logf("memory has grown by %d bytes", grown); grown > 32<<10 {
		t.Errorf("memory has grown by %d bytes", grown)
	}
	for _, action := range []studio.Action{studio.Start, studio.Stop, studio.Create, studio.Delete, studio.Get} {
		if n := s.Calls(action); n != 0 {
			t.Errorf("%d calls of %v reached the provider", n, action)
		}
	}
}

// TestCorruptRequestURI changes RequestURI in the host's own code. It is then not what
// was signed.
func TestCorruptRequestURI(t *testing.T) {
	t.Parallel()
	s := studio.New(studio.Config{})
	s.Add(lab, ws1)
	h := nimble.Handler(s, nimble.HandlerConfig{Credentials: nimble.Keys(credentials), Region: region})
	for _, uri := range []string{"no path", startPath + "?ownedBy=%zz"} {
		r := signing{}.request(t)
		r.RequestURI = uri
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		wantBadAnswer(t, bad{name: uri, want: http.StatusBadRequest}, answer)
	}
	if n := s.Calls(studio.Start); n != 0 {
		t.Errorf("%d starts reached the provider", n)
	}
}

// heap returns the memory in use after a garbage collection.
func heap() uint64 {
	for range 3 { // a pool is emptied after two collections
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func wantBadAnswer(t *testing.T, row bad, answer *httptest.ResponseRecorder) {
	t.Helper()
	var body struct {
		Message, Code string
		Context       map[string]string
	}
	code := answer.Header().Get("X-Amzn-ErrorType")
	err := json.Unmarshal(answer.Body.Bytes(), &body)
	if answer.Code != row.want || answer.Code < 400 || answer.Code > 499 {
		t.Errorf("%s: %d, want %d: %s", row.name, answer.Code, row.want, answer.Body)
	}
	if err != nil || code == "" || body.Message == "" || body.Code == "" || body.Context == nil || len(answer.Header().Get("X-Amzn-RequestId")) != 36 ||
		answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s: not in the wire's form: %v %s", row.name, answer.Header(), answer.Body)
	}
	for _, text := range append(answer.Header()["X-Amzn-Errortype"], body.Message, body.Code) {
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || len(text) > 512 {
			t.Errorf("%s: the answer says %q", row.name, text)
		}
	}
}
