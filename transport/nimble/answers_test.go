package nimble_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

const good = `{"session":{"sessionId":"ws-1","state":"READY"}}`

// say returns a handler that answers with a status, pairs of headers, and a body.
func say(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func start(ctx context.Context, c *nimble.Client) error {
	_, err := c.Start(ctx, transport.StartInput{Ref: ref, ClientToken: "token"})
	return err
}

// The answer of a proxy between the client and the service refuses nothing. The outcome
// of a send is unknown after it.
func TestForeignAnswers(t *testing.T) {
	t.Parallel()
	const page = "<!DOCTYPE html><html><body>Please log in</body></html>"
	html := []string{"Content-Type", "text/html"}
	for name, answer := range map[string]http.HandlerFunc{
		"200 page":              say(200, page, html...),
		"200 empty":             say(200, ""),
		"200 spaces":            say(200, " \r\n"),
		"200 other object":      say(200, `{"ok":true}`),
		"200 session of null":   say(200, `{"session":null}`),
		"200 empty session":     say(200, `{"session":{}}`),
		"200 other session":     say(200, `{"session":{"id":"8f3a","authenticated":false,"state":null}}`),
		"200 null":              say(200, `null`),
		"200 array":             say(200, `[{"session":{}}]`),
		"200 text":              say(200, `"session"`),
		"200 not JSON":          say(200, `{session: ready} and more`),
		"200 list":              say(200, `{"session":[}`+page),
		"201 session":           say(201, good),
		"202 accepted":          say(202, good),
		"204 nothing":           say(204, ""),
		"206 part":              say(206, good),
		"301 redirect":          say(301, "", "Location", "/elsewhere"),
		"302 portal":            say(302, page, "Location", "/elsewhere"),
		"302 no location":       say(302, page),
		"303 see other":         say(303, "", "Location", "/elsewhere"),
		"307 keep the method":   say(307, "", "Location", "/elsewhere"),
		"308 keep the method":   say(308, "", "Location", "/elsewhere"),
		"304 not modified":      say(304, ""),
		"400 page":              say(400, page, html...),
		"401 page":              say(401, page, html...),
		"402 page":              say(402, page, html...),
		"403 page":              say(403, page, html...),
		"403 message":           say(403, `{"message":"Forbidden"}`),
		"403 code is a number":  say(403, `{"code":403,"message":"blocked"}`),
		"403 code of another":   say(403, `{"code":"blocked_by_policy"}`),
		"404 page":              say(404, page, html...),
		"404 empty":             say(404, ""),
		"407 proxy":             say(407, page, "Proxy-Authenticate", "Basic"),
		"409 empty":             say(409, ""),
		"413 page":              say(413, page),
		"429 page":              say(429, page, "Retry-After", "5"),
		"451 page":              say(451, page),
		"500 page":              say(500, page, html...),
		"502 gateway":           say(502, "Bad Gateway"),
		"503 load balancer":     say(503, "no server is available", "Retry-After", "1"),
		"504 gateway":           say(504, ""),
		"511 portal":            say(511, page, html...),
		"600 nonsense":          say(600, page),
		"403 type is a number":  say(403, `{"__type":7}`),
		"403 error type is ':'": say(403, "", "X-Amzn-ErrorType", ":"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			client := answering(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if r.URL.Path == "/elsewhere" {
					_, _ = io.WriteString(w, good)
					return
				}
				answer(w, r)
			})
			_, getErr := client.Get(t.Context(), ref)
			_, listErr := client.List(t.Context(), transport.ListInput{StudioID: lab})
			for action, err := range map[string]error{"Start": start(t.Context(), client), "Get": getErr, "List": listErr} {
				e := errorOf(t, err)
				if e.Kind != transport.KindUnreachable || e.NotSent {
					t.Errorf("%s: %v (kind %v, not sent %v), want unreachable, sent", action, err, e.Kind, e.NotSent)
				}
				if !e.Date.IsZero() || e.RetryAfter != 0 {
					t.Errorf("%s: date %v and Retry-After %v of an answer that is not the provider's are used", action, e.Date, e.RetryAfter)
				}
			}
			if calls.Load() != 3 {
				t.Errorf("%d requests for 3 calls", calls.Load())
			}
		})
	}
}

