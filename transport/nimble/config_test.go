package nimble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

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
			_, err := client.Delete(t.Context(), nimble.DeleteInput{Ref: ref})
			return err
		}, "DELETE", sessions + "/ws-1", "", "", true},
		{func() error {
			_, err := client.Create(t.Context(), nimble.CreateInput{StudioID: lab, LaunchProfileID: "lp", Tags: map[string]string{"a": "b"}})
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

// The client refuses invalid input before it sends anything.
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
		"delete":          func() error { _, err := client.Delete(t.Context(), nimble.DeleteInput{Ref: bad}); return err },
		"delete, token": func() error {
			_, err := client.Delete(t.Context(), nimble.DeleteInput{Ref: ref, ClientToken: strings.Repeat("x", 65)})
			return err
		},
		"create": func() error { _, err := client.Create(t.Context(), nimble.CreateInput{}); return err },
		"list":   func() error { _, err := client.List(t.Context(), transport.ListInput{}); return err },
		"list, empty id": func() error {
			_, err := client.List(t.Context(), transport.ListInput{StudioID: lab, SessionIDs: []string{""}})
			return err
		},
		"list, comma": func() error {
			_, err := client.List(t.Context(), transport.ListInput{StudioID: lab, SessionIDs: []string{"a,b"}})
			return err
		},
		"list, too many": func() error {
			_, err := client.List(t.Context(), transport.ListInput{StudioID: lab, SessionIDs: slices.Repeat([]string{"a"}, 101)})
			return err
		},
		"batch, too large": func() error { _, err := client.BatchGet(t.Context(), make([]transport.Ref, 101)); return err },
	} {
		if e := errorOf(t, call()); e.Kind != transport.KindInvalid || !e.NotSent {
			t.Errorf("%s: %v (not sent %v), want invalid, not sent", name, e, e.NotSent)
		}
	}
}

// A client that cannot send says what is missing, and does not refuse the request.
func TestNotConfigured(t *testing.T) {
	t.Parallel()
	leaky := errors.New("parse failed: {\"SecretAccessKey\":\"" + secret + "\"}")
	for name, row := range map[string]struct {
		set  func(*nimble.Options)
		kind transport.Kind
		says string
	}{
		"no endpoint":       {func(o *nimble.Options) { o.BaseEndpoint = nil }, transport.KindUnreachable, "BaseEndpoint"},
		"empty endpoint":    {func(o *nimble.Options) { o.BaseEndpoint = aws.String("") }, transport.KindUnreachable, "BaseEndpoint"},
		"endpoint, no host": {func(o *nimble.Options) { o.BaseEndpoint = aws.String("studio:80") }, transport.KindUnreachable, "not an http"},
		"endpoint, scheme":  {func(o *nimble.Options) { o.BaseEndpoint = aws.String("ftp://x") }, transport.KindUnreachable, "not an http"},
		"endpoint, rotten":  {func(o *nimble.Options) { o.BaseEndpoint = aws.String("http://u:" + secret + "@%zz") }, transport.KindUnreachable, "not an http"},
		"no region":         {func(o *nimble.Options) { o.Region = "" }, transport.KindUnreachable, "Region"},
		"no credentials":    {func(o *nimble.Options) { o.Credentials = nil }, transport.KindCredentials, "no credentials"},
		"rotten credentials": {func(o *nimble.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, leaky })
		}, transport.KindCredentials, "no credentials"},
		"expired login": {func(o *nimble.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, &smithy.GenericAPIError{Code: "UnauthorizedException", Message: secret}
			})
		}, transport.KindCredentials, "UnauthorizedException"},
		"login cancelled": {func(o *nimble.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, context.Canceled })
		}, transport.KindUnknown, "interrupted while credentials"},
		"key with a line break": {func(o *nimble.Options) {
			o.Credentials = provide(aws.Credentials{AccessKeyID: secret + "\n", SecretAccessKey: secret})
		}, transport.KindCredentials, "line break"},
		"session token with a line break": {func(o *nimble.Options) {
			o.Credentials = provide(aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: secret, SessionToken: secret + "\r\nX: y"})
		}, transport.KindCredentials, "line break"},
		"region with a line break": {func(o *nimble.Options) { o.Region = "us-west-2\n" }, transport.KindUnreachable, "Region"},
		"rotten middleware": {func(o *nimble.Options) {
			o.APIOptions = append(o.APIOptions, func(*middleware.Stack) error { return errors.New("no such step") })
		}, transport.KindUnreachable, "no such step"},
		"failing middleware": {func(o *nimble.Options) {
			o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
				return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Fail", func(context.Context, middleware.FinalizeInput, middleware.FinalizeHandler) (out middleware.FinalizeOutput, md middleware.Metadata, err error) {
					return out, md, errors.New("no floor is free")
				}), middleware.After)
			})
		}, transport.KindUnknown, "no floor is free"},
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

