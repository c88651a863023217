package settings_test

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/transport"
)

const (
	role = `[profile farm]
region = us-west-2
role_arn = arn:aws:iam::123456789012:role/wake
source_profile = base
[profile base]
aws_access_key_id = AKIDTEST
aws_secret_access_key = planted-secret
`
	login = `[profile farm]
region = us-west-2
sso_session = lab
sso_account_id = 123456789012
sso_role_name = wake
[sso-session lab]
sso_region = us-west-2
sso_start_url = https://lab.example
`
	roleByLogin = `[profile farm]
region = us-west-2
role_arn = arn:aws:iam::123456789012:role/wake
source_profile = base
[profile base]
region = us-west-2
sso_session = lab
sso_account_id = 123456789012
sso_role_name = wake
[sso-session lab]
sso_region = us-west-2
sso_start_url = https://lab.example
`
	nothing = "[profile farm]\nregion = us-west-2\n"
)

// says is a server that gives one answer.
func says(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// silent accepts connections, and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return "http://" + l.Addr().String()
}

// closed returns an address on which no server listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return "http://" + l.Addr().String()
}

func stsError(code string) string {
	return "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>planted-secret</Message></Error></ErrorResponse>"
}

// TestSourcesOfCredentials checks that each transport that signs reports a source of
// credentials in the same way. A source that is not reached is unreachable, and one that
// refuses is credentials. An expired login says how to log in again.
func TestSourcesOfCredentials(t *testing.T) {
	for name, test := range map[string]struct {
		config string
		env    func(*testing.T)
		token  string // the token of an SSO login
		kind   transport.Kind
		want   string
		lack   bool // Credentials reports the same
	}{
		"STS, nothing listens": {config: role, env: sts(closed), kind: transport.KindUnreachable, want: "the source of the credentials cannot be reached: dial tcp"},
		"STS fails": {config: role, env: sts(func(t *testing.T) string { return says(t, 503, "") }), kind: transport.KindUnreachable,
			want: "the source of the credentials cannot be reached"},
		"STS behind a portal": {config: role, env: sts(func(t *testing.T) string { return says(t, 200, "<html>log in</html>") }), kind: transport.KindUnreachable,
			want: "the source of the credentials cannot be reached"},
		"STS refuses": {config: role, env: sts(func(t *testing.T) string { return says(t, 403, stsError("AccessDenied")) }), kind: transport.KindCredentials,
			want: "AccessDenied: there are no credentials: AssumeRole of STS refuses them", lack: true},
		"IMDS is silent": {config: nothing, env: imds(silent), kind: transport.KindUnreachable, want: "cannot be reached: no answer in time; if this machine has no role, export"},
		"IMDS has no role": {config: nothing, env: imds(func(t *testing.T) string { return says(t, 404, "") }), kind: transport.KindCredentials,
			want: "no AWS credentials were found; export", lack: true},
		"IMDS is off": {config: nothing, env: func(*testing.T) {}, kind: transport.KindCredentials, want: "no AWS credentials were found; export", lack: true},
		"SSO, expired": {config: login, env: func(*testing.T) {}, token: `{"accessToken":"planted-secret","expiresAt":"2020-01-01T00:00:00Z"}`, kind: transport.KindCredentials,
			want: "the AWS login has expired or is missing; log in again: aws sso login", lack: true},
		"SSO, never":           {config: login, env: func(*testing.T) {}, kind: transport.KindCredentials, want: "log in again: aws sso login", lack: true},
		"SSO below a role":     {config: roleByLogin, env: sts(closed), kind: transport.KindCredentials, want: "log in again: aws sso login", lack: true},
		"SSO, nothing listens": {config: login, env: sso(closed), token: valid, kind: transport.KindUnreachable, want: "cannot be reached: dial tcp"},
		"SSO says it is over": {config: login, env: sso(func(t *testing.T) string {
			return says(t, 401, `{"__type":"UnauthorizedException","message":"planted-secret"}`)
		}), token: valid, kind: transport.KindCredentials, want: "UnauthorizedException: the AWS login has expired or is missing; log in again: aws sso login", lack: true},
		"SSO forbids": {config: login, env: sso(func(t *testing.T) string {
			return says(t, 403, `{"__type":"ForbiddenException","message":"planted-secret"}`)
		}), token: valid, kind: transport.KindCredentials, want: "ForbiddenException: there are no credentials: GetRoleCredentials of SSO refuses them", lack: true},
	} {
		t.Run(name, func(t *testing.T) {
			bareAWS(t, test.config)
			home := t.TempDir()
			t.Setenv("HOME", home)
			if test.token != "" {
				dir := filepath.Join(home, ".aws", "sso", "cache")
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%x.json", sha1.Sum([]byte("lab")))), []byte(test.token), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			test.env(t)
			var asked atomic.Int64
			provider := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
			t.Cleanup(provider.Close)
			opened, err := open(t, fmt.Sprintf("[studio.a]\ntransport = \"ec2\"\nprofile = \"farm\"\nendpoint = %q\n"+
				"[studio.b]\ntransport = \"nimble\"\nprofile = \"farm\"\nendpoint = %[1]q\n", provider.URL))
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup // a silent source takes its time
			for studio, session := range map[string]string{"a": "i-0123456789abcdef0", "b": "ws-1"} {
				wg.Go(func() {
					_, err := opened.Start(t.Context(), transport.StartInput{Ref: transport.Ref{StudioID: studio, SessionID: session}, ClientToken: "monday"})
					var e *transport.Error
					if !errors.As(err, &e) || e.Kind != test.kind || !e.NotSent || !strings.Contains(err.Error(), test.want) {
						t.Errorf("%s: %v (%+v), want kind %v, not sent: %q", studio, err, e, test.kind, test.want)
					}
					for cause := err; cause != nil; cause = errors.Unwrap(cause) {
						if strings.Contains(fmt.Sprintf("%v %+v", cause, cause), "planted-secret") {
							t.Errorf("%s: %T quotes the source", studio, cause)
						}
					}
				})
				wg.Go(func() {
					if err := opened.Credentials(t.Context(), studio); (err != nil) != test.lack || err != nil && !strings.Contains(err.Error(), test.want) {
						t.Errorf("%s: Credentials: %v", studio, err)
					}
				})
			}
			wg.Wait()
			if asked.Load() != 0 {
				t.Errorf("the provider was asked %d times without credentials", asked.Load())
			}
		})
	}
}

const valid = `{"accessToken":"token","expiresAt":"2126-01-01T00:00:00Z"}`

func sts(at func(*testing.T) string) func(*testing.T) {
	return func(t *testing.T) { t.Setenv("AWS_ENDPOINT_URL_STS", at(t)); t.Setenv("AWS_MAX_ATTEMPTS", "1") }
}

func sso(at func(*testing.T) string) func(*testing.T) {
	return func(t *testing.T) { t.Setenv("AWS_ENDPOINT_URL_SSO", at(t)); t.Setenv("AWS_MAX_ATTEMPTS", "1") }
}

func imds(at func(*testing.T) string) func(*testing.T) {
	return func(t *testing.T) {
		t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", at(t))
		t.Setenv("AWS_MAX_ATTEMPTS", "1")
	}
}