// After a 200 that may be the service's and cannot be read, the outcome is unknown.
func TestUnreadableAnswers(t *testing.T) {
	t.Parallel()
	rows := map[string]http.HandlerFunc{
		"cut in the JSON":      say(200, good[:30]),
		"another session":      say(200, `{"session":{"sessionId":"ws-2","state":"READY"}}`),
		"session is text":      say(200, `{"session":"READY"}`),
		"session is a list":    say(200, `{"session":[]}`),
		"session is a boolean": say(200, `{"session":true}`),
		"one byte":             say(200, `{`),
		"shorter than Content-Length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, good)
		},
		"nothing of the body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(200)
		},
		"not gzip": say(200, good, "Content-Encoding", "gzip"),
		"error cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(403)
			_, _ = io.WriteString(w, `{"mess`)
		},
	}
	for _, member := range []string{
		`"state":1`, `"state":{}`, `"tags":[]`, `"tags":{"a":1}`, `"sessionId":5`, `"arn":false`, `"statusCode":["X"]`,
		`"createdAt":"yesterday"`, `"createdAt":{}`, `"createdAt":true`, `"startedAt":1e300`, `"startedAt":-1e18`,
		`"updatedAt":"2026-13-01T00:00:00Z"`, `"stoppedAt":"1700000000"`, `"stopAt":[]`, `"terminateAt":253402300800`,
		`"createdAt":"9999-12-31T23:59:59-23:59"`, `"createdAt":"0000-01-01T00:00:00+00:01"`,
	} {
		rows[member] = say(200, `{"session":{`+member+`}}`)
	}
	for name, answer := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := answering(t, answer)
			e := errorOf(t, start(t.Context(), client))
			if e.Kind != transport.KindUnknown || e.NotSent {
				t.Errorf("%v (kind %v, not sent %v), want an unknown outcome", e, e.Kind, e.NotSent)
			}
		})
	}
}

func TestUnreadableLists(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"sessions is text":         `{"sessions":"none"}`,
		"a session is text":        `{"sessions":["ws-1"]}`,
		"token is a number":        `{"sessions":[],"nextToken":1}`,
		"cut":                      `{"sessions":[{"sessionId":"ws-1"},`,
		"a session cannot be read": `{"sessions":[{"sessionId":"ws-1"},{"createdAt":"never"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := answering(t, say(200, body)).List(t.Context(), transport.ListInput{StudioID: lab})
			if e := errorOf(t, err); e.Kind != transport.KindUnknown {
				t.Errorf("%v, want an unknown outcome", err)
			}
		})
	}
}

// The client reads an answer only to the limit, whether it has no end or is large after
// decompression.
func TestAnswersAreLimited(t *testing.T) {
	t.Parallel()
	const prefix = `{"session":{"sessionId":"ws-1","arn":"`
	var sent atomic.Int64
	endless := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, prefix)
		for r.Context().Err() == nil {
			n, err := io.WriteString(w, strings.Repeat("x", 32<<10))
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	bomb := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, prefix)
		for range 200 {
			_, _ = io.WriteString(z, strings.Repeat("x", 1<<20))
		}
		_ = z.Close()
	}
	for name, answer := range map[string]http.HandlerFunc{"endless": endless, "gzip bomb": bomb} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := errorOf(t, start(t.Context(), answering(t, answer)))
			if e.Kind != transport.KindUnknown || !strings.Contains(e.Error(), "larger than 1048576 bytes") {
				t.Errorf("%v (%v), want an unknown outcome that names the limit", e, e.Kind)
			}
		})
	}
	t.Run("endless error", func(t *testing.T) {
		t.Parallel()
		e := errorOf(t, start(t.Context(), answering(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Amzn-ErrorType", "ConflictException")
			w.WriteHeader(409)
			endless(w, r)
		})))
		if e.Kind != transport.KindConflict {
			t.Errorf("%v, want the error that the header names", e)
		}
	})
	t.Run("headers", func(t *testing.T) {
		t.Parallel()
		server, _ := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := range 32 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 64<<10))
			}
			_, _ = io.WriteString(w, good)
		}))
		for name, h := range map[string]aws.HTTPClient{"none given": nil, "the SDK's": awshttp.NewBuildableClient()} {
			if e := errorOf(t, start(t.Context(), dial(server.URL, h))); e.Kind != transport.KindUnknown || !strings.Contains(e.Error(), "exceeded 1048576 bytes") {
				t.Errorf("%s: %v (%v), want an unknown outcome that names the limit", name, e, e.Kind)
			}
		}
	})
	t.Cleanup(func() {
		if sent.Load() > 64<<20 {
			t.Errorf("the endless answers were read for %d bytes", sent.Load())
		}
	})
}