// A middleware of the host may replace a request or an answer by a value of any type. The
// error names the type, and has NotSent only if nothing was sent.
func TestStrangeMiddleware(t *testing.T) {
	t.Parallel()
	finalize := func(step string, where middleware.RelativePosition, strange func(*smithyhttp.Request) any) func(*middleware.Stack) error {
		return func(stack *middleware.Stack) error {
			return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Strange", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				in.Request = strange(in.Request.(*smithyhttp.Request))
				return next.HandleFinalize(ctx, in)
			}), step, where)
		}
	}
	text := func(*smithyhttp.Request) any { return "a text" }
	body := func(stream io.Reader) func(*smithyhttp.Request) any {
		return func(req *smithyhttp.Request) any {
			req, err := req.SetStream(stream)
			if err != nil {
				t.Error(err)
			}
			return req
		}
	}
	dark := iotest.ErrReader(errors.New("the cellar is dark"))
	for name, row := range map[string]struct {
		add  func(*middleware.Stack) error
		says string
		sent bool
	}{
		"before the input is written": {func(stack *middleware.Stack) error {
			return stack.Serialize.Add(middleware.SerializeMiddlewareFunc("Strange", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
				in.Request = "a text"
				return next.HandleSerialize(ctx, in)
			}), middleware.Before)
		}, "a request of type string", false},
		"another input": {func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Strange", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				in.Parameters = "a text"
				return next.HandleInitialize(ctx, in)
			}), middleware.Before)
		}, "an input of type string", false},
		"before the endpoint":          {finalize("ResolveEndpointV2", middleware.Before, text), "a request of type string", false},
		"before the signature":         {finalize("Signing", middleware.Before, text), "a request of type string", false},
		"a body that fails":            {finalize("Signing", middleware.Before, body(dark)), "read body: the cellar is dark", false},
		"a body that can be read once": {finalize("Signing", middleware.Before, body(io.MultiReader(strings.NewReader("{}")))), "rewind body", false},
		"a signed body, that fails":    {finalize("Signing", middleware.After, body(dark)), "the cellar is dark", false},
		"behind the answer": {func(stack *middleware.Stack) error {
			return stack.Deserialize.Insert(middleware.DeserializeMiddlewareFunc("Strange", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
				out, md, err := next.HandleDeserialize(ctx, in)
				out.RawResponse = "a text"
				return out, md, err
			}), "OperationDeserializer", middleware.After)
		}, "an answer of type string", true},
	} {
		client := answering(t, say(200, good), func(o *nimble.Options) { o.APIOptions = append(o.APIOptions, row.add) })
		err := start(t.Context(), client)
		if e := errorOf(t, err); e.Kind != transport.KindUnknown || e.NotSent == row.sent || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v (kind %v, not sent %v), want one that says %q", name, err, e.Kind, e.NotSent, row.says)
		}
	}
}

// A provider's refusal of a signature may quote the text that was signed.
func TestCredentialsAreNotQuoted(t *testing.T) {
	t.Parallel()
	client := answering(t, say(403, `{"message":"The Canonical String should have been 'x-amz-security-token:`+secret+`'","context":{"c":"`+secret+`"}}`,
		"X-Amzn-ErrorType", "InvalidSignatureException"))
	err := start(t.Context(), client)
	e := errorOf(t, err)
	if e.Kind != transport.KindCredentials || e.Code != "InvalidSignatureException" || e.Message == "" {
		t.Errorf("%v", err)
	}
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		if strings.Contains(fmt.Sprintf("%v %+v", cause, cause), secret) {
			t.Errorf("%T quotes the session token", cause)
		}
	}
}

