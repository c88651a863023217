package wol_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
	"github.com/rouse-dev/rouse/transport/transporttest"
	"github.com/rouse-dev/rouse/transport/wol"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	mac      = "52:54:00:12:34:56"
	password = "de:ad:be:ef:00:01"
)

var ref = transport.Ref{StudioID: "lab", SessionID: "ws-1"}

// machine is a network card that listens for packets, and an SSH server that is silent
// until one has arrived.
type machine struct {
	card  net.PacketConn
	ssh   net.Listener
	magic []byte // the packet that wakes it

	mu      sync.Mutex
	on      bool
	starts  int
	packets int
	deaf    int  // the card is deaf to this many further packets
	mute    bool // the machine runs, and its SSH server closes each connection
}

// newMachine returns a machine whose card has an address of loopback.
func newMachine(t *testing.T, at, password string) *machine {
	t.Helper()
	card, err := net.ListenPacket("udp4", net.JoinHostPort(at, "0"))
	if err != nil {
		t.Fatal(err)
	}
	ssh, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = card.Close(), ssh.Close() })
	address, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	secure, _ := net.ParseMAC(password) // the password; empty for none
	m := &machine{card: card, ssh: ssh}
	m.magic = append(append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(address, 16)...), secure...)
	go m.listen()
	go m.serve()
	return m
}

func (m *machine) listen() {
	buf := make([]byte, 2000)
	for {
		n, _, err := m.card.ReadFrom(buf)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.packets++
		switch {
		case !bytes.Equal(buf[:n], m.magic):
		case m.deaf > 0:
			m.deaf--
		case !m.on:
			m.on = true
			m.starts++
		}
		m.mu.Unlock()
	}
}

func (m *machine) serve() {
	for {
		c, err := m.ssh.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			is := m.set(func() {})
			if is.mute {
				return
			}
			if is.on {
				_, _ = io.WriteString(c, "SSH-2.0-rouse\r\n")
			}
			_, _ = io.Copy(io.Discard, c)
		}()
	}
}

type counts struct {
	on, mute        bool
	starts, packets int
}

func (m *machine) set(change func()) counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
	return counts{m.on, m.mute, m.starts, m.packets}
}

func (m *machine) config(password string) wol.Machine {
	return wol.Machine{
		MAC: mac, Address: m.card.LocalAddr().String(), Password: password, Host: "127.0.0.1",
		Probe: probe.Probe{Kind: probe.KindSSH, Port: m.ssh.Addr().(*net.TCPAddr).Port, Timeout: 50 * time.Millisecond},
	}
}

func open(t *testing.T, c wol.Config) *wol.Transport {
	t.Helper()
	w, err := wol.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTransport(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ at, password string }{
		"unicast":   {"127.0.0.1", ""},
		"broadcast": {"127.255.255.255", ""},
		"password":  {"127.0.0.1", password},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transporttest.Run(t, func(t *testing.T) transporttest.Subject {
				var mu sync.Mutex // the driver reads while the suite adds
				shelf, machines := wol.Machines{}, map[transport.Ref]*machine{}
				return transporttest.Subject{
					Transport: open(t, wol.Config{Find: func(r transport.Ref) (wol.Machine, bool) {
						mu.Lock()
						defer mu.Unlock()
						return shelf.Find(r)
					}}),
					Stopped: func() transport.Ref {
						mu.Lock()
						defer mu.Unlock()
						ref := transport.Ref{StudioID: "lab", SessionID: fmt.Sprint("ws-", len(shelf))}
						machines[ref] = newMachine(t, test.at, test.password)
						shelf[ref.SessionID] = machines[ref].config(test.password)
						return ref
					},
					Missing: transport.Ref{StudioID: "lab", SessionID: "missing"},
					Starts:  func(ref transport.Ref) int { return machines[ref].set(func() {}).starts },
					Mute:    func(ref transport.Ref, mute bool) { machines[ref].set(func() { machines[ref].mute = mute }) },
					Secret:  password,
				}
			})
		})
	}
}

func start(t *testing.T, w *wol.Transport) (transport.Session, error) {
	t.Helper()
	return w.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"})
}