func TestKnownAndUnknownAnswers(t *testing.T) {
	t.Parallel()
	at := time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC)
	for body, want := range map[string]transport.Session{
		`{"sessionId":"ws-1"}`:           {},
		`{"state":"MELTING"}`:            {State: "MELTING"},
		`{"state":"READY","novelty":[]}`: {State: fsm.StateReady},
		`{"sessionId":"ws-1","state":null,"tags":null,"createdAt":null}`: {},
		`{"sessionId":"ws-1","createdAt":1700000000}`:                    {CreatedAt: at},
		`{"sessionId":"ws-1","createdAt":1.7e9}`:                         {CreatedAt: at},
		`{"sessionId":"ws-1","createdAt":1700000000.25}`:                 {CreatedAt: at.Add(250 * time.Millisecond)},
		`{"sessionId":"ws-1","createdAt":1700000000.123}`:                {CreatedAt: at.Add(123 * time.Millisecond)},
		`{"sessionId":"ws-1","createdAt":-0.5}`:                          {CreatedAt: time.Unix(0, -5e8).UTC()},
		`{"sessionId":"ws-1","createdAt":0}`:                             {CreatedAt: time.Unix(0, 0).UTC()},
		`{"sessionId":"ws-1","createdAt":""}`:                            {},
		`{"sessionId":"ws-1","createdAt":"2023-11-14T22:13:20Z"}`:        {CreatedAt: at},
		`{"sessionId":"ws-1","createdAt":"2023-11-14T22:13:20.000001Z"}`: {CreatedAt: at.Add(time.Microsecond)},
		`{"sessionId":"ws-1","createdAt":"2023-11-15T00:13:20+02:00"}`:   {CreatedAt: at},
		`{"sessionId":"ws-1","createdAt":"2023-11-14T22:13:20"}`:         {CreatedAt: at},
	} {
		got, err := answering(t, say(200, `{"session":`+body+`,"more":1}`)).Get(t.Context(), ref)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		want.Ref, got.Date = ref, time.Time{} // an answer without an id is about the session asked for
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", body, got, want)
		}
	}
}

