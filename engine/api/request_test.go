package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
)

type problem struct {
	Type, Title, Detail string
	Status              int
	Errors              []struct{ Location, Message string }
}

// send sends a request and returns the answer, its text, and the problem in it.
func (b *bench) send(t *testing.T, method, path, body string, header ...string) (*http.Response, string, problem) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := b.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p problem
	if answer.StatusCode >= 400 {
		if err := json.Unmarshal(text, &p); err != nil || answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: the answer is no problem: %v %s", method, path, answer.Header, text)
		}
		if p.Status != answer.StatusCode {
			t.Errorf("%s %s: the problem has status %d, and the answer %d", method, path, p.Status, answer.StatusCode)
		}
	}
	return answer, string(text), p
}

// TestRequests sends requests of the wrong form.
func TestRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	const start = "/v1/operations"
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		kind, detail       string
	}{
		"no body":         {"POST", start, "", nil, 400, "request", "body is required"},
		"no JSON":         {"POST", start, "{", nil, 400, "request", "body: unexpected end of JSON input"},
		"no object":       {"POST", start, "[]", nil, 422, "request", "body: expected object"},
		"null":            {"POST", start, "null", nil, 422, "request", "body: expected object"},
		"trailing":        {"POST", start, `{"studioId":"comp","sessionId":"ws-1"} {}`, nil, 400, "request", "after top-level value"},
		"missing field":   {"POST", start, `{"studioId":"comp"}`, nil, 422, "request", "sessionId"},
		"unknown field":   {"POST", start, `{"studioId":"comp","sessionId":"ws-1","color":"red"}`, nil, 422, "request", "body.color"},
		"by":              {"POST", start, `{"studioId":"comp","sessionId":"ws-1","requestedBy":"root"}`, nil, 422, "request", "body.requestedBy"},
		"wrong type":      {"POST", start, `{"studioId":"comp","sessionId":7}`, nil, 422, "request", "body.sessionId"},
		"wrong time":      {"POST", start, `{"studioId":"comp","sessionId":"ws-1","notBefore":"tomorrow"}`, nil, 422, "request", "body.notBefore"},
		"wrong label":     {"POST", start, `{"studioId":"comp","sessionId":"ws-1","labels":{"a":1}}`, nil, 422, "request", "body.labels.a"},
		"form":            {"POST", start, "studioId=comp", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "request", "unknown content type"},
		"two tokens":      {"POST", start, `{"studioId":"comp","sessionId":"ws-1","clientToken":"a"}`, []string{"Idempotency-Key", "b"}, 422, "request", "give one of them"},
		"bad session":     {"POST", start, `{"studioId":"comp","sessionId":"a/b"}`, nil, 400, "invalid", `session id "a/b"`},
		"long reason":     {"POST", start, `{"studioId":"comp","sessionId":"ws-1","reason":"` + strings.Repeat("x", 1025) + `"}`, nil, 400, "invalid", "reason has 1025 bytes"},
		"unknown in many": {"POST", start + "/batch", `{"requests":[{"studioId":"comp","sessionId":"ws-1"},{"studioId":"comp","sessionId":"ws-1","color":"red"}]}`, nil, 422, "request", "body.requests[1].color"},
		"too many":        {"POST", start + "/batch", `{"requests":[` + strings.Repeat(`{"studioId":"comp","sessionId":"ws-1"},`, 4096) + `{"studioId":"comp","sessionId":"ws-1"}]}`, nil, 422, "request", "4096"},
		"many values":     {"POST", start + "/batch", `{"requests":[` + strings.Repeat(`{},`, 1<<20) + `{}]}`, nil, 413, "too_large", "more than 100000 values"},
		"deep":            {"POST", start + "/batch", `{"requests":` + strings.Repeat(`[`, 50_000), nil, 400, "request", "max depth"},
		"many faults":     {"POST", start + "/batch", `{"requests":[` + strings.Repeat(`1,`, 50_000) + `1]}`, nil, 422, "request", "body.requests[0]"},
		"no requests":     {"POST", start + "/batch", `{}`, nil, 422, "request", "requests"},
		"unknown query":   {"GET", start + "?colour=red", "", nil, 422, "request", "query.colour"},
		"limit":           {"GET", start + "?limit=501", "", nil, 422, "request", "query.limit"},
		"no limit":        {"GET", start + "?limit=0", "", nil, 422, "request", "query.limit"},
		"label":           {"GET", start + "?label=x", "", nil, 422, "request", "KEY=VALUE"},
		"since":           {"GET", start + "?since=today", "", nil, 422, "request", "query.since"},
		"wait":            {"GET", start + "/x?wait=61", "", nil, 422, "request", "query.wait"},
		"events limit":    {"GET", "/v1/events?limit=-1", "", nil, 422, "request", "query.limit"},
		"cursor":          {"GET", "/v1/events?after=x", "", nil, 410, "cursor", `"x" is not a cursor`},
		"stream cursor":   {"GET", "/v1/events/stream", "", []string{"Last-Event-ID", "x"}, 410, "cursor", `"x" is not a cursor`},
		"page":            {"GET", "/v1/sessions/comp?page=x", "", nil, 400, "invalid", "not the token of a page"},
		"route":           {"GET", "/v1/keeps", "", nil, 404, "unknown_route", "GET /v1/keeps"},
		"method":          {"DELETE", start + "/x", "", nil, 404, "unknown_route", "DELETE /v1/operations/x"},
		"root":            {"GET", "/", "", nil, 404, "unknown_route", "/openapi.json"},
	} {
		answer, text, p := b.send(t, c.method, c.path, c.body, c.header...)
		if answer.StatusCode != c.status || p.Type != "urn:rouse:problem:"+c.kind || !strings.Contains(p.Detail, c.detail) || p.Title == "" {
			t.Errorf("%s: %d %s", name, answer.StatusCode, text)
		}
		if len(text) > 8<<10 {
			t.Errorf("%s: the answer has %d bytes", name, len(text))
		}
		if answer.Header.Get("Rouse-API") != "1" || answer.Header.Get("Rouse-Version") != "1.2.3" {
			t.Errorf("%s: the header is %v", name, answer.Header)
		}
	}
	if ops, err := collect(b.engine.List(t.Context(), engine.Filter{})); err != nil || len(ops) > 0 {
		t.Errorf("after wrong requests there are %v, %v", ops, err)
	}
}