// look reads until the state differs from the argument from.
func look(t *testing.T, w *wol.Transport, from fsm.State) transport.Session {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		got, err := w.Get(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != from {
			return got
		}
	}
	t.Fatalf("it is still %s", from)
	return transport.Session{}
}

// TestLostPacket checks that a Get sends another packet if the first is lost.
func TestLostPacket(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "127.0.0.1", "")
	m.set(func() { m.deaf = 1 })
	w := open(t, wol.Config{Find: wol.Machines{ref.SessionID: m.config("")}.Find})
	got, err := start(t, w)
	if err != nil || got.State != fsm.StateStartInProgress || got.StatusCode != wol.Woken {
		t.Fatalf("%+v, %v", got, err)
	}
	if got = look(t, w, fsm.StateStartInProgress); got.State != fsm.StateReady {
		t.Errorf("%+v", got)
	}
	if n := m.set(func() {}); n.packets != 2 || n.starts != 1 {
		t.Errorf("%+v, want two packets and one start", n)
	}
}

func TestNeverAnswers(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "127.0.0.1", "")
	m.set(func() { m.deaf = 1000 })
	w := open(t, wol.Config{Find: wol.Machines{ref.SessionID: m.config("")}.Find, Boot: 150 * time.Millisecond})
	if got := look(t, w, ""); got.State != fsm.StateStopped || !strings.Contains(got.StatusMessage, "(ssh) of 127.0.0.1 does not answer") {
		t.Errorf("before it was woken: %+v", got)
	}
	if n := m.set(func() {}); n.packets != 0 {
		t.Errorf("a look alone sent %d packets", n.packets)
	}
	if _, err := start(t, w); err != nil {
		t.Fatal(err)
	}
	got := look(t, w, "")
	if got.State != fsm.StateStartInProgress || !strings.Contains(got.StatusMessage, "by 1 magic packets; port ") {
		t.Errorf("after it was woken: %+v", got)
	}
	got = look(t, w, fsm.StateStartInProgress)
	if got.State != fsm.StateStartFailed || got.StatusCode != wol.NoAnswer || !strings.Contains(got.StatusMessage, "silent for 150ms; port ") {
		t.Errorf("after its time: %+v", got)
	}
	if _, err := start(t, w); err != nil { // another attempt
		t.Fatal(err)
	}
	if got = look(t, w, ""); got.State != fsm.StateStartInProgress {
		t.Errorf("woken again: %+v", got)
	}
	m.set(func() { m.on = true }) // a person switches it on, and late
	if got = look(t, w, fsm.StateStartInProgress); got.State == fsm.StateStartFailed {
		got = look(t, w, fsm.StateStartFailed)
	}
	if got.State != fsm.StateReady {
		t.Errorf("switched on by hand: %+v", got)
	}
	m.set(func() { m.on = false })
	if got = look(t, w, fsm.StateReady); got.State != fsm.StateStopped {
		t.Errorf("switched off: %+v", got)
	}
}

// TestWrongPassword sends packets with the wrong password, which the card ignores.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "127.0.0.1", password)
	w := open(t, wol.Config{Find: wol.Machines{ref.SessionID: m.config("")}.Find, Boot: 100 * time.Millisecond})
	if _, err := start(t, w); err != nil {
		t.Fatal(err)
	}
	if got := look(t, w, fsm.StateStartInProgress); got.State != fsm.StateStartFailed {
		t.Errorf("%+v", got)
	}
}

