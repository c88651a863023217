package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/hypervisor"

	"github.com/digitalocean/go-libvirt"
)

// TestGuest starts a real virtual machine with "rouse start --wait", from shut off until
// its port answers. It kills the tool at three moments in between. Each next run goes on,
// and the machine is started once.
func TestGuest(t *testing.T) {
	t.Parallel()
	d := hypervisor.New(t)
	l := d.Hold(libvirt.QEMUSession)
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port // the port is free, and the guest soon takes it
	_ = free.Close()
	guest := hypervisor.Guest(t, l, "ws-042", d.Disk(), port)

	home := t.TempDir()
	env, db := environment(home), filepath.Join(home, "rouse.db")
	config := filepath.Join(home, "rouse.toml")
	text := fmt.Sprintf("[studio.lab]\ntransport = 'libvirt'\nuri = 'qemu:///session'\nsocket = '%s'\nprobe = 'ssh:%d'\nhost = '127.0.0.1'\n", d.Socket(), port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() *process { return launch(t, env, "--config", config, "start", "lab", "ws-042", "--wait") }
	active := func() bool {
		on, err := l.DomainIsActive(guest)
		if err != nil {
			t.Fatal(err)
		}
		return on != 0
	}
	if active() {
		t.Fatal("the guest runs before it is started")
	}
	killed := 0
	for moment, reached := range []func(p *process) bool{
		func(*process) bool { return exists(db) },
		func(*process) bool { return d.Starts("ws-042") > 0 },
		func(p *process) bool { return strings.Contains(p.errOut.String(), "ws-042") },
	} {
		p := start()
		within(t, time.Minute, fmt.Sprint("moment ", moment), func() bool { return reached(p) || ended(p) })
		_ = p.cmd.Process.Kill()
		<-p.ended
		if p.cmd.ProcessState.ExitCode() == -1 {
			killed++
		}
	}
	if killed < 2 { // the guest may be READY before the third kill
		t.Errorf("the test killed %d of three runs before they ended", killed)
	}
	last := start()
	last.exit(0)
	if !strings.Contains(last.out.String(), "lab ws-042 is READY") {
		t.Errorf("it says %s%s", last.out, last.errOut)
	}
	if n := d.Starts("ws-042"); n != 1 || !active() {
		t.Errorf("the guest was started %d times, and runs: %v; want once", n, active())
	}
	conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// ended reports whether a process has ended.
func ended(p *process) bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}
