package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

const (
	asProgram = "STUDIO_TEST_AS_PROGRAM"
	keyID     = "AKIDTEST"
	secret    = "not-a-real-secret"
)

// TestMain runs the program in a process of its own when the environment asks for it.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	scale.Parallel(6)
	os.Exit(m.Run())
}

// program is the program in a process of its own.
type program struct {
	*child.Process
	url    string
	stderr *bytes.Buffer // read it after the process has ended
}

// launch starts the program on a free port, and returns when it is ready.
func launch(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{stderr: &bytes.Buffer{}}
	cmd := exec.Command(self, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	cmd.Env = append([]string{asProgram + "=1"}, env...)
	cmd.Stderr = p.stderr
	lines := make(chan string, 10)
	p.Process = child.Start(t, cmd, func(line string) { lines <- line })
	select {
	case line := <-lines:
		url, ok := strings.CutPrefix(line, "listening on ")
		if !ok || !strings.HasPrefix(url, "http://127.0.0.1:") || strings.HasSuffix(url, ":0") {
			t.Fatalf("the program prints %q", line)
		}
		p.url = url
	case <-p.Ended:
		t.Fatalf("the program ended before it listened: %v\n%s", p.Wait(), p.stderr)
	}
	return p
}

// end asks the program to end, and returns its exit status.
func (p *program) end(t *testing.T, by os.Signal) int {
	t.Helper()
	p.Signal(by)
	err := p.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

func signed() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + keyID, "AWS_SECRET_ACCESS_KEY=" + secret}
}

func client(url, secret string) *nimble.Client {
	return nimble.NewFromConfig(aws.Config{
		Region:       "us-west-2",
		Credentials:  credentials.NewStaticCredentialsProvider(keyID, secret, ""),
		BaseEndpoint: &url,
	})
}

func TestServesAndEnds(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent these signals on Windows")
	}
	for _, by := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			p := launch(t, signed(), "-any", "-boot", "0", "-stop", "0")
			ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}
			c := client(p.url, secret)
			if _, err := c.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "a"}); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Get(t.Context(), ref); err != nil || got.State != fsm.StateReady {
				t.Errorf("%s, %v; want READY", got.State, err)
			}
			if _, err := client(p.url, "wrong").Get(t.Context(), ref); !errors.Is(err, transport.KindCredentials) {
				t.Errorf("wrong credentials: %v", err)
			}
			if code := p.end(t, by); code != 0 {
				t.Errorf("exit status %d after %v\n%s", code, by, p.stderr)
			}
			if strings.Contains(p.stderr.String(), secret) {
				t.Error("the output has the secret")
			}
		})
	}
}

