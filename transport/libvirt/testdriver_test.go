//go:build linux

package libvirt_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/hypervisor"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/libvirt"
	"github.com/rouse-dev/rouse/transport/probe"
	"github.com/rouse-dev/rouse/transport/transporttest"

	client "github.com/digitalocean/go-libvirt"
)

func testDomain(name string) string {
	return fmt.Sprintf(`<domain type='test'><name>%s</name><memory>8192</memory><os><type>hvm</type></os></domain>`, name)
}

// fleet has domains of libvirt's test driver. It counts starts by the daemon's events.
type fleet struct {
	testing.TB
	l      *client.Libvirt
	events <-chan client.DomainEventLifecycleMsg
	fence  client.Domain
	starts map[string]int
	made   int
}

func newFleet(t testing.TB, d *hypervisor.Daemon) *fleet {
	t.Helper()
	l := d.Hold(client.TestDefault)
	ctx, cancel := context.WithCancel(context.Background())
	events, err := l.LifecycleEvents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		for range events { // events ends after cancel
		}
	})
	return &fleet{TB: t, l: l, events: events, fence: hypervisor.Define(t, l, testDomain("fence")), starts: map[string]int{}}
}

func (f *fleet) stopped() transport.Ref {
	f.Helper()
	f.made++
	name := fmt.Sprint("ws-", f.made)
	hypervisor.Define(f, f.l, testDomain(name))
	return transport.Ref{StudioID: "lab", SessionID: name}
}

// count returns how often a domain was started. Events arrive in order. Once the event of
// the domain "fence" arrives, all earlier events have arrived.
func (f *fleet) count(ref transport.Ref) int {
	f.Helper()
	if err := f.l.DomainCreate(f.fence); err != nil {
		f.Fatal(err)
	}
	for e := range f.events {
		if e.Event != int32(client.DomainEventStarted) {
			continue
		}
		if e.Dom.Name == f.fence.Name {
			break
		}
		f.starts[e.Dom.Name]++
	}
	if err := f.l.DomainDestroy(f.fence); err != nil {
		f.Fatal(err)
	}
	return f.starts[ref.SessionID]
}

func TestTestDriver(t *testing.T) {
	t.Parallel()
	d := hypervisor.New(t)
	f := newFleet(t, d) // one daemon for all tests, because the driver forgets domains only after a while
	transporttest.Run(t, func(t *testing.T) transporttest.Subject {
		way, port := &line{socket: d.Socket()}, transporttest.NewPort(t)
		return transporttest.Subject{
			Transport: open(t, libvirt.Config{
				URI: "test:///default", Dial: way.dial, Host: "127.0.0.1", Probe: probe.Probe{Kind: probe.KindSSH, Port: port.Number},
			}),
			Mute:       port.Mute,
			Stopped:    f.stopped,
			Missing:    transport.Ref{StudioID: "lab", SessionID: "missing"},
			Starts:     f.count,
			LoseAnswer: func() { way.set(func() { way.lose = true }) },
			Hang:       func() { way.set(func() { way.hang = true }) },
			Offline:    func(off bool) { way.set(func() { way.off = off }) },
		}
	})
}

func open(t testing.TB, c libvirt.Config) *libvirt.Transport {
	t.Helper()
	l, err := libvirt.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLife(t *testing.T) {
	t.Parallel()
	d := hypervisor.New(t)
	f := newFleet(t, d)
	l, ref := open(t, libvirt.Config{URI: "test:///default", Socket: d.Socket()}), f.stopped()
	domain, err := f.l.DomainLookupByName(ref.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	byUUID := transport.Ref{StudioID: "lab", SessionID: fmt.Sprintf("%x-%x-%x-%x-%x",
		domain.UUID[:4], domain.UUID[4:6], domain.UUID[6:8], domain.UUID[8:10], domain.UUID[10:])}
	in := transport.StopInput{Ref: ref, ClientToken: "evening"}

	wantState(t, l, byUUID, fsm.StateStopped)
	_, err = l.Stop(t.Context(), in)
	wantKind(t, "Stop of what does not run", err, transport.KindConflict)
	got, err := l.Start(t.Context(), transport.StartInput{Ref: byUUID, ClientToken: "monday"})
	if err != nil || got.State != fsm.StateReady || got.Ref != byUUID {
		t.Fatalf("%+v, %v", got, err)
	}
	wantState(t, l, ref, fsm.StateReady)
	if err := f.l.DomainSuspend(domain); err != nil {
		t.Fatal(err)
	}
	if got := wantState(t, l, ref, fsm.StateStartInProgress); got.StatusCode != "PAUSED" {
		t.Errorf("%+v", got)
	}
	if got, err := l.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "tuesday"}); err != nil || got.State != fsm.StateStartInProgress {
		t.Errorf("Start of what is paused: %+v, %v", got, err)
	}
	if err := f.l.DomainResume(domain); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Stop(t.Context(), in); err != nil || got.State != fsm.StateStopInProgress || got.Ref != ref {
		t.Errorf("%+v, %v", got, err)
	}
	wantState(t, l, ref, fsm.StateStopped)
	if n := f.count(ref); n != 1 {
		t.Errorf("%d starts, want one", n)
	}
	_, err = l.Stop(t.Context(), transport.StopInput{Ref: transport.Ref{StudioID: "lab", SessionID: "missing"}, ClientToken: "x"})
	if e := wantKind(t, "a missing domain", err, transport.KindNotFound); e.Code != "VIR_ERR_42" || !strings.Contains(err.Error(), "lab/missing: ") {
		t.Errorf("%+v", e)
	}
}

func wantState(t *testing.T, l *libvirt.Transport, ref transport.Ref, want fsm.State) transport.Session {
	t.Helper()
	got, err := l.Get(t.Context(), ref)
	if err != nil || got.State != want || got.Ref != ref {
		t.Fatalf("%+v, %v, want %s", got, err, want)
	}
	return got
}

// TestReconnect checks that calls work again after the daemon was restarted.
func TestReconnect(t *testing.T) {
	t.Parallel()
	d := hypervisor.New(t)
	l, ref := open(t, libvirt.Config{URI: "test:///default", Socket: d.Socket()}), transport.Ref{StudioID: "lab", SessionID: "test"}
	wantState(t, l, ref, fsm.StateReady)
	d.Kill()
	_, err := l.Get(t.Context(), ref)
	if e := wantKind(t, "Get", err, transport.KindUnreachable); !e.NotSent {
		t.Errorf("%v was sent", err)
	}
	_, err = l.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"})
	if e := wantKind(t, "Start", err, transport.KindUnreachable); !e.NotSent || !strings.Contains(err.Error(), "connecting to the libvirt of lab/test") {
		t.Errorf("%v was sent", err)
	}
	d.Start()
	wantState(t, l, ref, fsm.StateReady)
}

// TestNoSuchDriver checks that nothing was sent if the daemon cannot open the URI.
func TestNoSuchDriver(t *testing.T) {
	t.Parallel()
	d := hypervisor.New(t)
	l := open(t, libvirt.Config{URI: "bogus:///system", Socket: d.Socket()})
	_, err := l.Get(t.Context(), transport.Ref{StudioID: "lab", SessionID: "test"})
	if e := wantKind(t, "Get", err, transport.KindUnreachable); !e.NotSent || !strings.Contains(err.Error(), "bogus") {
		t.Errorf("%v", err)
	}
}