// A server may echo a request in any answer.
func TestEchoedCredentialsAreNotTold(t *testing.T) {
	t.Parallel()
	key := aws.Credentials{AccessKeyID: "AKIDECHOED", SecretAccessKey: secret, SessionToken: "session/token+=echoed"}
	echo := func(status int, form string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			sent := fmt.Sprint(secret, " ", r.Header.Get("X-Amz-Security-Token"), " ", r.Header)
			quoted := sent + strings.ReplaceAll(sent, `/`, `\/`)
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1]+r.Header.Get("Authorization")+r.Header.Get("X-Amz-Security-Token"))
			}
			say(status, strings.ReplaceAll(form, "ECHO", quoted))(w, r)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"message": echo(403, `{"code":"AccessDeniedException","message":"ECHO"}`),
		"code":    echo(409, `{"code":"ECHO","message":"x","context":{"ECHO":"ECHO"}}`, "X-Amzn-RequestId", "id "),
		"type":    echo(409, `{}`, "X-Amzn-ErrorType", "Odd "),
		"page":    echo(502, "ECHO", "Content-Type", "text/html ", "Location", "/?"),
		"rotten":  echo(200, `{"session":{"createdAt":"ECHO"}}`),
		"another": echo(200, `{"session":{"sessionId":"ECHO"}}`),
		"session": echo(200, `{"session":{"state":"ECHO","statusMessage":"ECHO","tags":{"ECHO":"ECHO"}}}`),
	} {
		client := answering(t, answer, func(o *nimble.Options) { o.Credentials = provide(key) })
		got, err := client.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "token"})
		said := fmt.Sprint(got.State, got.StatusMessage, got.Tags, err)
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			said += fmt.Sprintf(" %v %+v", cause, cause)
		}
		if !strings.Contains(said, "[secret]") {
			t.Errorf("%s: nothing was echoed: %s", name, said)
		}
		for _, canary := range []string{"AKIDECHOED", secret, "K7MDENG", "token+=echoed"} {
			if strings.Contains(said, canary) {
				t.Errorf("%s: %s is shown: %s", name, canary, said)
			}
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
	if err := start(t.Context(), client); !errors.Is(err, transport.KindInternal) {
		t.Error(err)
	}
	if got, want := strings.Join(steps, " "), "nimble 1s StartStreamingSession transport.StartInput"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	want := transport.Traits{Repeat: transport.RepeatByToken, TokenMemory: time.Hour, StaleFor: time.Second, MaxBatch: 100}
	if got := client.Traits(ref); got != want {
		t.Errorf("traits %+v, want %+v", got, want)
	}
	if !strings.Contains(log.String(), "X-Amz-Studio-Floor: 3") || !strings.Contains(log.String(), "500 Internal Server Error") {
		t.Errorf("the log lacks the request or the answer:\n%s", log.String())
	}
	copied := client.Options()
	copied.APIOptions[0] = nil
	if client.Options().APIOptions[0] == nil {
		t.Error("Options shares its slice with the client")
	}
}

// A middleware may return a result of its own, but only of the right type.
func TestMiddlewareThatAnswers(t *testing.T) {
	t.Parallel()
	for _, answer := range []any{transport.Session{Ref: ref}, nil, "READY"} {
		client := dial("http://studio.invalid", nil, func(o *nimble.Options) {
			o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
				return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Answer", func(context.Context, middleware.FinalizeInput, middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
					return middleware.FinalizeOutput{Result: answer}, middleware.Metadata{}, nil
				}), middleware.Before)
			})
		})
		got, err := client.Get(t.Context(), ref)
		if _, right := answer.(transport.Session); right {
			if err != nil || got.Ref != ref {
				t.Errorf("%v, %v", got.Ref, err)
			}
		} else if e := errorOf(t, err); e.Kind != transport.KindUnknown {
			t.Errorf("%v: %v", answer, err)
		}
	}
}

// signedAt returns the date of a request's signature.
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
		want  time.Duration // how far the second request's date is off
	}{
		"ahead":                     {first: said(403, "RequestTimeTooSkewed", far), want: far},
		"behind":                    {first: said(403, "InvalidSignatureException", -far), want: -far},
		"within":                    {first: said(403, "InvalidSignatureException", 3*time.Minute)},
		"another code":              {first: said(403, "AccessDeniedException", far)},
		"from a cache":              {first: said(403, "RequestTimeTooSkewed", far, "Age", "1")},
		"not the provider's answer": {first: said(403, "", far)},
		"switched off":              {first: said(403, "RequestTimeTooSkewed", far), set: func(o *nimble.Options) { o.DisableClockSkewCorrection = true }},
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
	t.Run("forgotten", func(t *testing.T) {
		t.Parallel()
		var off atomic.Int64
		answers, _ := inTurn(said(403, "RequestTimeTooSkewed", 200*365*24*time.Hour), func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Date"] = nil // an answer without a date
			refuse(403, "InvalidSignatureException")(w, r)
		}, func(w http.ResponseWriter, r *http.Request) {
			off.Store(int64(time.Until(signedAt(t, r))))
			say(200, good)(w, r)
		})
		client := answering(t, answers)
		for range 2 {
			if err := start(t.Context(), client); err == nil {
				t.Error("no error")
			}
		}
		if err := start(t.Context(), client); err != nil || time.Duration(off.Load()).Abs() > time.Minute {
			t.Errorf("signed with a date %v off, %v", time.Duration(off.Load()), err)
		}
	})
	t.Run("with a Retryer in one call", func(t *testing.T) {
		t.Parallel()
		answers, requests := inTurn(said(403, "RequestTimeTooSkewed", far), say(200, good))
		if err := start(t.Context(), answering(t, answers, eager)); err != nil || requests.Load() != 2 {
			t.Errorf("%d requests, %v", requests.Load(), err)
		}
	})
}
