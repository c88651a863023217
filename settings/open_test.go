package settings_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/settings"
	"github.com/rouse-dev/rouse/transport"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bareAWS makes AWS settings that have only what a test adds.
func bareAWS(t *testing.T, config string) {
	t.Helper()
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", path)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", path)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func open(t *testing.T, text string) (*settings.Transport, error) {
	t.Helper()
	s, err := settings.Parse("x.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := s.Open(t.Context())
	if err == nil {
		t.Cleanup(opened.Close)
	}
	return opened, err
}

// TestOpenRefuses checks that all mistakes in what the file points to are reported, by
// the line that points there.
func TestOpenRefuses(t *testing.T) {
	bareAWS(t, "[profile odd]\nregion = us-west-2\nendpoint_url = odd\n")
	t.Setenv("SECUREON_B", "planted-secret")
	_, err := open(t, `
[studio.a]
transport = "ec2"
profile = "nobody"
[studio.b]
transport = "ec2"
[studio.c]
transport = "nimble"
[studio.d]
transport = "nimble"
profile = "odd"
[studio.e]
transport = "wol"
probe = "ssh"
ethers = "/no/such/file"
[studio.e.machines]
a = { mac = "52:54:00:12:34:56", password_env = "SECUREON_A" }
b = { mac = "52:54:00:12:34:56", password_env = "SECUREON_B" }
`)
	for _, want := range []string{
		"x.toml:4: studio.a.profile: the AWS settings cannot be read: ",
		"x.toml:5: studio.b.region: no region is set; give one, or set AWS_REGION",
		"x.toml:7: studio.c.endpoint: no endpoint is set; give one, or set AWS_ENDPOINT_URL_NIMBLE",
		`x.toml:9: studio.d.endpoint: of the AWS settings: "odd" is not an http or https URL; did you mean https://odd?`,
		"x.toml:15: studio.e.ethers: open /no/such/file: no such file or directory",
		"x.toml:17: studio.e.machines.a.password_env: the environment variable SECUREON_A is not set",
		"x.toml:18: studio.e.machines.b.password_env: the value of SECUREON_B: the SecureOn password: want six bytes, written like a MAC",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %s", want)
		}
	}
	if t.Failed() || strings.Contains(err.Error(), "planted-secret") {
		t.Errorf("it says\n%v", err)
	}
}