// TestRunningButSilentPort checks that a machine that refuses a connection is not off,
// and gets no more packets.
func TestRunningButSilentPort(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "127.0.0.1", "")
	_ = m.ssh.Close()
	w := open(t, wol.Config{Find: wol.Machines{ref.SessionID: m.config("")}.Find})
	for range 2 {
		got := look(t, w, "")
		if got.State != fsm.StateStartInProgress || got.StatusCode != probe.CodeUnanswered || !strings.HasPrefix(got.StatusMessage, "running, but port ") {
			t.Errorf("%+v", got)
		}
		if _, err := start(t, w); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "127.0.0.1", "")
	shelf := wol.Machines{ref.SessionID: m.config("")}
	in := transport.StopInput{Ref: ref, ClientToken: "evening"}
	_, err := open(t, wol.Config{Find: shelf.Find}).Stop(t.Context(), in)
	wantError(t, "no command", err, transport.KindInvalid, "Wake-on-LAN only wakes, and no stop command is set")

	// Every machine that runs tests has the Go tool, and the test can read its arguments.
	w := open(t, wol.Config{Find: shelf.Find, Stop: []string{"go", "tool", "-n", "{session}"}})
	_, err = w.Stop(t.Context(), in)
	wantError(t, "a command that fails", err, transport.KindUnknown, "ws-1")

	w = open(t, wol.Config{Find: shelf.Find, Stop: []string{"go", "version"}})
	m.set(func() { m.deaf = 1000 })
	if _, err := start(t, w); err != nil {
		t.Fatal(err)
	}
	got, err := w.Stop(t.Context(), in)
	if err != nil || got.State != fsm.StateStopInProgress || got.Ref != ref {
		t.Errorf("%+v, %v", got, err)
	}
	if got := look(t, w, ""); got.State != fsm.StateStopped {
		t.Errorf("after the stop: %+v", got)
	}
	_, err = w.Stop(t.Context(), transport.StopInput{Ref: transport.Ref{StudioID: "lab", SessionID: "missing"}, ClientToken: "evening"})
	wantError(t, "nobody's machine", err, transport.KindNotFound, "lab/missing")
}

func wantError(t *testing.T, what string, err error, kind transport.Kind, text string) {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %v and %q", what, err, kind, text)
	}
}

