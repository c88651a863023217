package nimble_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// canaries are secrets in every part of a request.
var canaries = aws.Credentials{
	AccessKeyID: "ASIACANARYOFTHEKEY", SecretAccessKey: "canary/of+the/secret", SessionToken: "canary/of+the/session+token==",
}

// birds are the parts of the canaries that must not be shown.
var birds = []string{canaries.SecretAccessKey, canaries.SessionToken, "canary-of-a-header", "canary-of-a-cookie"}

// book is a log for concurrent use.
type book struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func wantNoBirds(t *testing.T, what, text string, birds ...string) {
	t.Helper()
	for _, bird := range birds {
		if i := strings.Index(text, bird); i >= 0 {
			t.Errorf("%s: %s is shown: …%s", what, bird, text[max(0, i-80):])
		}
	}
}

// TestHandlerTellsNoSecrets sends wrong requests of many kinds. Neither the answer nor
// the log shows their credentials or headers. What the log does quote stays on one line.
func TestHandlerTellsNoSecrets(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]func(*book) slog.Handler{
		"text": func(b *book) slog.Handler {
			return slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
		"JSON": func(b *book) slog.Handler {
			return slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
	} {
		var b book
		var fault error
		s := studio.New(studio.Config{Any: true, Intercept: func(studio.Call) studio.Fault { return studio.Fault{Err: fault} }})
		config := nimble.HandlerConfig{Credentials: nimble.Keys(canaries), Region: region, Logger: slog.New(log(&b))}
		h := nimble.Handler(s, config)
		plant := func(r *http.Request) {
			r.Header.Set("Cookie", "a=canary-of-a-cookie")
			r.Header.Set("X-Api-Key", "canary-of-a-header")
			r.Header.Set("X-Forwarded-For", "203.0.113.77, \"evil\"")
			r.Header.Set("User-Agent", "a\tb %s <script>")
		}
		told := 0
		ask := func(h http.Handler, made signing) {
			if made.key.AccessKeyID == "" {
				made.key = canaries
			}
			made.before = plant
			r := made.request(t)
			r.RemoteAddr = "192.0.2.1:4711"
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			said := fmt.Sprint(answer.Code, answer.Header(), answer.Body)
			wantNoBirds(t, name+" answer", said, append(birds, mac(r))...)
			for _, values := range answer.Header() {
				for _, v := range values {
					if strings.ContainsFunc(v, unicode.IsControl) {
						t.Errorf("a header of the answer is %q", v)
					}
				}
			}
			told++
		}
		for _, made := range []signing{
			{}, {off: time.Hour}, {region: "us-east-1"}, {service: "ec2"}, {after: set("X-Amz-Security-Token", canaries.SessionToken+"x")}, {after: drop("X-Amz-Security-Token")}, {after: drop("X-Amz-Date")},
			{after: set("X-Amz-Content-Sha256", hashOf("x"))}, {after: edit("Signature=", "Signature=0")}, {after: edit("SignedHeaders=", "SignedHeaders=\";")}, {target: listPath + "/%0d%0aerror=no/start"}, {target: listPath + "/%1b%5b2J/start"},
			{target: "/%0d%0alevel=ERROR%20msg=forged"}, {body: "[]"}, {method: "GET", target: listPath + "?X-Amz-Credential=" + canaries.AccessKeyID}, {after: add("X-Amz-Client-Token", "b")}, {key: aws.Credentials{AccessKeyID: "AKIDOTHER", SecretAccessKey: canaries.SecretAccessKey, SessionToken: canaries.SessionToken}},
		} {
			ask(h, made)
		}
		for _, fault = range []error{
			errors.New("broken\r\nlevel=ERROR msg=forged\x1b[2J"), &transport.Error{Kind: transport.KindInvalid, Code: "C\r\nX: y", Message: "m\r\n\x1b[2J\u202e", Context: map[string]string{"k\n": "v\r"}},
			&transport.Error{Kind: transport.KindInternal, Message: "x"}, &transport.Error{Kind: transport.KindCredentials, Code: "Expired\r\nToken"},
		} {
			ask(h, signing{})
		}
		ask(nimble.Handler(panicking{value: "oh\r\nlevel=ERROR msg=forged\x1b[2J"}, config), signing{})
		ask(nimble.Handler(s, nimble.HandlerConfig{Logger: config.Logger, Credentials: func(context.Context, string) (aws.Credentials, error) {
			return canaries, errors.New("the vault is\r\nlevel=ERROR msg=forged")
		}}), signing{})

		wantNoBirds(t, name+" log", b.String(), append(birds, "203.0.113.77")...)
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) < 10 || len(lines) > told {
			t.Errorf("%s: %d lines of %d requests", name, len(lines), told)
		}
		for _, line := range lines {
			if strings.ContainsFunc(line, unicode.IsControl) || !strings.HasPrefix(line, "time=") && !json.Valid([]byte(line)) {
				t.Errorf("%s: a line of the log is %q", name, line)
			}
		}
	}
}

