package nimble_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

// open returns a Handler that verifies no signature.
func open(p nimble.Provider) http.Handler { return nimble.Handler(p, nimble.HandlerConfig{}) }

func ask(t testing.TB, h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://"+host+target, nil)
	bodyOf(r, body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer
}

// wantRefusal checks that an answer is an error in the wire's form.
func wantRefusal(t *testing.T, what string, answer *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	h := answer.Header()
	if answer.Code != status || h.Get("X-Amzn-ErrorType") != code {
		t.Errorf("%s: %d %q, want %d %q: %s", what, answer.Code, h.Get("X-Amzn-ErrorType"), status, code, answer.Body)
	}
	var body struct {
		Message, Code *string
		Context       map[string]string
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || body.Message == nil || body.Code == nil || body.Context == nil {
		t.Errorf("%s: body %s (%v), want message, code and context", what, answer.Body, err)
	}
	if h.Get("Content-Type") != "application/json" || len(h.Get("X-Amzn-RequestId")) != 36 {
		t.Errorf("%s: headers %v", what, h)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	const base = "/2020-08-01/studios/lab/streaming-sessions"
	for _, row := range []struct {
		method, target string
		status         int
		code           string
	}{
		{"GET", base, 200, ""},
		{"POST", base, 200, ""},
		{"GET", base + "/ws-1", 200, ""},
		{"POST", base + "/ws-1/start", 200, ""},
		{"DELETE", base + "/ws-1", 200, ""},
		{"GET", base + "/a%2Bb", 200, ""},
		{"GET", base + "/a+b", 200, ""}, // in a path, a plus is a plus
		{"GET", base + "/start", 200, ""},
		{"POST", base + "/start/start", 200, ""},

		{"GET", "/", 404, "UnknownOperationException"},
		{"GET", "/favicon.ico", 404, "UnknownOperationException"},
		{"GET", "/2020-08-01/studios/lab", 404, "UnknownOperationException"},
		{"GET", "/2020-08-01/studios/lab/launch-profiles", 404, "UnknownOperationException"},
		{"GET", "/2021-01-01/studios/lab/streaming-sessions", 404, "UnknownOperationException"},
		{"GET", "/api" + base, 404, "UnknownOperationException"},
		{"GET", "/" + base, 404, "UnknownOperationException"},
		{"POST", base + "/ws-1/restart", 404, "UnknownOperationException"},
		{"POST", base + "/ws-1/start/", 404, "UnknownOperationException"},
		{"POST", base + "/ws-1/streams", 404, "UnknownOperationException"},
		{"POST", base + "/ws-1%2Fstart", 405, "MethodNotAllowedException"},
		{"POST", base + "/ws-1/st%61rt", 404, "UnknownOperationException"},
		{"PUT", base, 405, "MethodNotAllowedException"},
		{"HEAD", base + "/ws-1", 405, "MethodNotAllowedException"},
		{"OPTIONS", base + "/ws-1", 405, "MethodNotAllowedException"},
		{"GET", base + "/ws-1/start", 405, "MethodNotAllowedException"},
		{"DELETE", base + "/ws-1/stop", 405, "MethodNotAllowedException"},

		{"GET", base + "/", 400, "ValidationException"},
		{"GET", base + "/ws-1%2Fstart", 400, "ValidationException"},
		{"GET", base + "/ws-1%2fstart", 400, "ValidationException"},
		{"GET", base + "/ws-1%5Cstart", 400, "ValidationException"},
		{"GET", base + "/..", 400, "ValidationException"},
		{"GET", base + "/%2E%2E", 400, "ValidationException"},
		{"GET", base + "/%00", 400, "ValidationException"},
		{"GET", base + "/a%20b", 400, "ValidationException"},
		{"GET", base + "/%C3%A9", 400, "ValidationException"},
		{"GET", base + `/a"b`, 400, "ValidationException"},
		{"POST", base + `/a"b%2Fstart`, 400, "ValidationException"}, // net/url would read a slash here
		{"DELETE", base + `/ws-1%2F<`, 400, "ValidationException"},
		{"GET", base + "/" + strings.Repeat("a", 129), 400, "ValidationException"},
		{"GET", "/2020-08-01/studios//streaming-sessions", 400, "ValidationException"},
		{"GET", "/2020-08-01/studios/%2E/streaming-sessions", 400, "ValidationException"},
		{"POST", "/2020-08-01/studios/lab/streaming-sessions//start", 400, "ValidationException"},

		{"GET", base + "?sessionIds=a,b", 200, ""},
		{"GET", base + "?sessionIds=a&sessionIds=b", 200, ""},
		{"GET", base + "?sessionIds=", 400, "ValidationException"},
		{"GET", base + "?sessionIds=a,,b", 400, "ValidationException"},
		{"GET", base + "?sessionIds=a%2Fb", 400, "ValidationException"},
		{"GET", base + "?ownedBy=a&ownedBy=b", 400, "ValidationException"},
		{"GET", base + "?nextToken=a&nextToken=b", 400, "ValidationException"},
		{"GET", base + "?more=1&more=2", 200, ""},
		{"GET", base + "/missing", 404, "ResourceNotFoundException"},
		{"POST", base + "/missing/start", 404, "ResourceNotFoundException"},
		{"POST", base + "/missing/stop", 404, "ResourceNotFoundException"},
		{"DELETE", base + "/missing", 404, "ResourceNotFoundException"},
	} {
		what := row.method + " " + row.target
		answer := ask(t, open(studio.New(studio.Config{Any: true})), row.method, row.target, "")
		if row.code != "" {
			wantRefusal(t, what, answer, row.status, row.code)
			if (row.status == 405) != (answer.Header().Get("Allow") != "") {
				t.Errorf("%s: Allow %q", what, answer.Header().Get("Allow"))
			}
			continue
		}
		if answer.Code != row.status || len(answer.Header().Get("X-Amzn-RequestId")) != 36 {
			t.Errorf("%s: %d %s", what, answer.Code, answer.Body)
		}
	}
}

func TestBodiesAndTokens(t *testing.T) {
	t.Parallel()
	const ws = "/2020-08-01/studios/lab/streaming-sessions/ws-1"
	for _, row := range []struct {
		name, target, body string
		headers            []string
		status             int
		code               string
	}{
		{"nothing", ws + "/start", "", nil, 200, ""},
		{"empty object", ws + "/start", "{}", nil, 200, ""},
		{"unknown member", ws + "/start", `{"backupId":"b"}`, nil, 200, ""},
		{"spaces around", ws + "/start", " {} \n", nil, 200, ""},
		{"null", ws + "/start", "null", nil, 400, "ValidationException"},
		{"list", ws + "/start", "[]", nil, 400, "ValidationException"},
		{"cut", ws + "/start", `{"a":`, nil, 400, "ValidationException"},
		{"two", ws + "/start", `{}{}`, nil, 400, "ValidationException"},
		{"form", ws + "/start", `a=b`, nil, 400, "ValidationException"},
		{"not UTF-8", ws + "/start", "{\"a\":\"\xff\"}", nil, 400, "ValidationException"},
		{"a member twice", ws + "/start", `{"a":1,"a":1}`, nil, 400, "ValidationException"},
		{"a member twice, by capitals", ws + "/start", `{"ab":1,"aB":1}`, nil, 400, "ValidationException"},
		{"a member twice, by an escape", ws + "/start", `{"ab":1,"\u0061b":1}`, nil, 400, "ValidationException"},
		{"a member twice, within", ws + "/start", `{"x":[{"b":{}},{"b":{"c":1,"d":{},"c":2}}]}`, nil, 400, "ValidationException"},
		{"one name in several objects", ws + "/start", `{"a":{"a":"a","b":["a","a",{"a":1}],"B":1},"b":"a","c":"a"}`, nil, 200, ""},
		{"token", ws + "/start", "", []string{"X-Amz-Client-Token", "t"}, 200, ""},
		{"token of 64", ws + "/start", "", []string{"X-Amz-Client-Token", strings.Repeat("t", 64)}, 200, ""},
		{"token of 65", ws + "/start", "", []string{"X-Amz-Client-Token", strings.Repeat("t", 65)}, 400, "ValidationException"},
		{"empty token", ws + "/start", "", []string{"X-Amz-Client-Token", ""}, 400, "ValidationException"},
		{"token with a space", ws + "/start", "", []string{"X-Amz-Client-Token", "a b"}, 400, "ValidationException"},
		{"two tokens", ws + "/start", "", []string{"X-Amz-Client-Token", "t", "X-Amz-Client-Token", "u"}, 400, "ValidationException"},
		{"as large as allowed", ws + "/start", `{"x":"` + strings.Repeat("x", 64<<10-8) + `"}`, nil, 200, ""},
		{"too large", ws + "/start", strings.Repeat(" ", 64<<10+1), nil, 413, "RequestEntityTooLargeException"},
		{"stop in another state", ws + "/stop", `{"volumeRetentionMode":"RETAIN"}`, nil, 409, "ConflictException"},
		{"stop, wrong type", ws + "/stop", `{"volumeRetentionMode":1}`, nil, 400, "ValidationException"},
		{"stop, bad token", ws + "/stop", "", []string{"X-Amz-Client-Token", ""}, 400, "ValidationException"},
		{"create", ws[:len(ws)-5], `{"launchProfileId":"lp","tags":{"a":"b"},"novelty":1}`, nil, 200, ""},
		{"create, wrong type", ws[:len(ws)-5], `{"tags":["a"]}`, nil, 400, "ValidationException"},
		{"create, bad token", ws[:len(ws)-5], `{}`, []string{"X-Amz-Client-Token", ""}, 400, "ValidationException"},
	} {
		answer := ask(t, open(studio.New(studio.Config{Any: true})), "POST", row.target, row.body, row.headers...)
		if row.code != "" {
			wantRefusal(t, row.name, answer, row.status, row.code)
		} else if answer.Code != row.status {
			t.Errorf("%s: %d %s", row.name, answer.Code, answer.Body)
		}
	}
	h := open(studio.New(studio.Config{Any: true}))
	wantRefusal(t, "delete, bad token", ask(t, h, "DELETE", ws, "", "X-Amz-Client-Token", ""), 400, "ValidationException")

	r := httptest.NewRequest("POST", "http://"+host+ws+"/start", io.MultiReader(strings.NewReader("{}"), broken{}))
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	wantRefusal(t, "broken body", answer, 400, "ValidationException")
	r = httptest.NewRequest("POST", "http://"+host+ws+"/start", &endless{read: 1 << 20})
	r.ContentLength = 64<<10 + 1
	answer = httptest.NewRecorder()
	h.ServeHTTP(answer, r) // the handler refuses the body without reading it
	wantRefusal(t, "large body announced", answer, 413, "RequestEntityTooLargeException")
	r = httptest.NewRequest("POST", "http://"+host+ws+"/start", &endless{})
	answer = httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	wantRefusal(t, "body without end", answer, 413, "RequestEntityTooLargeException")
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("cut") }

type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	if e.read += len(b); e.read > 1<<20 {
		panic("read on and on")
	}
	return len(b), nil
}

// Each request without a token gets a new one.
func TestTokensAreMadeUp(t *testing.T) {
	t.Parallel()
	var tokens []string
	h := open(studio.New(studio.Config{Any: true, Intercept: func(c studio.Call) studio.Fault {
		tokens = append(tokens, c.ClientToken)
		return studio.Fault{}
	}}))
	for _, id := range []string{"a", "b"} {
		ask(t, h, "POST", "/2020-08-01/studios/lab/streaming-sessions/"+id+"/start", "")
	}
	if len(tokens) != 2 || len(tokens[0]) != 36 || tokens[0] == tokens[1] {
		t.Errorf("tokens %q", tokens)
	}
}

// failing is a provider whose every call fails.
func failing(err error) nimble.Provider {
	return studio.New(studio.Config{Any: true, Intercept: func(studio.Call) studio.Fault { return studio.Fault{Err: err} }})
}

// The client gets a provider's error with its kind.
func TestErrorsTravel(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		sent   transport.Error
		kind   transport.Kind
		status int
		code   string
	}{
		{transport.Error{Kind: transport.KindAccessDenied}, transport.KindAccessDenied, 403, "AccessDeniedException"},
		{transport.Error{Kind: transport.KindConflict}, transport.KindConflict, 409, "ConflictException"},
		{transport.Error{Kind: transport.KindInternal}, transport.KindInternal, 500, "InternalServerErrorException"},
		{transport.Error{Kind: transport.KindNotFound}, transport.KindNotFound, 404, "ResourceNotFoundException"},
		{transport.Error{Kind: transport.KindQuotaExceeded}, transport.KindQuotaExceeded, 402, "ServiceQuotaExceededException"},
		{transport.Error{Kind: transport.KindThrottled, RetryAfter: 1500 * time.Millisecond}, transport.KindThrottled, 429, "ThrottlingException"},
		{transport.Error{Kind: transport.KindInvalid}, transport.KindInvalid, 400, "ValidationException"},
		{transport.Error{Kind: transport.KindCapacity, Code: "InsufficientInstanceCapacity"}, transport.KindCapacity, 402, "ServiceQuotaExceededException"},
		{transport.Error{Kind: transport.KindCredentials}, transport.KindCredentials, 403, "ExpiredTokenException"},
		{transport.Error{Kind: transport.KindCredentials, Code: "AuthFailure"}, transport.KindCredentials, 403, "AuthFailure"},
		{transport.Error{Kind: transport.KindCredentials, Code: "ConflictException"}, transport.KindCredentials, 403, "ExpiredTokenException"},
		{transport.Error{Kind: transport.KindUnreachable, NotSent: true}, transport.KindInternal, 500, "InternalServerErrorException"},
		{transport.Error{Kind: 99}, transport.KindInternal, 500, "InternalServerErrorException"},
		{transport.Error{Kind: transport.KindUnknown}, transport.KindUnknown, 0, ""},
	} {
		row.sent.Message, row.sent.Context = "be\ncause", map[string]string{"resourceId": "ws\x1b-1"}
		e := errorOf(t, start(t.Context(), joined(t, failing(&row.sent))))
		if e.Kind != row.kind || e.HTTPStatusCode != row.status || e.Code != row.code || e.NotSent {
			t.Errorf("%v became %v: HTTP %d %q", row.sent.Kind, e, e.HTTPStatusCode, e.Code)
		}
		told := row.kind != transport.KindInternal && row.kind != transport.KindCredentials && row.kind != transport.KindUnknown
		if told && (e.Message != "be cause" || e.Context["resourceId"] != "ws-1") {
			t.Errorf("%v: message %q, context %v", row.sent.Kind, e.Message, e.Context)
		}
		if row.sent.RetryAfter > 0 && e.RetryAfter != 2*time.Second {
			t.Errorf("Retry-After %v became %v, want it rounded up", row.sent.RetryAfter, e.RetryAfter)
		}
	}
}

func TestErrorsWithoutAMessage(t *testing.T) {
	t.Parallel()
	e := errorOf(t, start(t.Context(), joined(t, failing(&transport.Error{Kind: transport.KindNotFound}))))
	if e.Message != "not found" || e.Context != nil {
		t.Errorf("message %q, context %v", e.Message, e.Context)
	}
}

// The handler does not show the text of an error that is not a *transport.Error.
func TestForeignErrorsAreNotShown(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := nimble.Handler(failing(errors.New("dial postgres://u:"+secret)), nimble.HandlerConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, target := range []string{startPath, strings.Replace(startPath, "start", "stop", 1), listPath} {
		answer := ask(t, h, "POST", target, "{}")
		wantRefusal(t, target, answer, 500, "InternalServerErrorException")
		if strings.Contains(answer.Body.String(), "postgres") {
			t.Errorf("shown: %s", answer.Body)
		}
	}
	wantRefusal(t, "list", ask(t, h, "GET", listPath, ""), 500, "InternalServerErrorException")
	if !strings.Contains(log.String(), "postgres") {
		t.Errorf("not logged: %s", log.String())
	}
}

// panicking panics with a value.
type panicking struct {
	nimble.Provider
	value any
}

func (p panicking) Start(context.Context, transport.StartInput) (transport.Session, error) {
	panic(p.value)
}

func TestPanics(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	config := nimble.HandlerConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	answer := ask(t, nimble.Handler(panicking{value: "index out of " + "range"}, config), "POST", startPath, "")
	wantRefusal(t, "panic", answer, 500, "InternalServerErrorException")
	if strings.Contains(answer.Body.String(), "range") || !strings.Contains(log.String(), "index out of range") {
		t.Errorf("answer %s, log %s", answer.Body, log.String())
	}
	for name, p := range map[string]nimble.Provider{
		"asked to abort": panicking{value: http.ErrAbortHandler},
		"lost":           failing(&transport.Error{Kind: transport.KindUnknown}),
	} {
		func() {
			defer func() {
				if cause := recover(); cause != http.ErrAbortHandler {
					t.Errorf("%s: panic of %v, want the connection to be cut", name, cause)
				}
			}()
			answer := ask(t, open(p), "POST", startPath, "")
			t.Errorf("%s: answered %d", name, answer.Code)
		}()
	}
}

// exploding panics in every method once it is lit.
type exploding struct {
	*studio.Studio
	lit bool
}

func (p *exploding) fuse() {
	if p.lit {
		panic("a fault of the provider")
	}
}

func (p *exploding) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	p.fuse()
	return p.Studio.Start(ctx, in)
}

func (p *exploding) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	p.fuse()
	return p.Studio.Stop(ctx, in)
}

