package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

const (
	keyID  = "AKIDTEST"
	secret = "not-a-real-secret"
)

// shortBoot is how long the test provider's sessions boot.
const shortBoot = 50 * time.Millisecond

// TestMain runs the tool, in a process of its own, when the test's binary is called by
// the tool's name.
func TestMain(m *testing.M) {
	scale.Parallel(8)
	testscript.Main(m, map[string]func(){"rouse": main, "glutton": glutton})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			p, err := newProvider(shortBoot)
			if err != nil {
				return err
			}
			e.Defer(p.down)
			e.Values[providerKey{}] = p
			e.Vars = append(e.Vars, environment(e.WorkDir)...)
			e.Vars = append(e.Vars, "AWS_ENDPOINT_URL_NIMBLE="+p.url(), "UP="+p.url())
			config := filepath.Join(e.WorkDir, "config") // some scripts bring a settings file
			if text, err := os.ReadFile(config); err == nil {
				return os.WriteFile(config, bytes.ReplaceAll(text, []byte("ENDPOINT"), []byte(p.url())), 0o600)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"keys":     keys,
			"provider": control,
			"truncate": truncate,
			"corrupt":  corrupt,
		},
	})
}

type providerKey struct{}

// environment is what every process of the tests sees: a home of its own, and no settings
// of this machine.
func environment(home string) []string {
	return []string{
		"HOME=" + home, "TZ=UTC", "ROUSE_DB=" + filepath.Join(home, "rouse.db"),
		"AWS_ACCESS_KEY_ID=" + keyID, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + filepath.Join(home, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(home, "none"),
	}
}

// exits runs a program that must end with a status, as in: exits 2 rouse start.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var e *exec.ExitError
	if errors.As(err, &e) {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%q exits with %d, want %d", args[1:], got, want)
	}
}

// keys checks that each line of stdout is a JSON object with exactly these keys. With "!
// keys", no line has any of them.
func keys(ts *testscript.TestScript, neg bool, want []string) {
	slices.Sort(want)
	lines := 0
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		lines++
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			ts.Fatalf("%s is no JSON object: %v", line, err)
		}
		var got []string
		for k := range object {
			if !neg || slices.Contains(want, k) {
				got = append(got, k)
			}
		}
		slices.Sort(got)
		if neg && len(got) > 0 || !neg && !slices.Equal(got, want) {
			ts.Fatalf("%s has keys %q, want (not %v) %q", line, got, neg, want)
		}
	}
	if lines == 0 {
		ts.Fatalf("nothing was printed")
	}
}

// control is a script's command to its provider, such as: provider up, provider down,
// provider stop lab ws-1, provider effects lab ws-1 N.
func control(ts *testscript.TestScript, _ bool, args []string) {
	p := ts.Value(providerKey{}).(*testProvider)
	switch args[0] {
	case "up":
		ts.Check(p.up())
	case "down":
		p.down()
	case "stop":
		_, err := p.studio.Stop(context.Background(), transport.StopInput{Ref: ref(args[1], args[2]), ClientToken: "stop-" + args[2]})
		ts.Check(err)
	case "effects":
		want, err := strconv.Atoi(args[3])
		ts.Check(err)
		if got := p.effects(args[1], args[2]); got != want {
			ts.Fatalf("%s %s was started %d times, want %d", args[1], args[2], got, want)
		}
	default:
		ts.Fatalf("provider %q?", args)
	}
}

// truncate FILE KEEP cuts a file to so many bytes.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
}

// corrupt FILE TEXT flips a bit in each occurrence of a text in a file.
func corrupt(ts *testscript.TestScript, _ bool, args []string) {
	path, text := ts.MkAbs(args[0]), []byte(args[1])
	file, err := os.ReadFile(path)
	ts.Check(err)
	flipped := bytes.Clone(text)
	flipped[0] ^= 4
	if !bytes.Contains(file, text) {
		ts.Fatalf("%s has no %q", path, text)
	}
	ts.Check(os.WriteFile(path, bytes.ReplaceAll(file, text, flipped), 0o600))
}

// testProvider is a studio behind the protocol. It keeps its address while it is down.
type testProvider struct {
	studio  *studio.Studio
	address string
	server  *httptest.Server
}

func newProvider(boot time.Duration) (*testProvider, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &testProvider{address: l.Addr().String(), studio: studio.New(studio.Config{Any: true, Boot: boot})}
	return p, l.Close()
}

func (p *testProvider) url() string { return "http://" + p.address }

// up listens. Another program may use that port for a connection just now.
func (p *testProvider) up() error {
	l, err := net.Listen("tcp", p.address)
	for begun := time.Now(); err != nil && time.Since(begun) < 20*time.Second; l, err = net.Listen("tcp", p.address) {
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	p.server = httptest.NewUnstartedServer(nimble.Handler(p.studio, nimble.HandlerConfig{
		Credentials: nimble.Keys(aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}),
	}))
	_ = p.server.Listener.Close()
	p.server.Listener = l
	p.server.Start()
	return nil
}

func (p *testProvider) down() {
	if p.server != nil {
		p.server.CloseClientConnections()
		p.server.Close()
		p.server = nil
	}
}

func (p *testProvider) effects(studioID, sessionID string) int {
	return p.studio.Effects(ref(studioID, sessionID))
}

// process runs the tool in a process of its own.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	out, errOut *buffer
	ended       chan struct{}
}

// launch starts the tool.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, out: &buffer{}, errOut: &buffer{}, ended: make(chan struct{})}
	p.cmd = &exec.Cmd{Path: self, Args: append([]string{"rouse"}, args...), Env: env, Stdout: p.out, Stderr: p.errOut}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// until waits until the process has printed a text.
func (p *process) until(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(p.out.String()+p.errOut.String(), text) {
			return
		}
	}
	p.t.Fatalf("%q does not print %q, but\n%s%s", p.cmd.Args, text, p.out, p.errOut)
}

// exit waits until the process ends, and checks its status.
func (p *process) exit(want int) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		p.t.Fatalf("%q does not end; it printed\n%s%s", p.cmd.Args, p.out, p.errOut)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		p.t.Fatalf("%q exits with %d, want %d; it printed\n%s%s", p.cmd.Args, got, want, p.out, p.errOut)
	}
}

func (p *process) interrupt() {
	p.t.Helper()
	if runtime.GOOS == "windows" {
		p.t.Skip("Windows sends no Ctrl-C to one process alone")
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
}

// buffer may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
