package probe_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server accepts connections on loopback, writes its text, and keeps each open until its
// peer closes it.
func server(t *testing.T, say string, hangUp bool) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.WriteString(c, say)
				if !hangUp {
					_, _ = io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func tlsServer(t *testing.T, version uint16) int {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

// closedPort returns a port on which no process listens.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func TestCheck(t *testing.T) {
	t.Parallel()
	silent := func(t *testing.T) int { return server(t, "", false) }
	says := func(text string, hangUp bool) func(*testing.T) int {
		return func(t *testing.T) int { return server(t, text, hangUp) }
	}
	speaks := func(version uint16) func(*testing.T) int {
		return func(t *testing.T) int { return tlsServer(t, version) }
	}
	for name, test := range map[string]struct {
		kind probe.Kind
		port func(*testing.T) int
		want string // a part of the error; "" means that the port answers
	}{
		"tcp, silent":              {probe.KindTCP, silent, ""},
		"tcp, no server":           {probe.KindTCP, closedPort, "does not answer from this computer: connection refused"},
		"tls 1.3":                  {probe.KindTLS, speaks(tls.VersionTLS13), ""},
		"tls 1.2":                  {probe.KindTLS, speaks(tls.VersionTLS12), ""},
		"tls, no server":           {probe.KindTLS, closedPort, "(tls) of 127.0.0.1 does not answer from this computer: connection refused"},
		"tls, silent":              {probe.KindTLS, silent, "no answer within 200ms"},
		"tls, another protocol":    {probe.KindTLS, says("HTTP/1.0 400 Bad Request\r\n\r\n", false), "does not speak TLS"},
		"tls, hangs up":            {probe.KindTLS, says("", true), "it closes the connection"},
		"ssh":                      {probe.KindSSH, says("SSH-2.0-OpenSSH_9.2\r\n", false), ""},
		"ssh after a preamble":     {probe.KindSSH, says("welcome\r\n"+strings.Repeat("-", 600)+"\r\nSSH-2.0-x\r\n", false), ""},
		"ssh, silent":              {probe.KindSSH, silent, "no answer within 200ms"},
		"ssh, hangs up":            {probe.KindSSH, says("", true), "before an SSH banner"},
		"ssh, another protocol":    {probe.KindSSH, says("220 mail\r\n", true), `not an SSH server: its answer begins with "220 mail"`},
		"ssh within a long line":   {probe.KindSSH, says(strings.Repeat("-", 256)+"SSH-2.0-x\r\n", true), "not an SSH server"},
		"ssh, hostile text":        {probe.KindSSH, says("\x1b[31m\r\n", true), `\x1b[31m`},
		"ssh, talks without limit": {probe.KindSSH, says(strings.Repeat("x", 1<<20), false), "not an SSH server"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := probe.Probe{Kind: test.kind, Port: test.port(t), Timeout: 5 * time.Second}
			if strings.Contains(test.want, "200ms") {
				p.Timeout = 200 * time.Millisecond
			}
			err := p.Check(t.Context(), "127.0.0.1")
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *probe.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\x1b") {
				t.Fatalf("%v (%T), want %q", err, err, test.want)
			}
			if e.Probe != p || e.Host != "127.0.0.1" || !strings.Contains(err.Error(), strconv.Itoa(p.Port)) {
				t.Errorf("%+v does not name what was probed", e)
			}
			if probe.Offline(err) {
				t.Errorf("Offline(%v) is true", err)
			}
		})
	}
}

func TestCheckWraps(t *testing.T) {
	t.Parallel()
	if err := (probe.Probe{Kind: probe.KindTCP, Port: closedPort(t)}).Check(t.Context(), "127.0.0.1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v hides its cause", err)
	}
	p := probe.Probe{Kind: probe.KindSSH, Port: server(t, "", false), Timeout: 50 * time.Millisecond}
	if err := p.Check(t.Context(), "127.0.0.1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not match DeadlineExceeded", err)
	}
}