// TestVaultErrors checks that any error of HandlerConfig.Credentials becomes an internal
// error.
func TestVaultErrors(t *testing.T) {
	t.Parallel()
	for _, e := range []error{
		&transport.Error{Kind: transport.KindNotFound, Message: "no vault"}, &transport.Error{Kind: transport.KindUnknown}, context.DeadlineExceeded,
	} {
		h := nimble.Handler(studio.New(studio.Config{Any: true}), nimble.HandlerConfig{Credentials: func(context.Context, string) (aws.Credentials, error) {
			return aws.Credentials{}, e
		}})
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, signing{key: canaries}.request(t))
		if answer.Code != 500 || strings.Contains(answer.Body.String(), "vault") {
			t.Errorf("%v: %d %s", e, answer.Code, answer.Body)
		}
	}
}

// TestEngineKeepsNoSecrets checks that a client's credentials are in no record, event,
// error or log of an engine, nor in its file. The provider echoes them.
func TestEngineKeepsNoSecrets(t *testing.T) {
	t.Parallel()
	all := append(birds, canaries.AccessKeyID, "canary")
	echo := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			text, _ := json.Marshal(fmt.Sprint(r.Header, canaries.SecretAccessKey))
			say(status, fmt.Sprintf(`{"message":%s,"context":{"a":%s}}`, text, text), "X-Amzn-ErrorType", code, "X-Amzn-RequestId", r.Header.Get("X-Amz-Security-Token"))(w, r)
		}
	}
	// The escapes that Gson and .NET write.
	escaping := func(w http.ResponseWriter, r *http.Request) {
		text := strings.NewReplacer("=", `\u003d`, "+", `\u002B`, "/", `\/`).Replace(fmt.Sprint(canaries.SecretAccessKey, canaries.SessionToken))
		say(400, `{"message":"`+text+`"}`, "X-Amzn-ErrorType", "ValidationException")(w, r)
	}
	failed := func(w http.ResponseWriter, r *http.Request) {
		text, _ := json.Marshal(fmt.Sprint(r.Header, canaries.SecretAccessKey))
		say(200, fmt.Sprintf(`{"session":{"state":"START_FAILED","statusMessage":%s,"statusCode":%s}}`, text, text))(w, r)
	}
	var mu sync.Mutex
	how := map[string]http.HandlerFunc{
		"denied": echo(403, "AccessDeniedException"), "invalid": echo(400, "ValidationException"), "missing": echo(404, "ResourceNotFoundException"), "failed": failed,
		"signature": echo(403, "InvalidSignatureException"), "throttled": echo(429, "ThrottlingException"), "broken": echo(500, "InternalServerErrorException"),
		"page": echo(502, ""), "busy": echo(409, "ConflictException"),
		"escaping": escaping,
	}
	var log book
	path := filepath.Join(t.TempDir(), "rouse.db")
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		how[strings.Split(r.URL.Path, "/")[3]](w, r)
	}, func(o *nimble.Options) { o.Credentials = provide(canaries) })
	e, err := engine.Open(path, laned{client}, engine.Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	var told strings.Builder
	var ids []engine.ID
	for studioID := range how {
		got, err := e.Start(ctx, engine.Request{Ref: transport.Ref{StudioID: studioID, SessionID: "ws-1"}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got.Operation.ID)
	}
	for _, id := range ids {
		for op := range e.Watch(ctx, id) {
			if op.Operation.Phase.Ended() || op.Error != "" || op.Waiting == engine.WaitThrottled { // the client has got an answer
				break
			}
		}
		x, err := e.Explain(ctx, id)
		told.WriteString(fmt.Sprintf("%+v %v\n", x, err))
	}
	for ev, err := range e.Events(ctx, "") {
		told.WriteString(fmt.Sprintf("%+v %v\n", ev, err))
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(told.String(), "[secret]") || !bytes.Contains(file, []byte("[secret]")) {
		t.Errorf("nothing was echoed:\n%s", told.String())
	}
	wantNoBirds(t, "the engine's records, events, errors and logs", told.String(), all...)
	wantNoBirds(t, "the log", log.String(), all...)
	wantNoBirds(t, "the file", string(file), all...)
}

// laned gives each studio a lane of its own, so that an error in one does not block
// others.
type laned struct{ *nimble.Client }

func (l laned) Traits(ref transport.Ref) transport.Traits {
	tr := l.Client.Traits(ref)
	tr.Lane = ref.StudioID
	return tr
}