// errors are the service's errors, by their code.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	typed := func(status int, code string) http.HandlerFunc {
		return say(status, `{"message":"why"}`, "X-Amzn-ErrorType", code)
	}
	const capacity = `{"message":"why","code":"INSUFFICIENT_CAPACITY"}`
	for _, row := range []struct {
		name   string
		answer http.HandlerFunc
		kind   transport.Kind
		code   string
	}{
		{"access", typed(403, "AccessDeniedException"), transport.KindAccessDenied, "AccessDeniedException"},
		{"conflict", typed(409, "ConflictException"), transport.KindConflict, "ConflictException"},
		{"internal", typed(500, "InternalServerErrorException"), transport.KindInternal, "InternalServerErrorException"},
		{"not found", typed(404, "ResourceNotFoundException"), transport.KindNotFound, "ResourceNotFoundException"},
		{"quota", typed(402, "ServiceQuotaExceededException"), transport.KindQuotaExceeded, "ServiceQuotaExceededException"},
		{"throttled", typed(429, "ThrottlingException"), transport.KindThrottled, "ThrottlingException"},
		{"invalid", typed(400, "ValidationException"), transport.KindInvalid, "ValidationException"},
		{"capacity", say(402, capacity, "X-Amzn-ErrorType", "ServiceQuotaExceededException"), transport.KindCapacity, "ServiceQuotaExceededException"},
		{"capacity code of another error", say(409, capacity, "X-Amzn-ErrorType", "ConflictException"), transport.KindConflict, "ConflictException"},

		{"cut at the colon", typed(409, "ConflictException:http://internal.amazon.com/x/"), transport.KindConflict, "ConflictException"},
		{"cut after the hash", typed(409, "com.amazonaws.nimble#ConflictException"), transport.KindConflict, "ConflictException"},
		{"both", typed(409, "ns#ConflictException:http://x/#y"), transport.KindConflict, "ConflictException"},
		{"by __type", say(409, `{"__type":"ns#ConflictException","Message":"why"}`), transport.KindConflict, "ConflictException"},
		{"by code", say(409, `{"code":"ConflictException","message":"why"}`), transport.KindConflict, "ConflictException"},
		{"unknown code with a request id", say(409, `{"code":"Odd","message":"why"}`, "X-Amzn-RequestId", "r"), transport.KindConflict, "Odd"},

		{"expired", typed(403, "ExpiredTokenException"), transport.KindCredentials, "ExpiredTokenException"},
		{"expired, short", typed(400, "ExpiredToken"), transport.KindCredentials, "ExpiredToken"},
		{"unknown key", typed(403, "UnrecognizedClientException"), transport.KindCredentials, "UnrecognizedClientException"},
		{"signature", typed(403, "InvalidSignatureException"), transport.KindCredentials, "InvalidSignatureException"},
		{"signature, S3's", typed(403, "SignatureDoesNotMatch"), transport.KindCredentials, "SignatureDoesNotMatch"},
		{"old request", typed(400, "RequestExpired"), transport.KindCredentials, "RequestExpired"},
		{"incomplete", typed(400, "IncompleteSignature"), transport.KindCredentials, "IncompleteSignature"},
		{"no token", typed(403, "MissingAuthenticationToken"), transport.KindCredentials, "MissingAuthenticationToken"},
		{"no token, long", typed(403, "MissingAuthenticationTokenException"), transport.KindCredentials, "MissingAuthenticationTokenException"},
		{"client token id", typed(403, "InvalidClientTokenId"), transport.KindCredentials, "InvalidClientTokenId"},
		{"skewed", typed(403, "RequestTimeTooSkewed"), transport.KindCredentials, "RequestTimeTooSkewed"},
		{"auth failure", typed(401, "AuthFailure"), transport.KindCredentials, "AuthFailure"},

		{"unavailable", typed(503, "ServiceUnavailable"), transport.KindInternal, "ServiceUnavailable"},
		{"request time-out", typed(408, "RequestTimeout"), transport.KindInternal, "RequestTimeout"},
		{"other throttle", typed(400, "TooManyRequestsException"), transport.KindThrottled, "TooManyRequestsException"},
		{"throttled by 503", typed(503, "SlowDown"), transport.KindThrottled, "SlowDown"},
		{"no such operation", typed(404, "UnknownOperationException"), transport.KindInvalid, "UnknownOperationException"},

		// A failing server's answer is not used as a refusal.
		{"500 that denies", typed(500, "AccessDeniedException"), transport.KindInternal, "AccessDeniedException"},
		{"500 that blames the key", typed(502, "ExpiredTokenException"), transport.KindInternal, "ExpiredTokenException"},

		{"odd 400", typed(400, "Odd"), transport.KindInvalid, "Odd"},
		{"odd 401", typed(401, "Odd"), transport.KindCredentials, "Odd"},
		{"odd 402", typed(402, "Odd"), transport.KindQuotaExceeded, "Odd"},
		{"odd 403", typed(403, "Odd"), transport.KindAccessDenied, "Odd"},
		{"odd 404", typed(404, "Odd"), transport.KindNotFound, "Odd"},
		{"odd 407", typed(407, "Odd"), transport.KindUnreachable, "Odd"},
		{"odd 408", typed(408, "Odd"), transport.KindInternal, "Odd"},
		{"odd 409", typed(409, "Odd"), transport.KindConflict, "Odd"},
		{"odd 413", typed(413, "Odd"), transport.KindInvalid, "Odd"},
		{"odd 429", typed(429, "Odd"), transport.KindThrottled, "Odd"},
		{"odd 302", typed(302, "Odd"), transport.KindUnreachable, "Odd"},
		{"odd 501", typed(501, "Odd"), transport.KindInternal, "Odd"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := start(t.Context(), answering(t, row.answer))
			e := errorOf(t, err)
			if e.Kind != row.kind || e.Code != row.code || e.NotSent {
				t.Errorf("%v: kind %v, code %q, not sent %v; want %v, %q, false", err, e.Kind, e.Code, e.NotSent, row.kind, row.code)
			}
			if e.Kind.Protocol() && e.Date.IsZero() {
				t.Error("the provider's date is lost")
			}
			var api smithy.APIError
			if !errors.As(err, &api) || api.ErrorCode() != row.code || api.ErrorMessage() != e.Message {
				t.Errorf("smithy.APIError is %v, want code %q and the message", api, row.code)
			}
			if fault := smithy.FaultServer; (api.ErrorFault() == fault) != (e.HTTPStatusCode >= 500) {
				t.Errorf("HTTP %d is a %v fault", e.HTTPStatusCode, api.ErrorFault())
			}
		})
	}
}

