//go:build linux

package libvirt_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/hypervisor"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/libvirt"
	"github.com/rouse-dev/rouse/transport/probe"
	"github.com/rouse-dev/rouse/transport/transporttest"

	client "github.com/digitalocean/go-libvirt"
)

// guests are emulated machines. Each has a port of its own.
type guests struct {
	testing.TB
	*hypervisor.Daemon
	l    *client.Libvirt
	disk string

	mu    sync.Mutex
	ports map[string]int
}

func newGuests(t testing.TB, d *hypervisor.Daemon) *guests {
	t.Helper()
	return &guests{TB: t, Daemon: d, l: d.Hold(client.QEMUSession), disk: d.Disk(), ports: map[string]int{}}
}

// defined counts guests.
var defined atomic.Int64

func (g *guests) stopped() transport.Ref {
	g.TB.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		g.TB.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port // the port is free, and the guest soon takes it
	_ = l.Close()
	name := fmt.Sprint("ws-", defined.Add(1)) // a port may be used again, and the log of a name counts all its starts
	hypervisor.Guest(g.TB, g.l, name, g.disk, port)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ports[name] = port
	return transport.Ref{StudioID: "lab", SessionID: name}
}

func (g *guests) starts(ref transport.Ref) int { return g.Starts(ref.SessionID) }

// byPort returns a Transport for one guest, because a probe has one port.
func (g *guests) byPort(t testing.TB, ref transport.Ref) *libvirt.Transport {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	return open(t, libvirt.Config{
		URI: "qemu:///session", Socket: g.Socket(), Host: "127.0.0.1",
		Probe: probe.Probe{Kind: probe.KindSSH, Port: g.ports[ref.SessionID], Timeout: 300 * time.Millisecond},
	})
}

// fresh says that reads are stale for no more than one second. The driver itself uses the
// default of 30 s, and the suite would wait for that.
type fresh struct{ *libvirt.Transport }

func (f fresh) Traits(ref transport.Ref) transport.Traits {
	tr := f.Transport.Traits(ref)
	tr.StaleFor = time.Second
	return tr
}

func TestQEMU(t *testing.T) {
	t.Parallel()
	d := hypervisor.New(t)
	transporttest.Run(t, func(t *testing.T) transporttest.Subject {
		g, way := newGuests(t, d), &line{socket: d.Socket()}
		return transporttest.Subject{
			Transport:  fresh{open(t, libvirt.Config{URI: "qemu:///session", Dial: way.dial})},
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

// TestGuestBoots starts a real guest from shut off to READY. It is READY only when its
// own code answers.
func TestGuestBoots(t *testing.T) {
	t.Parallel()
	d := hypervisor.New(t)
	g := newGuests(t, d)
	ref := g.stopped()
	l := g.byPort(t, ref)
	wantState(t, l, ref, fsm.StateStopped)
	got, err := l.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"})
	if err != nil || got.State != fsm.StateStartInProgress {
		t.Fatalf("%+v, %v", got, err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		got, err := l.Get(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if got.State == fsm.StateReady {
			break
		}
		if got.State != fsm.StateStartInProgress || got.StatusCode != probe.CodeUnanswered || time.Now().After(deadline) {
			t.Fatalf("%+v", got)
		}
	}
	if got, err := l.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "tuesday"}); err != nil || got.State != fsm.StateStartInProgress {
		t.Errorf("%+v, %v", got, err)
	}
	if n := g.starts(ref); n != 1 {
		t.Errorf("%d starts, want one", n)
	}
}

// TestGuestCannotStart checks that the operation ends with libvirt's own message.
func TestGuestCannotStart(t *testing.T) {
	t.Parallel()
	d := hypervisor.New(t)
	g := newGuests(t, d)
	g.disk = filepath.Join(d.Dir, "no-such-disk")
	ref := g.stopped()
	l := g.byPort(t, ref)
	got, err := l.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"})
	if err != nil || got.State != fsm.StateStartFailed || got.StatusCode != "VIR_ERR_38" || !strings.Contains(got.StatusMessage, "no-such-disk") {
		t.Errorf("%+v, %v", got, err)
	}
	wantState(t, l, ref, fsm.StateStopped)
}