// TestStarted says by the status what became of a start, and where the operation is.
func TestStarted(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	b.run(t)
	const body = `{"studioId":"comp","sessionId":"ws-1"}`
	created, text, _ := b.send(t, "POST", "/v1/operations", body, "Idempotency-Key", "monday")
	var r engine.Receipt
	if err := json.Unmarshal([]byte(text), &r); err != nil || created.StatusCode != http.StatusAccepted || !r.Created || r.Operation.ClientToken != "monday" {
		t.Fatalf("%d %s, %v", created.StatusCode, text, err)
	}
	where, err := created.Location()
	if err != nil || where.Path != "/v1/operations/"+string(r.ID) {
		t.Fatalf("the location is %v, %v", where, err)
	}
	if answer, text, _ := b.send(t, "GET", where.Path+"?wait=20", ""); !strings.Contains(text, `"phase":"SUCCEEDED"`) {
		t.Errorf("GET %s: %d %s", where, answer.StatusCode, text)
	}
	old, text, _ := b.send(t, "POST", "/v1/operations", body, "Idempotency-Key", "monday")
	if old.StatusCode != http.StatusOK || !strings.Contains(text, `"request":"old"`) {
		t.Errorf("again: %d %s", old.StatusCode, text)
	}
	retried, text, _ := b.send(t, "POST", where.Path+"/retry", "")
	where, err = retried.Location()
	if retried.StatusCode != http.StatusAccepted || err != nil || !strings.Contains(text, `"id":"`+strings.TrimPrefix(where.Path, "/v1/operations/")+`"`) {
		t.Errorf("retry: %d %v %s, %v", retried.StatusCode, where, text, err)
	}
}

// counting is an engine that takes every request and keeps none.
type counting struct {
	api.Engine
	batches []int
	refs    []engine.Ref
}

func (c *counting) StartAll(_ context.Context, rs []engine.Request) ([]engine.Receipt, error) {
	c.batches = append(c.batches, len(rs))
	out := make([]engine.Receipt, len(rs))
	for i, r := range rs {
		c.refs = append(c.refs, r.Ref)
		out[i] = engine.Receipt{ID: engine.ID(r.SessionID), Operation: engine.Operation{ID: engine.ID(r.SessionID), Ref: r.Ref}, Created: true}
	}
	return out, nil
}