// TestOpen checks that each studio is served as the file says, in the lane that it names.
func TestOpen(t *testing.T) {
	bareAWS(t, "[profile farm]\nregion = eu-west-1\naws_access_key_id = AKIDTEST\naws_secret_access_key = secret\n")
	var asked []string
	var connections atomic.Int64
	provider := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=AKIDTEST/")
		scope, _, _ = strings.Cut(scope, ",")
		asked = append(asked, r.Method+" "+r.URL.Path+" "+scope[min(len(scope), 9):])
		w.WriteHeader(http.StatusNotFound)
	}))
	provider.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		connections.Add(map[http.ConnState]int64{http.StateNew: 1, http.StateClosed: -1}[s])
	}
	provider.Start()
	defer provider.Close()
	machine, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = machine.Close() }()
	_, port, _ := net.SplitHostPort(machine.Addr().String())
	ethers := filepath.Join(t.TempDir(), "ethers")
	if err := os.WriteFile(ethers, []byte("# the shelf\n52:54:00:12:34:57 127.0.0.1 # here\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := open(t, `
[studio.lab]
transport = "ec2"
profile = "farm"
lane = "account"
endpoint = "`+provider.URL+`"
[studio."*"]
transport = "nimble"
profile = "farm"
lane = "account"
endpoint = "`+provider.URL+`"
[studio.shelf]
transport = "wol"
probe = "tcp:`+port+`"
ethers = "`+ethers+`"
machines = { node = { mac = "52:54:00:12:34:56", host = "127.0.0.1" } }
[studio."sh-*"]
transport = "exec"
shell = true
start = "exit 75"
status = 'test "$WHO$ROUSE_SESSION" = "me ws" || exit 3'
env = { WHO = "me " }
repeat = "by_state"
authoritative = true
`)
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[transport.Ref]transport.Traits{
		{StudioID: "lab", SessionID: "i-0123456789abcdef0"}: {Lane: "account", Repeat: transport.RepeatByState, MaxBatch: 1000, MaxStarts: 500},
		{StudioID: "other", SessionID: "ws"}:                {Lane: "account", Repeat: transport.RepeatByToken, MaxBatch: 100},
		{StudioID: "shelf", SessionID: "node"}:              {Lane: "shelf", Repeat: transport.RepeatByState, Authoritative: true},
		{StudioID: "sh-1", SessionID: "ws"}:                 {Lane: "sh-1", Repeat: transport.RepeatByState, Authoritative: true},
	} {
		got := transport.TraitsOf(opened, ref)
		got.TokenMemory, got.StaleFor = 0, 0
		if got != want {
			t.Errorf("%s: %+v, want %+v", ref, got, want)
		}
	}
	for ref, want := range map[transport.Ref]any{
		{StudioID: "shelf", SessionID: "node"}:      fsm.StateReady,
		{StudioID: "shelf", SessionID: "127.0.0.1"}: fsm.StateReady,
		{StudioID: "shelf", SessionID: "other"}:     transport.KindNotFound,
		{StudioID: "sh-1", SessionID: "ws"}:         fsm.StateReady,
		{StudioID: "sh-1", SessionID: "off"}:        fsm.StateStopped,
	} {
		got, err := opened.Get(t.Context(), ref)
		kind, isKind := want.(transport.Kind)
		if isKind && !errors.Is(err, kind) || !isKind && (err != nil || got.State != want) {
			t.Errorf("%s: %+v, %v, want %v", ref, got, err, want)
		}
	}
	_, _ = opened.Get(t.Context(), transport.Ref{StudioID: "lab", SessionID: "i-0123456789abcdef0"})
	_, _ = opened.Get(t.Context(), transport.Ref{StudioID: "other", SessionID: "ws"})
	want := []string{"POST / eu-west-1/ec2/aws4_request", "GET /2020-08-01/studios/other/streaming-sessions/ws eu-west-1/nimble/aws4_request"}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	if connections.Load() == 0 {
		t.Error("no connection is kept, so Close has none to close")
	}
	opened.Close()
	for deadline := time.Now().Add(10 * time.Second); connections.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are kept after Close", connections.Load())
		}
	}
}

// TestCredentials checks that only a studio that needs credentials and has none gets an
// error.
func TestCredentials(t *testing.T) {
	bareAWS(t, "[profile farm]\naws_access_key_id = AKIDTEST\naws_secret_access_key = secret\n")
	opened, err := open(t, `
[studio.with]
transport = "ec2"
region = "us-west-2"
profile = "farm"
[studio.without]
transport = "ec2"
region = "us-west-2"
[studio.other]
transport = "libvirt"
`)
	if err != nil {
		t.Fatal(err)
	}
	for studio, missing := range map[string]bool{"with": false, "without": true, "other": false, "unknown": false} {
		if err := opened.Credentials(t.Context(), studio); (err != nil) != missing {
			t.Errorf("%s: %v", studio, err)
		}
	}
}

// TestServesAnEngine checks that the opened transport is all that an engine needs.
func TestServesAnEngine(t *testing.T) {
	t.Parallel()
	on := filepath.Join(t.TempDir(), "on")
	text := "[studio.'*']\ntransport = 'exec'\nstart = ['touch', '" + on + "']\nstatus = ['sh', '-c', 'test -e " + on + " || exit 3']\nrepeat = 'by_state'\n"
	s, err := settings.Parse("x.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	e, err := engine.Open(filepath.Join(t.TempDir(), "rouse.db"), opened, s.Engine())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	go func() { _ = e.Run(t.Context()) }()
	r, err := e.Start(t.Context(), engine.Request{Ref: engine.Ref{StudioID: "lab", SessionID: "ws-1"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Wait(t.Context(), r.Operation.ID); err != nil || got.Phase != fsm.PhaseSucceeded {
		t.Errorf("%+v, %v", got, err)
	}
}
