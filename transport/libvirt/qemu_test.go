//go:build linux

package libvirt_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/libvirt"
	"github.com/rouse-dev/rouse/transport/probe"
	"github.com/rouse-dev/rouse/transport/transporttest"

	client "github.com/digitalocean/go-libvirt"
)

// guest is the whole system of a guest: a boot sector that writes its message to
// the first serial port at each tick of the clock. The port is a TCP port of
// this computer, so an SSH banner answers there once the guest has booted, and
// not before.
//
//	        xor  ax, ax
//	        mov  ds, ax
//	        cld
//	start:  sti
//	        hlt
//	        mov  si, message
//	next:   lodsb
//	        test al, al
//	        jz   start
//	        mov  ah, al
//	wait:   mov  dx, 0x3fd
//	        in   al, dx
//	        test al, 0x20
//	        jz   wait
//	        mov  al, ah
//	        mov  dx, 0x3f8
//	        out  dx, al
//	        jmp  next
//	message:
const guest = "\x31\xc0\x8e\xd8\xfc\xfb\xf4\xbe\x21\x7c\xac\x84\xc0\x74\xf6\x88\xc4" +
	"\xba\xfd\x03\xec\xa8\x20\x74\xf8\x88\xe0\xba\xf8\x03\xee\xeb\xe9" + "SSH-2.0-guest\r\n\x00"

func disk() []byte {
	d := make([]byte, 1<<20)
	copy(d, guest)
	d[510], d[511] = 0x55, 0xaa
	return d
}

const qemuDomain = `<domain type='qemu'>
  <name>%s</name><memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><source file='%s'/><target dev='hda' bus='ide'/></disk>
    <serial type='tcp'><source mode='bind' host='127.0.0.1' service='%d'/><protocol type='raw'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>`

// guests are real machines, of an emulated kind. Each has a port of its own.
type guests struct {
	testing.TB
	*daemon
	l    *client.Libvirt
	disk string

	mu    sync.Mutex
	ports map[string]int
}

func newGuests(t testing.TB, d *daemon) *guests {
	t.Helper()
	g := &guests{TB: t, daemon: d, l: d.hold(client.QEMUSession), ports: map[string]int{}}
	g.disk = filepath.Join(d.dir, "disk")
	if _, err := os.Stat(g.disk); err != nil {
		d.file("disk", disk())
	}
	return g
}

func (g *guests) stopped() transport.Ref {
	g.TB.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		g.TB.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port // free, and soon taken again
	_ = l.Close()
	name := fmt.Sprint("ws-", port)
	domain := define(g.TB, g.l, fmt.Sprintf(qemuDomain, name, g.disk, port))
	g.TB.Cleanup(func() {
		_ = g.l.DomainDestroy(domain)
		_ = g.l.DomainUndefine(domain)
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ports[name] = port
	return transport.Ref{StudioID: "lab", SessionID: name}
}

// starts counts how often the daemon has started an emulator for a domain.
func (g *guests) starts(ref transport.Ref) int {
	g.TB.Helper()
	log, err := os.ReadFile(filepath.Join(g.dir, ".cache/libvirt/qemu/log", ref.SessionID+".log"))
	if err != nil && !os.IsNotExist(err) {
		g.TB.Fatal(err)
	}
	return strings.Count(string(log), ": starting up libvirt version")
}

// byPort is a Transport for one guest: a probe has one port.
func (g *guests) byPort(t testing.TB, ref transport.Ref) *libvirt.Transport {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	return open(t, libvirt.Config{
		URI: "qemu:///session", Socket: g.socket(), Host: "127.0.0.1",
		Probe: probe.Probe{Kind: probe.SSH, Port: g.ports[ref.SessionID], Timeout: 300 * time.Millisecond},
	})
}

func TestQEMU(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	transporttest.Run(t, func(t *testing.T) transporttest.Subject {
		g, way := newGuests(t, d), &line{socket: d.socket()}
		return transporttest.Subject{
			Transport:  open(t, libvirt.Config{URI: "qemu:///session", Dial: way.dial}),
			Stopped:    g.stopped,
			Missing:    transport.Ref{StudioID: "lab", SessionID: "missing"},
			Starts:     g.starts,
			LoseAnswer: func() { way.set(func() { way.lose = true }) },
			Hang:       func() { way.set(func() { way.hang = true }) },
			Offline:    func(off bool) { way.set(func() { way.off = off }) },
			Patience:   time.Minute,
		}
	})
}

// TestGuestBoots: a real guest goes from shut off to READY, and READY is said
// only when its own code answers.
func TestGuestBoots(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	g := newGuests(t, d)
	ref := g.stopped()
	l := g.byPort(t, ref)
	wantState(t, l, ref, fsm.Stopped)
	got, err := l.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"})
	if err != nil || got.State != fsm.StartInProgress {
		t.Fatalf("%+v, %v", got, err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		got, err := l.Get(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if got.State == fsm.Ready {
			break
		}
		if got.State != fsm.StartInProgress || got.StatusCode != probe.Unanswered || time.Now().After(deadline) {
			t.Fatalf("%+v", got)
		}
	}
	if got, err := l.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "tuesday"}); err != nil || got.State != fsm.StartInProgress {
		t.Errorf("%+v, %v", got, err)
	}
	if n := g.starts(ref); n != 1 {
		t.Errorf("%d starts, want one", n)
	}
}

// TestGuestCannotStart: libvirt's own words end the operation.
func TestGuestCannotStart(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	g := newGuests(t, d)
	g.disk = filepath.Join(d.dir, "no-such-disk")
	ref := g.stopped()
	l := g.byPort(t, ref)
	got, err := l.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"})
	if err != nil || got.State != fsm.StartFailed || got.StatusCode != "VIR_ERR_38" || !strings.Contains(got.StatusMessage, "no-such-disk") {
		t.Errorf("%+v, %v", got, err)
	}
	wantState(t, l, ref, fsm.Stopped)
}