// TestBatch starts more sessions than one request of the API may have, by number and by
// bytes.
func TestBatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		label       string
		labels      int
		least, most int // of the first batch; another one has the rest
	}{
		"number": {"x", 1, 4096, 4096},
		"bytes":  {strings.Repeat("<", 2000), 1, 2500, 3500},
		"values": {"x", 30, 2000, 3000},
	} {
		f := &counting{}
		server := httptest.NewServer(as(admin, api.Handler(f, api.Config{})))
		rs := make([]engine.Request, 4100)
		for i := range rs {
			rs[i] = request(fmt.Sprintf("ws-%04d", i))
			rs[i].Labels = map[string]string{}
			for n := range c.labels {
				rs[i].Labels[fmt.Sprint("\"x", n)] = c.label
			}
		}
		got, err := api.NewClient(server.URL, server.Client(), "").StartAll(t.Context(), rs)
		server.Close()
		if err != nil || len(got) != len(rs) || len(f.batches) != 2 || f.batches[0] < c.least || f.batches[0] > c.most {
			t.Fatalf("%s: %d receipts for batches of %v, %v", name, len(got), f.batches, err)
		}
		for i, r := range got {
			if r.Operation.Ref != rs[i].Ref || f.refs[i] != rs[i].Ref {
				t.Fatalf("%s: receipt %d of %s is %+v", name, i, rs[i].Ref, r)
			}
		}
	}
}