func (p *exploding) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	p.fuse()
	return p.Studio.Get(ctx, ref)
}

func (p *exploding) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	p.fuse()
	return p.Studio.List(ctx, in)
}

func (p *exploding) Create(ctx context.Context, in nimble.CreateInput) (transport.Session, error) {
	p.fuse()
	return p.Studio.Create(ctx, in)
}

func (p *exploding) Delete(ctx context.Context, in nimble.DeleteInput) (transport.Session, error) {
	p.fuse()
	return p.Studio.Delete(ctx, in)
}

// A panic in any action becomes an answer. The connection stays open, and nothing
// changes.
func TestPanicsOfEveryAction(t *testing.T) {
	t.Parallel()
	p := &exploding{Studio: studio.New(studio.Config{})}
	p.Add(lab, ws1)
	server, h := listen(t, nimble.Handler(p, nimble.HandlerConfig{}))
	const session = listPath + "/ws-1"
	for _, lit := range []bool{true, false} {
		p.lit = lit
		for _, on := range [][2]string{{"POST", startPath}, {"GET", session}, {"GET", listPath}, {"POST", session + "/stop"}, {"POST", listPath}, {"DELETE", session}} {
			r, err := http.NewRequestWithContext(t.Context(), on[0], server.URL+on[1], nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := h.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if lit != (resp.StatusCode == 500 && resp.Header.Get("X-Amzn-ErrorType") == "InternalServerErrorException" && json.Valid(body)) || bytes.Contains(body, []byte("nil map")) {
				t.Errorf("%s, lit %v: %d %v %s", on, lit, resp.StatusCode, resp.Header, body)
			}
		}
		if n := p.Effects(ref) + p.Calls(studio.Create); lit && n != 0 || !lit && n != 2 {
			t.Errorf("lit %v: %d effects", lit, n)
		}
	}
}

// The start takes effect and its answer is lost, as on a real network.
func TestLostAnswersAreLost(t *testing.T) {
	t.Parallel()
	s := studio.New(studio.Config{Intercept: func(c studio.Call) studio.Fault { return studio.Fault{Lost: c.Action == studio.Start} }})
	s.Add(lab, ws1)
	client := joined(t, s)
	e := errorOf(t, start(t.Context(), client))
	if e.Kind != transport.KindUnknown || e.NotSent || e.HTTPStatusCode != 0 || s.Effects(ref) != 1 {
		t.Errorf("%v, %d effects", e, s.Effects(ref))
	}
}

// A time that JSON cannot express becomes an internal error.
func TestAnswersThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := studio.New(studio.Config{})
	s.Put(transport.Session{Ref: ref, State: "READY", StartedAt: time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)})
	wantStatus := func(answer *httptest.ResponseRecorder) {
		t.Helper()
		if answer.Code != 500 || answer.Header().Get("X-Amzn-ErrorType") != "InternalServerErrorException" {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
	}
	wantStatus(ask(t, open(s), "GET", strings.TrimSuffix(startPath, "/start"), ""))
	wantStatus(ask(t, open(s), "GET", listPath, ""))
}