// TestWithoutCredentials accepts any signature, and says so.
func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "-any")
	if _, err := client(p.url, "whatever").Get(t.Context(), transport.Ref{StudioID: "lab", SessionID: "ws-1"}); err != nil {
		t.Error(err)
	}
	p.Kill()
	if !strings.Contains(p.stderr.String(), "any signature is accepted") {
		t.Errorf("the program does not say that it accepts any signature:\n%s", p.stderr)
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
		want string // a part of the message
	}{
		"unknown flag":         {args: []string{"-bogus"}, want: "bogus"},
		"argument":             {args: []string{"lab"}, want: `"lab"`},
		"address":              {args: []string{"-addr", "127.0.0.1"}, want: `-addr "127.0.0.1"`},
		"port":                 {args: []string{"-addr", "127.0.0.1:99999"}, want: "99999"},
		"everywhere, unsigned": {args: []string{"-addr", "0.0.0.0:0"}, want: `"0.0.0.0:0" is not loopback`},
		"any host, unsigned":   {args: []string{"-addr", ":0"}, want: `":0" is not loopback`},
		"IPv6, unsigned":       {args: []string{"-addr", "[::]:0"}, want: `"[::]:0" is not loopback`},
		"boot":                 {args: []string{"-boot", "-1s"}, want: "-boot -1s"},
		"stop":                 {args: []string{"-stop", "-1s"}, want: "-stop -1s"},
		"no duration":          {args: []string{"-boot", "soon"}, want: `"soon"`},
		"fault":                {args: []string{"-fault", "1.5"}, want: "-fault 1.5"},
		"fault, not a number":  {args: []string{"-fault", "NaN"}, want: "-fault NaN"},
		"throttle":             {args: []string{"-throttle", "-3"}, want: "-throttle -3"},
		"throttle, infinite":   {args: []string{"-throttle", "Inf"}, want: "-throttle +Inf"},
		"quota":                {args: []string{"-quota", "-2"}, want: "-quota -2"},
		"half of the key":      {env: map[string]string{"AWS_ACCESS_KEY_ID": "x"}, want: "AWS_SECRET_ACCESS_KEY is not"},
		"other half":           {env: map[string]string{"AWS_SECRET_ACCESS_KEY": "x"}, want: "AWS_ACCESS_KEY_ID is not"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), test.args, func(k string) string { return test.env[k] }, &stdout, &stderr)
			if code != 2 || !strings.Contains(stderr.String(), test.want) || stdout.Len() > 0 {
				t.Errorf("exit status %d, %q, %q; want 2 and a message with %q", code, stdout.String(), stderr.String(), test.want)
			}
		})
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, os.Getenv, io.Discard, &stderr); code != 0 || !strings.Contains(stderr.String(), "-throttle") {
		t.Errorf("-h: exit status %d, %q", code, stderr.String())
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"-addr", l.Addr().String()}, func(string) string { return "" }, io.Discard, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), l.Addr().String()) {
		t.Errorf("exit status %d, %q; want 1 and the address", code, stderr.String())
	}
}

// TestLimits checks the limits of a request's headers, body and time. A slow request does
// not keep the program from ending.
func TestLimits(t *testing.T) {
	t.Parallel()
	s, err := parse(nil, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	server := s.server(studio.New(s.studio), slog.New(slog.DiscardHandler))
	for name, d := range map[string]time.Duration{
		"header": server.ReadHeaderTimeout, "read": server.ReadTimeout, "write": server.WriteTimeout, "idle": server.IdleTimeout,
	} {
		if d <= 0 || d > time.Minute {
			t.Errorf("%s time-out is %v", name, d)
		}
	}

	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"-addr", "127.0.0.1:0"}, func(string) string { return "" }, w, io.Discard)
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	for name, test := range map[string]struct {
		header int
		body   int
		want   int
	}{
		"large header": {header: 64 << 10, want: http.StatusRequestHeaderFieldsTooLarge},
		"large body":   {body: 1 << 20, want: http.StatusRequestEntityTooLarge},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			url+"/2020-08-01/studios/lab/streaming-sessions/ws-1/start", strings.NewReader(strings.Repeat(" ", test.body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Filler", strings.Repeat("x", test.header))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode != test.want {
			t.Errorf("%s: HTTP %d, want %d", name, res.StatusCode, test.want)
		}
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// TestFaults checks that the flags reach the studio.
func TestFaults(t *testing.T) {
	t.Parallel()
	start := func(p *program, n int) error {
		_, err := client(p.url, secret).Start(t.Context(), transport.StartInput{
			Ref: transport.Ref{StudioID: "lab", SessionID: fmt.Sprint("ws-", n)}, ClientToken: fmt.Sprint(n),
		})
		return err
	}
	for name, test := range map[string]struct {
		args []string
		want error
	}{
		"-any":           {[]string{"-any"}, nil},
		"none":           {nil, transport.KindNotFound},
		"-quota":         {[]string{"-any", "-quota", "1"}, transport.KindQuotaExceeded},
		"-throttle":      {[]string{"-any", "-throttle", "0.01"}, transport.KindThrottled},
		"-fault, always": {[]string{"-any", "-fault", "1"}, transport.KindUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := launch(t, signed(), test.args...)
			_ = start(p, 1)
			if err := start(p, 2); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
