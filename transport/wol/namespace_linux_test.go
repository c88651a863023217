package wol_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
	"github.com/rouse-dev/rouse/transport/transporttest"
	"github.com/rouse-dev/rouse/transport/wol"
)

// The tests below run between two network namespaces joined by a cable, a real Ethernet.
// One namespace is this computer. In the other is a card without an address, as in a
// machine that is off. The test binary runs itself in each.
const (
	role   = "ROUSE_WOL_ROLE"   // the part that a process plays: "machines" or "waker"
	folder = "ROUSE_WOL_FOLDER" // where the machines count their starts
	subnet = "10.77.0."
)

func TestNamespaces(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		skip(t, "network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		skip(t, "no ip command: apt-get install iproute2")
	}
	here, there := fmt.Sprintf("rouse-here-%d", os.Getpid()), fmt.Sprintf("rouse-there-%d", os.Getpid())
	for _, ns := range []string{here, there} {
		if out, err := exec.CommandContext(t.Context(), "ip", "netns", "add", ns).CombinedOutput(); err != nil {
			skip(t, fmt.Sprintf("no network namespaces here: %v: %s", err, out))
		}
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	}
	for _, args := range []string{
		"link add rousehere netns " + here + " type veth peer name rousethere netns " + there,
		"-n " + here + " addr add " + subnet + "1/24 brd + dev rousehere",
		"-n " + here + " link set lo up",
		"-n " + here + " link set rousehere up",
		"-n " + there + " link set rousethere up",
	} {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	dir := t.TempDir()
	machines := inNamespace(t, there, "machines", dir)
	said, err := machines.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := machines.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = machines.Process.Kill(), machines.Wait() }()
	for out := bufio.NewScanner(said); out.Text() != "listening"; {
		if !out.Scan() {
			t.Fatal("the machines did not begin to listen")
		}
	}
	out, err := inNamespace(t, here, "waker", dir).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestInNamespace/waker/StartMakesReady")) ||
		!bytes.Contains(out, []byte("--- PASS: TestInNamespace/waker/SessionUnreachable")) {
		t.Errorf("the waker: %v\n%s", err, out)
	}
}

// skip skips the test, or fails it if the variable CI is true.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func inNamespace(t *testing.T, ns, as, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", ns, os.Args[0], "-test.run=^TestInNamespace$", "-test.v")
	cmd.Env = append(os.Environ(), role+"="+as, folder+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// TestInNamespace runs in the processes of TestNamespaces.
func TestInNamespace(t *testing.T) {
	switch os.Getenv(role) {
	case "machines":
		machines(t)
	case "waker":
		t.Run("waker", func(t *testing.T) { transporttest.Run(t, waker) })
		t.Run("raw", wakeByAddressOfNobody)
		t.Run("offline", offline)
	default:
		t.Skip("run by TestNamespaces")
	}
}

// machineAt returns the n-th machine: its card's address, and the IP address that it has
// once it runs.
func machineAt(n int) wol.Machine {
	return wol.Machine{
		MAC: fmt.Sprintf("02:00:00:00:00:%02x", n), Address: subnet + "255", Host: subnet + strconv.Itoa(n),
		Probe: probe.Probe{Kind: probe.KindSSH, Port: 22, Timeout: 100 * time.Millisecond},
	}
}

// elsewhere has machines in a network without a route to it.
var elsewhere sync.Map

func find(ref transport.Ref) (wol.Machine, bool) {
	n, err := strconv.Atoi(ref.SessionID)
	m := machineAt(n)
	if _, ok := elsewhere.Load(ref); ok {
		m.Address, m.Host = "10.78.0.255", "10.78.0."+strconv.Itoa(n)
	}
	return m, err == nil
}

var nextMachine = 1 // 1 is this computer's own address

func waker(t *testing.T) transporttest.Subject {
	return transporttest.Subject{
		Transport: open(t, wol.Config{Find: find}),
		Stopped: func() transport.Ref {
			nextMachine++
			return transport.Ref{StudioID: "lab", SessionID: strconv.Itoa(nextMachine)}
		},
		Missing: transport.Ref{StudioID: "lab", SessionID: "missing"},
		Starts: func(ref transport.Ref) int {
			text, _ := os.ReadFile(filepath.Join(os.Getenv(folder), ref.SessionID))
			return len(text)
		},
		Unreachable: func(ref transport.Ref) { elsewhere.Store(ref, true) },
		Offline: func(off bool) {
			state := "up"
			if off {
				state = "down"
			}
			if out, err := exec.Command("ip", "link", "set", "rousehere", state).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			// The kernel reports a second later that the cable is connected again.
			for deadline := time.Now().Add(20 * time.Second); !off && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if i, err := net.InterfaceByName("rousehere"); err == nil && i.Flags&net.FlagRunning != 0 {
					return
				}
			}
		},
	}
}

// wakeByAddressOfNobody checks that a machine that is off has no address. A packet to its
// address does not arrive, and it stays off. The status says what was tried.
func wakeByAddressOfNobody(t *testing.T) {
	w := open(t, wol.Config{Boot: 300 * time.Millisecond, Find: func(transport.Ref) (wol.Machine, bool) {
		m := machineAt(200)
		m.Address = m.Host
		return m, true
	}})
	if _, err := start(t, w); err != nil {
		t.Fatal(err)
	}
	if got := look(t, w, fsm.StateStartInProgress); got.State != fsm.StateStartFailed || !strings.Contains(got.StatusMessage, "port 22 (ssh) of 10.77.0.200") {
		t.Errorf("%+v", got)
	}
}

// offline checks that this computer can neither wake nor probe without a network. The
// error is about this computer, not about the machine.
func offline(t *testing.T) {
	if out, err := exec.Command("ip", "link", "set", "rousehere", "down").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w := open(t, wol.Config{Find: func(transport.Ref) (wol.Machine, bool) { return machineAt(201), true }})
	_, err := start(t, w)
	wantError(t, "Start", err, transport.KindUnreachable, "waking lab/ws-1")
	_, err = w.Get(t.Context(), ref)
	wantError(t, "Get", err, transport.KindUnreachable, "network is unreachable")
}

// machines are all cards at the cable's other end. A card that gets its magic packet
// counts a start and takes its address. From then on the machine runs.
func machines(t *testing.T) {
	ssh, err := net.Listen("tcp4", ":22")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ssh.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "SSH-2.0-rouse\r\n")
			_ = c.Close()
		}
	}()
	const all = 0x0300 // ETH_P_ALL, in network byte order
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, all)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("listening")
	frame, on := make([]byte, 2000), map[int]bool{}
	for {
		size, _, err := syscall.Recvfrom(fd, frame, 0)
		if err != nil {
			t.Fatal(err)
		}
		for n := 2; n < 200; n++ {
			mac, _ := net.ParseMAC(machineAt(n).MAC)
			magic := append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...)
			if !on[n] && bytes.Contains(frame[:size], magic) {
				on[n] = true
				switchOn(t, n)
			}
		}
	}
}

func switchOn(t *testing.T, n int) {
	f, err := os.OpenFile(filepath.Join(os.Getenv(folder), strconv.Itoa(n)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ip", "addr", "add", machineAt(n).Host+"/24", "dev", "rousethere").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