func TestMachineCheck(t *testing.T) {
	t.Parallel()
	ssh := probe.Probe{Kind: probe.KindSSH, Port: 22}
	for _, good := range []wol.Machine{
		{MAC: mac, Probe: ssh},
		{MAC: "52-54-00-12-34-56", Address: "10.0.0.255", Probe: ssh},
		{MAC: "5254.0012.3456", Address: "10.0.0.255:7", Password: password, Host: "ws", Probe: ssh},
		{MAC: mac, Address: "fe80::1%eth0", Probe: ssh},
		{MAC: mac, Address: "[ff02::1]:9", Probe: ssh},
	} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for want, bad := range map[string]wol.Machine{
		`MAC "": want six bytes`:                  {Probe: ssh},
		`MAC "ws-1": want six`:                    {MAC: "ws-1", Probe: ssh},
		`MAC "02:00:5e:10:00:00:00:01": want six`: {MAC: "02:00:5e:10:00:00:00:01", Probe: ssh},
		"the SecureOn password: want six bytes":   {MAC: mac, Password: "hunter2", Probe: ssh},
		`address "10.0.0.255:0": want a host`:     {MAC: mac, Address: "10.0.0.255:0", Probe: ssh},
		`address ":9": want a host`:               {MAC: mac, Address: ":9", Probe: ssh},
		"a probe is required":                     {MAC: mac},
		"probe: port 0: want 1 to 65535":          {MAC: mac, Probe: probe.Probe{Kind: probe.KindTCP}},
	} {
		err := bad.Validate()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, want)
		}
		w := open(t, wol.Config{Find: wol.Machines{ref.SessionID: bad}.Find})
		_, err = start(t, w)
		wantError(t, "Start", err, transport.KindInvalid, "the machine of lab/ws-1: ")
		_, err = w.Get(t.Context(), ref)
		wantError(t, "Get", err, transport.KindInvalid, want)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	find := wol.Machines{}.Find
	for want, c := range map[string]wol.Config{
		"Find is required":             {},
		"boot time -1s is negative":    {Find: find, Boot: -time.Second},
		"wol: stop command: {host} in": {Find: find, Stop: []string{"ssh", "{host}"}},
	} {
		if w, err := wol.New(c); w != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestTraits(t *testing.T) {
	t.Parallel()
	w := open(t, wol.Config{Find: wol.Machines{}.Find})
	if got, want := w.Traits(ref), (transport.Traits{Repeat: transport.RepeatByState, StaleFor: wol.DefaultBoot, Authoritative: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func Example() {
	t, err := wol.New(wol.Config{
		Find: wol.Machines{"node-01": {
			MAC: "52:54:00:12:34:56", Address: "127.0.0.1", Host: "127.0.0.1",
			Probe: probe.Probe{Kind: probe.KindSSH, Port: 1},
		}}.Find,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	node := transport.Ref{StudioID: "shelf", SessionID: "node-01"}
	session, err := t.Start(context.Background(), transport.StartInput{Ref: node, ClientToken: "monday"})
	fmt.Println(session.State, session.StatusCode, err)
	session, err = t.Get(context.Background(), node)
	fmt.Println(session.State, session.StatusMessage, err)
	// Output:
	// START_IN_PROGRESS WOKEN <nil>
	// START_IN_PROGRESS running, but port 1 (ssh) of 127.0.0.1 does not answer from this computer: connection refused <nil>
}

// TestStopIDs checks that an id that a shell or a program could misread does not reach
// the stop command. The id can still wake its machine.
func TestStopIDs(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "127.0.0.1", "")
	find := func(transport.Ref) (wol.Machine, bool) { return m.config(""), true }
	w := open(t, wol.Config{Find: find, Stop: []string{"go", "version", "{session}"}})
	for _, id := range []string{"-C", "ws;id", "$(id)"} {
		bad := transport.Ref{StudioID: "lab", SessionID: id}
		_, err := w.Stop(t.Context(), transport.StopInput{Ref: bad, ClientToken: "evening"})
		wantError(t, id, err, transport.KindInvalid, "session id")
		if _, err := w.Start(t.Context(), transport.StartInput{Ref: bad, ClientToken: "monday"}); err != nil {
			t.Errorf("Start of %s: %v", bad, err)
		}
	}
	w = open(t, wol.Config{Find: find, Stop: []string{"go", "version"}, IDCharacters: ";"})
	if _, err := w.Stop(t.Context(), transport.StopInput{Ref: transport.Ref{StudioID: "lab", SessionID: "ws;id"}, ClientToken: "evening"}); err != nil {
		t.Errorf("a character that the Config allows: %v", err)
	}
}

// TestStopHidesSecrets checks that the error of a failing stop command shows no secret.
func TestStopHidesSecrets(t *testing.T) {
	m := newMachine(t, "127.0.0.1", "")
	t.Setenv("NODE_LOGIN", "hunter2-login")
	t.Setenv("NODE_PASS", "hunter2-pass")
	w := open(t, wol.Config{
		Find: wol.Machines{ref.SessionID: m.config("")}.Find, Secrets: []string{"NODE_LOGIN"},
		// Every machine that runs tests has the Go tool, which names a command that it
		// does not know.
		Stop: []string{"go", "hunter2-login,hunter2-pass"},
	})
	_, err := w.Stop(t.Context(), transport.StopInput{Ref: ref, ClientToken: "evening"})
	wantError(t, "a command that prints secrets", err, transport.KindUnknown, "[secret],[secret]")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

// TestProbeCommand checks that a machine whose port answers runs, whatever its command
// prints and however long that takes. It is not STOPPED.
func TestProbeCommand(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "127.0.0.1", "")
	m.set(func() { m.on = true })
	at := m.config("")
	at.Probe.Timeout = 20 * time.Second
	// Every machine that runs tests has the Go tool.
	for _, row := range []struct {
		args  []string
		state fsm.State
	}{{[]string{"go", "version"}, fsm.StateReady}, {[]string{"go", "no-such-command"}, fsm.StateStartInProgress}} {
		at.Probe.Command = &probe.Command{Args: row.args}
		got, err := open(t, wol.Config{Find: wol.Machines{ref.SessionID: at}.Find}).Get(t.Context(), ref)
		if err != nil || got.State != row.state {
			t.Errorf("%q: %+v, %v, want %s", row.args, got, err, row.state)
		}
		if row.state != fsm.StateReady && (got.StatusCode != probe.CodeCommandFailed || !strings.Contains(got.StatusMessage, "no-such-command")) {
			t.Errorf("%q: %+v", row.args, got)
		}
	}
}
