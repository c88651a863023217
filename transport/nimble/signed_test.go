package nimble

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/transport/studio"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// forge signs r validly over a choice of headers that no correct signer makes.
func forge(t *testing.T, r *http.Request, key aws.Credentials, signed []string, body string) {
	t.Helper()
	s := signature{at: r.Header.Get("X-Amz-Date"), signed: signed}
	if len(s.at) >= 8 {
		s.scope = s.at[:8] + "/r/nimble/aws4_request"
	}
	sum := sha256.Sum256([]byte(body))
	canonical, err := s.canonicalRequest(r, hex.EncodeToString(sum[:]))
	if err != nil {
		canonical = "" // the header is absent, so no signature can be right
	}
	r.Header.Set("Authorization", algorithm+" Credential="+key.AccessKeyID+"/"+s.scope+", SignedHeaders="+strings.Join(signed, ";")+
		", Signature="+hex.EncodeToString(s.expected(key.SecretAccessKey, canonical)))
}

// Every header that decides something must be signed, once and under one name. A
// signature that is valid over fewer headers, or over an ambiguous list, is refused.
func TestSignedHeadersAreEnough(t *testing.T) {
	t.Parallel()
	const (
		ok         = ""
		incomplete = "IncompleteSignatureException"
		mismatch   = "InvalidSignatureException"
	)
	all := "accept;content-type;host;x-amz-client-token;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-user-agent"
	without := func(name string) string {
		return strings.Trim(strings.ReplaceAll(";"+all+";", ";"+name+";", ";"), ";")
	}
	more := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = append(r.Header[name], values...) }
	}
	for _, row := range []struct {
		name, signed string
		before       func(*http.Request)
		want         string
	}{
		{"all", all, nil, ok},
		{"accept dropped", without("accept"), nil, ok}, // this header decides nothing
		{"content-type dropped", without("content-type"), nil, ok},
		{"host dropped", without("host"), nil, incomplete},
		{"client token dropped", without("x-amz-client-token"), nil, incomplete},
		{"content hash dropped", without("x-amz-content-sha256"), nil, incomplete},
		{"date dropped", without("x-amz-date"), nil, incomplete},
		{"security token dropped", without("x-amz-security-token"), nil, incomplete},
		{"user agent dropped", without("x-amz-user-agent"), nil, incomplete},
		{"host alone", "host", nil, incomplete},
		{"date alone", "x-amz-date", nil, incomplete},
		{"nothing", "", nil, incomplete},

		{"host last", without("host") + ";host", nil, incomplete},
		{"backwards", "x-amz-user-agent;x-amz-security-token;x-amz-date;x-amz-content-sha256;x-amz-client-token;host;content-type;accept", nil, incomplete},
		{"first two exchanged", strings.Replace(all, "accept;content-type", "content-type;accept", 1), nil, incomplete},
		{"host twice", strings.Replace(all, "host", "host;host", 1), nil, incomplete},
		{"date twice", strings.Replace(all, "x-amz-date", "x-amz-date;x-amz-date", 1), nil, incomplete},
		{"an empty name first", ";" + all, nil, incomplete},
		{"an empty name last", all + ";", nil, incomplete},
		{"an empty name within", strings.Replace(all, ";host", ";;host", 1), nil, incomplete},
		{"Host in capitals", strings.Replace(all, "host", "Host", 1), nil, incomplete},
		{"date in capitals", strings.Replace(all, "x-amz-date", "X-Amz-Date", 1), nil, incomplete},
		{"a space before a name", strings.Replace(all, ";host", "; host", 1), nil, incomplete},
		{"commas between", strings.ReplaceAll(all, ";", ","), nil, incomplete},
		{"a name that is not there", strings.Replace(all, ";host", ";date;host", 1), nil, incomplete},
		{"a name with a control", strings.Replace(all, ";host", ";ho\x1bst;host", 1), nil, incomplete},
		{"authorization itself", "accept;authorization;" + strings.TrimPrefix(all, "accept;"), nil, mismatch},
		{"connection", "accept;connection;" + strings.TrimPrefix(all, "accept;"), nil, incomplete},

		{"one more unsigned x-amz header", all, more("X-Amz-Target", "a"), incomplete},
		{"one more unsigned x-amz header, empty", all, more("X-Amz-Target", ""), incomplete},
		{"client token twice", all, more("X-Amz-Client-Token", "b"), incomplete},
		{"client token twice the same", all, more("X-Amz-Client-Token", "token"), incomplete},
		{"client token as two in one", all, func(r *http.Request) { r.Header.Set("X-Amz-Client-Token", "token,token") }, ok}, // one token with a comma
		{"date twice the same", all, func(r *http.Request) { more("X-Amz-Date", r.Header.Get("X-Amz-Date"))(r) }, incomplete},
		{"security token twice", all, more("X-Amz-Security-Token", "session-token"), incomplete},
		{"content hash twice", all, more("X-Amz-Content-Sha256", "x"), incomplete},
		{"user agent twice", all, more("X-Amz-User-Agent", "b"), incomplete},
		{"accept twice", all, more("Accept", "b"), ok},
		{"security token emptied", all, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "") }, mismatch},
		{"content hash emptied", all, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "") }, mismatch},
		{"date emptied", all, func(r *http.Request) { r.Header.Set("X-Amz-Date", "") }, incomplete},
		{"host emptied", all, func(r *http.Request) { r.Host = "" }, ok}, // the emptied header is signed, and is valid
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			key := aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK", SessionToken: "session-token"}
			s := studio.New(studio.Config{Any: true})
			h := Handler(s, HandlerConfig{Credentials: Keys(key), Region: "r"})
			r := httptest.NewRequest("POST", "http://studio.example.com/"+apiVersion+"/studios/lab/streaming-sessions/ws-1/start", strings.NewReader("{}"))
			sum := sha256.Sum256([]byte("{}"))
			for name, value := range map[string]string{
				"Accept": "a", "Content-Type": "application/json", "X-Amz-Client-Token": "token", "X-Amz-User-Agent": "u", "X-Amz-Security-Token": key.SessionToken,
				"X-Amz-Content-Sha256": hex.EncodeToString(sum[:]), "X-Amz-Date": time.Now().UTC().Format(dateFormat),
			} {
				r.Header.Set(name, value)
			}
			if row.before != nil {
				row.before(r)
			}
			forge(t, r, key, strings.Split(row.signed, ";"), "{}")
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			if got := answer.Header().Get(headerErrorType); got != row.want || (answer.Code == http.StatusOK) != (row.want == ok) {
				t.Errorf("%d %q: %s; want %q", answer.Code, got, answer.Body, row.want)
			}
			if starts := s.Calls(studio.Start); starts > 0 && row.want != ok {
				t.Errorf("%d starts", starts)
			}
		})
	}
}