// TestPages lists more than a page has.
func TestPages(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	ctx := t.Context()
	rs := make([]engine.Request, 1100)
	for i := range rs {
		rs[i] = request(fmt.Sprintf("ws-%04d", i))
	}
	must(b.engine.StartAll(ctx, rs))
	artist := b.clientAs(t, access.Identity{Name: "lee", Role: access.RoleViewer, Scope: access.Scope{"comp/ws-*1"}})
	for _, c := range []struct {
		name   string
		e      api.Engine
		filter engine.Filter
		want   int
	}{
		{"all", b.client, engine.Filter{}, 1100}, {"newest", b.client, engine.Filter{Newest: true}, 1100}, {"limit", b.client, engine.Filter{Limit: 501}, 501},
		{"page", b.client, engine.Filter{Limit: 500}, 500}, {"scope", artist, engine.Filter{}, 110}, {"limit in scope", artist, engine.Filter{Limit: 7}, 7},
	} {
		ops := must(collect(c.e.List(ctx, c.filter)))
		seen := map[engine.ID]bool{}
		for _, op := range ops {
			seen[op.ID] = true
		}
		if len(ops) != c.want || len(seen) != c.want {
			t.Errorf("%s: %d operations, %d different ones, want %d", c.name, len(ops), len(seen), c.want)
		}
	}
	if n := len(must(collect(b.client.Events(ctx, "")))); n != 1100 {
		t.Errorf("%d events", n)
	}
	if n := len(must(collect(artist.Events(ctx, "")))); n != 110 {
		t.Errorf("%d events in the scope", n)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// endless is a body that says how much of it was read.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read.Add(int64(len(p)))
	clear(p)
	return len(p), nil
}

// TestHugeBody: the server refuses a body of 1 GB, with and without a length. It reads no
// more than the limit and what the connection holds.
func TestHugeBody(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	const gigabyte = 1 << 30
	for _, c := range []struct {
		name, path string
		length     int64
		most       int64
	}{
		{"length", "/v1/operations", gigabyte, 8 << 20},
		{"no length", "/v1/operations", -1, 16 << 20},
		{"batch length", "/v1/operations/batch", gigabyte, 8 << 20},
		{"batch", "/v1/operations/batch", -1, 24 << 20},
		{"a call without a body", "/v1/nudge", gigabyte, 8 << 20},
	} {
		body := &endless{}
		r, err := http.NewRequestWithContext(t.Context(), "POST", b.server.URL+c.path, io.LimitReader(body, gigabyte))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = c.length
		answer, err := b.server.Client().Do(r)
		if err == nil { // otherwise the server closed the connection before the client read the answer
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode != http.StatusRequestEntityTooLarge || !bytes.Contains(text, []byte("urn:rouse:problem:too_large")) {
				t.Errorf("%s: %d %s", c.name, answer.StatusCode, text)
			}
		}
		if n := body.read.Load(); n > c.most {
			t.Errorf("%s: %d bytes were taken, want at most %d", c.name, n, c.most)
		}
	}
	// A client that waits for "100 Continue" sees the answer at once.
	conn, err := net.Dial("tcp", b.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "POST /v1/operations HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n")
	text, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(text, []byte("HTTP/1.1 413 ")) || !bytes.Contains(text, []byte("urn:rouse:problem:too_large")) {
		t.Errorf("the answer is %q, %v", text, err)
	}
}

// TestClientErrors meets servers that do not answer as expected.
func TestClientErrors(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	answers := map[string]struct {
		answer http.HandlerFunc
		want   []error
		not    []error
		text   string
	}{
		"an older server": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Rouse-API", "1")
			w.Header().Set("Rouse-Version", "0.9")
			http.NotFound(w, r)
		}, []error{api.ErrUnknownRoute}, []error{engine.ErrNotFound, engine.ErrUnknown, api.ErrNoAnswer}, `(version "0.9") does not know POST /v1/operations: use the same version`},
		"another server": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>log in</html>")
		}, []error{api.ErrNoAnswer}, nil, "no answer of rouse"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
			[]error{api.ErrNoAnswer}, nil, "HTTP 307"},
		"a cut answer": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Rouse-API", "1")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"id":"x"`)
		}, []error{api.ErrNoAnswer, engine.ErrUnknown}, nil, "POST /v1/operations"},
		"a cut connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			[]error{api.ErrNoAnswer, engine.ErrUnknown}, nil, "POST /v1/operations"},
		"a newer problem": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Rouse-API", "1")
			w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, `{"type":"urn:rouse:problem:held","title":"x","status":418,"detail":"the session is held","until":"08:00","provider":{"kind":"lunch"}}`)
		}, nil, []error{api.ErrNoAnswer, engine.ErrUnknown}, "the session is held"},
	}
	for name, c := range answers {
		server := httptest.NewServer(c.answer)
		_, err := api.NewClient(server.URL, server.Client(), "").Start(ctx, request("ws-1"))
		server.Close()
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range c.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v is no %v", name, err, want)
			}
		}
		for _, not := range c.not {
			if errors.Is(err, not) {
				t.Errorf("%s: %v matches %v", name, err, not)
			}
		}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	client := api.NewClient(gone.URL, nil, "")
	if _, err := client.Start(ctx, request("ws-1")); !errors.Is(err, api.ErrNoAnswer) || errors.Is(err, engine.ErrUnknown) {
		t.Errorf("nobody listens: %v", err)
	}
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer slow.Close()
	client = api.NewClient(slow.URL, slow.Client(), "")
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if _, err := client.Stats(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a look-up out of time: %v", err)
	}
	if _, err := client.Start(short, request("ws-1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a start out of time: %v", err)
	}
}

// TestBackupDamaged removes the file of a backup that arrives cut or changed.
func TestBackupDamaged(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]string{"changed": "4", "cut": "5"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Rouse-API", "1")
			w.Header().Set("Content-Length", length)
			w.Header().Set("Repr-Digest", "sha-256=:AAAA:")
			_, _ = io.WriteString(w, "file")
		}))
		path := filepath.Join(t.TempDir(), "copy.db")
		err := api.NewClient(server.URL, server.Client(), "").Backup(t.Context(), path)
		server.Close()
		if !errors.Is(err, api.ErrNoAnswer) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the file is left: %v", name, err)
		}
	}
}

// TestToken sends the token to the server, and to no other one.
func TestToken(t *testing.T) {
	t.Parallel()
	var got atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got.Store(r.Header.Get("Authorization")) }))
	defer server.Close()
	_, err := api.NewClient(server.URL+"/", server.Client(), "rouse_1234").Stats(t.Context())
	if got.Load() != "Bearer rouse_1234" || strings.Contains(err.Error(), "1234") {
		t.Errorf("the server got %v, and the client %v", got.Load(), err)
	}
}