func TestErrorsCarryTheAnswer(t *testing.T) {
	t.Parallel()
	err := start(t.Context(), answering(t, say(404,
		`{"message":"no \u001b[31msuch\r\nthing \u202e","code":"X","context":{"resourceId":"ws-1","n":"a\nb"},"extra":[1]}`,
		"X-Amzn-ErrorType", "ResourceNotFoundException", "X-Amzn-RequestId", "req-1", "Date", "Wed, 04 Mar 2026 05:06:07 GMT")))
	e := errorOf(t, err)
	if e.Message != "no [31msuch thing" {
		t.Errorf("message %q is not clean", e.Message)
	}
	if e.RequestID != "req-1" || e.HTTPStatusCode != 404 || e.Context["resourceId"] != "ws-1" || e.Context["n"] != "a b" {
		t.Errorf("request %q, status %d, context %v", e.RequestID, e.HTTPStatusCode, e.Context)
	}
	if want := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC); !e.Date.Equal(want) {
		t.Errorf("date %v, want %v", e.Date, want)
	}
	var operation *smithy.OperationError
	var response *awshttp.ResponseError
	if !errors.As(err, &operation) || operation.OperationName != "StartStreamingSession" {
		t.Errorf("no *smithy.OperationError of StartStreamingSession in %v", err)
	}
	if !errors.As(err, &response) || response.ServiceRequestID() != "req-1" || response.HTTPStatusCode() != 404 {
		t.Errorf("no *awshttp.ResponseError with the answer in %v", err)
	}
	if text := err.Error(); text != "not found: ResourceNotFoundException: no [31msuch thing (HTTP 404, request req-1)" {
		t.Errorf("text %q", text)
	}
}