// Both sides have the same clock in a bubble, and tokens work as elsewhere.
func TestReplayIsHarmless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := studio.New(studio.Config{})
		s.Add(lab, ws1)
		h := nimble.Handler(s, nimble.HandlerConfig{Credentials: nimble.Keys(credentials), Region: region})
		made := time.Now()
		for range 5 {
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, signing{off: time.Until(made)}.request(t))
			if answer.Code != http.StatusOK {
				t.Fatalf("%v later: %d %s", time.Since(made), answer.Code, answer.Body)
			}
			time.Sleep(time.Minute)
		}
		if n := s.Effects(ref); n != 1 {
			t.Errorf("%d effects", n)
		}
		time.Sleep(time.Minute)
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, signing{off: time.Until(made)}.request(t))
		if answer.Code != http.StatusForbidden {
			t.Errorf("%v later: %d", time.Since(made), answer.Code)
		}
	})
}

func TestListTravels(t *testing.T) {
	t.Parallel()
	s := studio.New(studio.Config{})
	for i := range 120 {
		s.Add(lab, fmt.Sprintf("ws-%03d", i))
	}
	client := joined(t, s)
	in := transport.ListInput{StudioID: lab}
	var ids []string
	for range 5 {
		page, err := client.List(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, session := range page.Sessions {
			ids = append(ids, session.SessionID)
			if session.StudioID != lab || session.Date.IsZero() {
				t.Fatalf("%+v", session)
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == "" {
			break
		}
	}
	if len(ids) != 120 || ids[119] != "ws-119" {
		t.Errorf("%d sessions: %v", len(ids), ids)
	}
	in = transport.ListInput{StudioID: lab, OwnedBy: "nobody"}
	if page, err := client.List(t.Context(), in); err != nil || len(page.Sessions) != 0 {
		t.Errorf("%d sessions of an unknown owner, %v", len(page.Sessions), err)
	}
}