// TestCheckEnds checks that the caller's context ends a check of each kind that would
// wait for an hour.
func TestCheckEnds(t *testing.T) {
	t.Parallel()
	for kind := probe.KindTLS; kind <= probe.KindSSH; kind++ {
		p := probe.Probe{Kind: kind, Port: server(t, "", false), Timeout: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := p.Check(ctx, "127.0.0.1"); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "1h") {
			t.Errorf("%v: %v, want the caller's deadline", kind, err)
		}
		cancel()
		if err := p.Check(ctx, "127.0.0.1"); !errors.Is(err, ctx.Err()) {
			t.Errorf("%v: %v after the context ended", kind, err)
		}
	}
}

func TestCheckSession(t *testing.T) {
	t.Parallel()
	running := transport.Session{
		Ref:       transport.Ref{StudioID: "lab", SessionID: "ws-1"},
		Endpoints: []transport.Endpoint{{Name: "web", Host: "ws-1"}},
	}
	open := probe.Probe{Kind: probe.KindTCP, Port: server(t, "", false)}
	closed := probe.Probe{Kind: probe.KindTLS, Port: closedPort(t)}
	for name, test := range map[string]struct {
		p         probe.Probe
		host      string
		state     fsm.State
		code      string
		message   string
		endpoints int
	}{
		"no probe":   {probe.Probe{}, "", fsm.StateReady, "", "", 1},
		"answers":    {open, "127.0.0.1", fsm.StateReady, "", "", 2},
		"silent":     {closed, "127.0.0.1", fsm.StateStartInProgress, probe.CodeUnanswered, "running, but port ", 2},
		"no address": {open, "", fsm.StateStartInProgress, probe.CodeUnanswered, "it has no address", 1},
	} {
		got, err := test.p.CheckSession(t.Context(), running, test.host)
		if err != nil || got.State != test.state || got.StatusCode != test.code ||
			!strings.Contains(got.StatusMessage, test.message) || len(got.Endpoints) != test.endpoints || got.Ref != running.Ref {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	said := running
	said.StatusMessage = "moved to another host"
	got, err := closed.CheckSession(t.Context(), said, "127.0.0.1")
	if err != nil || !strings.HasSuffix(got.StatusMessage, "; the provider says: moved to another host") {
		t.Errorf("the provider's message is lost: %+v, %v", got, err)
	}
	if p := got.Probe; p.OK || p.Target != fmt.Sprintf("port %d (tls) of 127.0.0.1", closed.Port) || p.Message != "connection refused" || p.At.IsZero() {
		t.Errorf("Probe %+v", p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = closed.CheckSession(ctx, running, "127.0.0.1")
	if !errors.Is(err, transport.KindUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("CheckSession with a cancelled context: %v", err)
	}
}

func TestOfflineAndSilent(t *testing.T) {
	t.Parallel()
	dial := func(err error) error {
		return &probe.Error{Err: &net.OpError{Op: "dial", Net: "tcp", Err: err}}
	}
	for name, test := range map[string]struct {
		err             error
		offline, silent bool
	}{
		"no route anywhere":         {dial(syscall.ENETUNREACH), true, true},
		"interface down":            {dial(syscall.ENETDOWN), true, true},
		"no route, as Windows says": {dial(syscall.Errno(10051)), true, true},
		"name servers silent":       {dial(&net.DNSError{Err: "i/o timeout", IsTimeout: true}), true, true},
		"name not known":            {dial(&net.DNSError{Err: "no such host", IsNotFound: true}), false, true},
		"neighbour silent":          {dial(syscall.EHOSTUNREACH), false, true},
		"silent, as Windows says":   {dial(syscall.Errno(10060)), false, true},
		"no answer in time":         {dial(context.DeadlineExceeded), false, true},
		"refused":                   {dial(syscall.ECONNREFUSED), false, false},
		"refused, as Windows says":  {dial(syscall.Errno(10061)), false, false},
		"cut":                       {dial(syscall.ECONNRESET), false, false},
		"hung up":                   {dial(io.EOF), false, false},
		"no error":                  {nil, false, false},
	} {
		if offline, silent := probe.Offline(test.err), probe.Silent(test.err); offline != test.offline || silent != test.silent {
			t.Errorf("%s: offline %v, silent %v", name, offline, silent)
		}
	}
}

// TestNames looks up a name that does not exist, by the system's resolver. The domain is
// reserved for this.
func TestNames(t *testing.T) {
	t.Parallel()
	err := probe.Probe{Kind: probe.KindTCP, Port: 22}.Check(t.Context(), "ws-1.invalid")
	if err == nil || !strings.Contains(err.Error(), "port 22 (tcp) of ws-1.invalid does not answer from this computer: its name") {
		t.Errorf("%v", err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]probe.Probe{
		"": {}, "none": {}, "dcv": {Kind: probe.KindTLS, Port: 8443}, "rdp": {Kind: probe.KindTCP, Port: 3389},
		"ssh": {Kind: probe.KindSSH, Port: 22}, "tcp:1": {Kind: probe.KindTCP, Port: 1}, "ssh:2222": {Kind: probe.KindSSH, Port: 2222},
		"tls:65535": {Kind: probe.KindTLS, Port: 65535},
	} {
		got, err := probe.Parse(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if again, err := probe.Parse(got.String()); err != nil || again != got {
			t.Errorf("%q is printed as %q, which is %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"tcp", "tcp:", "tcp:0", "tcp:65536", "tcp:-1", "udp:9", "none:1", "kind 4:1", ":22", "22", "DCV", "tls:8443 "} {
		if got, err := probe.Parse(text); err == nil || got != (probe.Probe{}) || !strings.Contains(err.Error(), strconv.Quote(text)) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]probe.Probe{
		"without a kind":        {Port: 22},
		"unknown kind 4":        {Kind: 4, Port: 22},
		"port 0":                {Kind: probe.KindTCP},
		"port 65536":            {Kind: probe.KindTCP, Port: 65536},
		"time-out -1s is negat": {Kind: probe.KindTCP, Port: 22, Timeout: -time.Second},
	} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", p, err)
		}
		if err := p.Check(t.Context(), "127.0.0.1"); err == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
	if err := (probe.Probe{}).Check(t.Context(), "nowhere.invalid"); err != nil {
		t.Errorf("no probe: %v", err)
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"dcv": "dcv", "rdp": "rdp", "ssh": "ssh", "ssh:2222": "ssh", "tls:443": "tls"} {
		p, err := probe.Parse(text)
		if got := p.Endpoint("ws-1"); err != nil || got.Name != want || got.Host != "ws-1" || got.Port != p.Port || got.URL != "" {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// TestSaysNothing checks that a TCP probe and an SSH probe send no byte.
func TestSaysNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []probe.Kind{probe.KindTCP, probe.KindSSH} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan string, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				heard <- err.Error()
				return
			}
			_, _ = io.WriteString(c, "SSH-2.0-x\r\n")
			all, _ := io.ReadAll(bufio.NewReader(c))
			_ = c.Close()
			heard <- string(all)
		}()
		p := probe.Probe{Kind: kind, Port: l.Addr().(*net.TCPAddr).Port}
		if err := p.Check(t.Context(), "127.0.0.1"); err != nil {
			t.Error(err)
		}
		if got := <-heard; got != "" {
			t.Errorf("%v: sent %q", kind, got)
		}
		_ = l.Close()
	}
}

// TestOnlyHost checks that OnlyHost distinguishes errors of one host from errors of this
// computer.
func TestOnlyHost(t *testing.T) {
	t.Parallel()
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)}
	}
	for name, row := range map[string]struct {
		err  error
		want bool
	}{
		"unknown name":        {&net.DNSError{IsNotFound: true}, true},
		"name server":         {&net.DNSError{IsTimeout: true}, false},
		"no route to host":    {dial(syscall.EHOSTUNREACH), true},
		"not permitted":       {dial(syscall.EPERM), true},
		"too many open files": {dial(syscall.EMFILE), false},
		"gave up":             {context.Canceled, false},
		"nothing":             {nil, false},
	} {
		if got := probe.OnlyHost(row.err); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}