func TestLongAndCorruptErrors(t *testing.T) {
	t.Parallel()
	members := strings.Repeat(`"k`+strings.Repeat("x", 300)+`%d":"`+strings.Repeat("é", 400)+`",`, 1)
	var context strings.Builder
	for i := range 40 {
		fmt.Fprintf(&context, members, i)
	}
	body := `{"message":"` + strings.Repeat("é", 600) + `","context":{` + strings.TrimSuffix(context.String(), ",") + `}}`
	e := errorOf(t, start(t.Context(), answering(t, say(409, body, "X-Amzn-ErrorType", "ConflictException"))))
	if len(e.Message) > 512 || strings.Trim(e.Message, "é") != "…" || len(e.Context) > 16 {
		t.Errorf("message of %d bytes, %d contexts: %q", len(e.Message), len(e.Context), e.Message)
	}
	for _, body := range []string{``, `[`, `{"message":5,"context":"x","code":[]}`, `{"context":{"a":1}}`, `{"context":{}}`, "\xff"} {
		e := errorOf(t, start(t.Context(), answering(t, say(409, body, "X-Amzn-ErrorType", "ConflictException"))))
		if e.Kind != transport.KindConflict || e.Message != "Conflict" || e.Context != nil {
			t.Errorf("%s: kind %v, message %q, context %v", body, e.Kind, e.Message, e.Context)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const date = "Wed, 04 Mar 2026 05:06:07 GMT"
	for _, row := range []struct {
		headers []string
		want    time.Duration
	}{
		{nil, 0},
		{[]string{"Retry-After", "7"}, 7 * time.Second},
		{[]string{"Retry-After", " 7 "}, 7 * time.Second},
		{[]string{"Retry-After", "0"}, 0},
		{[]string{"Retry-After", "-7"}, 0},
		{[]string{"Retry-After", "soon"}, 0},
		{[]string{"Retry-After", "1.5"}, 0},
		{[]string{"Retry-After", "9223372036854775807"}, 24 * time.Hour},
		{[]string{"Retry-After", "99999999999999999999"}, 0},
		{[]string{"Date", date, "Retry-After", "Wed, 04 Mar 2026 05:06:37 GMT"}, 30 * time.Second},
		{[]string{"Date", date, "Retry-After", "Wed, 04 Mar 2026 05:00:00 GMT"}, 0},
		{[]string{"Date", date, "Retry-After", "Thu, 04 Mar 2060 05:00:00 GMT"}, 24 * time.Hour},
		{[]string{"Date", date, "Age", "9", "Retry-After", "Thu, 04 Mar 2060 05:00:00 GMT"}, 24 * time.Hour},
		{[]string{"X-Amz-Retry-After", "1500"}, 1500 * time.Millisecond},
		{[]string{"X-Amz-Retry-After", "-1"}, 0},
		{[]string{"X-Amz-Retry-After", "9223372036854775807"}, 24 * time.Hour},
		{[]string{"X-Amz-Retry-After", "1500", "Retry-After", "7"}, 7 * time.Second},
	} {
		headers := append([]string{"X-Amzn-ErrorType", "ThrottlingException"}, row.headers...)
		e := errorOf(t, start(t.Context(), answering(t, say(429, "", headers...))))
		if e.RetryAfter != row.want {
			t.Errorf("%v: %v, want %v", row.headers, e.RetryAfter, row.want)
		}
	}
}

func TestDateOfACacheIsNotBelieved(t *testing.T) {
	t.Parallel()
	got, err := answering(t, say(200, good, "Age", "30")).Get(t.Context(), ref)
	if err != nil || !got.Date.IsZero() {
		t.Errorf("date %v, %v; want none", got.Date, err)
	}
	got, err = answering(t, say(200, good, "Date", "today")).Get(t.Context(), ref)
	if err != nil || !got.Date.IsZero() {
		t.Errorf("date %v, %v; want none", got.Date, err)
	}
}

// A session's status has a limited length and no control characters for terminals when it
// reaches the host.
func TestStatusIsPrintable(t *testing.T) {
	t.Parallel()
	message := `\u001b[2J\u0000 melting ` + strings.Repeat("x", 10_000)
	client := answering(t, say(200, `{"session":{"sessionId":"ws","state":"START_FAILED","statusCode":"C\u0007","statusMessage":"`+message+`"}}`))
	got, err := client.Get(t.Context(), transport.Ref{StudioID: lab, SessionID: "ws"})
	if err != nil || got.StatusCode != "C" || len(got.StatusMessage) > 512 || !strings.HasPrefix(got.StatusMessage, "[2J melting x") {
		t.Errorf("%q %.40q of %d bytes, %v", got.StatusCode, got.StatusMessage, len(got.StatusMessage), err)
	}
}