// Every byte of the body is signed.
func TestEachByteIsSigned(t *testing.T) {
	t.Parallel()
	const body = `{"launchProfileId":"lp","tags":{"shot":"010"}}`
	key := aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}
	s := studio.New(studio.Config{})
	h := Handler(s, HandlerConfig{Credentials: Keys(key)})
	for i := range len(body) + 1 { // the last change changes nothing
		r := httptest.NewRequest("POST", "http://studio.example.com/"+apiVersion+"/studios/lab/streaming-sessions", nil)
		r.Header.Set("X-Amz-Date", time.Now().UTC().Format(dateFormat))
		forge(t, r, key, []string{"host", "x-amz-date"}, body)
		flipped := []byte(body)
		want := http.StatusOK
		if i < len(body) {
			flipped[i] ^= 1
			want = http.StatusForbidden
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(flipped)), int64(len(flipped))
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if answer.Code != want {
			t.Errorf("%s: %d, want %d", flipped, answer.Code, want)
		}
	}
	if n := s.Calls(studio.Create); n != 1 {
		t.Errorf("%d sessions were created, want one, of the signed body", n)
	}
}

// A signature from before midnight is valid after midnight.
func TestScopeOfYesterday(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 23, 58, 0, 0, time.UTC)
	for scope, want := range map[string]bool{"20260304": true, "20260305": false, "20260303": false} {
		s := signature{at: at.Format(dateFormat), scope: scope + "/r/nimble/aws4_request"}
		if got := s.dated(at.Add(4*time.Minute)) == nil; got != want { // it is the next day by then
			t.Errorf("scope of %s: accepted %v", scope, got)
		}
	}
	for off, want := range map[time.Duration]bool{
		5 * time.Minute: true, 5*time.Minute + time.Second: false, -5 * time.Minute: true, -5*time.Minute - time.Second: false,
		24 * time.Hour: false, 1 << 62: false, -1 << 62: false,
	} {
		s := signature{at: at.Format(dateFormat), scope: "20260304/r/nimble/aws4_request"}
		if got := s.dated(at.Add(off)) == nil; got != want {
			t.Errorf("%v later: accepted %v", off, got)
		}
	}
}

// TestNoPlainComparison checks that signatures and session tokens are compared in
// constant time. No behavior shows that, so the test reads the source.
func TestNoPlainComparison(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	secret := func(e ast.Expr) bool {
		found := false
		ast.Inspect(e, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				switch id.Name {
				case "mac", "expected", "SessionToken":
					found = true
				case "nil", "len":
					return false
				}
			}
			return true
		})
		return found
	}
	plain := map[string]bool{"bytes.Equal": true, "bytes.Compare": true, "slices.Equal": true, "strings.Compare": true, "strings.EqualFold": true, "reflect.DeepEqual": true}
	constant := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				other, isNil := n.Y.(*ast.Ident)
				_, isLen := n.X.(*ast.CallExpr) // len(s.mac) != 32 reveals nothing
				if (n.Op == token.EQL || n.Op == token.NEQ) && !isLen && !(isNil && other.Name == "nil") && (secret(n.X) || secret(n.Y)) {
					t.Errorf("%s: a plain comparison", set.Position(n.Pos()))
				}
			case *ast.CallExpr:
				fn, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				pkg, _ := fn.X.(*ast.Ident)
				if pkg == nil {
					return true
				}
				name := pkg.Name + "." + fn.Sel.Name
				for _, arg := range n.Args {
					if secret(arg) && plain[name] {
						t.Errorf("%s: %s", set.Position(n.Pos()), name)
					}
					if secret(arg) && (name == "hmac.Equal" || name == "subtle.ConstantTimeCompare") {
						constant++
						break
					}
				}
			}
			return true
		})
	}
	if constant != 2 {
		t.Errorf("%d comparisons in constant time, want the signature's and the session token's", constant)
	}
}
