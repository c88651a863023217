package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/hypervisor"

	"github.com/digitalocean/go-libvirt"
)

// shelf is a machine that is off. It has no address until its network card receives a
// magic packet. Then it is an SSH server.
func shelf(t *testing.T, f *follower) {
	ip(t, "link add cable type veth peer name machine")
	ip(t, "addr add 10.0.0.1/24 brd + dev cable")
	ip(t, "link set cable up")
	ip(t, "link set machine up")
	card, err := net.ListenPacket("udp4", ":9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = card.Close() })
	woken := make(chan struct{})
	go func() {
		packet := make([]byte, 200)
		for magic := bytes.Repeat([]byte("\x52\x54\x00\x12\x34\x56"), 16); ; {
			n, _, err := card.ReadFrom(packet)
			if err != nil {
				return
			}
			if bytes.Contains(packet[:n], magic) {
				break
			}
		}
		if out, err := exec.Command("ip", "addr", "add", "10.0.0.21/32", "dev", "lo").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
			return
		}
		close(woken)
		greet(t, "10.0.0.21:22")
	}()
	f.then = append(f.then, func() {
		select {
		case <-woken:
		default:
			t.Error("the machine is READY, and was never woken")
		}
	})
}

// greet is an SSH server that sends only its banner.
func greet(t *testing.T, at string) {
	l, err := net.Listen("tcp4", at)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { _ = l.Close() })
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "SSH-2.0-node\r\n")
		_ = conn.Close()
	}
}

// rack is machines that are off, behind a script in place of ipmitool.
func rack(t *testing.T, f *follower) {
	tool := `#!/bin/sh
# ipmitool -I lanplus -N 1 -R 3 -H bmc-MACHINE -U rouse -E chassis power on|status
test "$IPMI_PASSWORD" = planted || exit 1
case ${14} in
on) echo on >>"$8"; echo "Chassis Power Control: Up/On" ;;
status) test -e "$8" && echo "Chassis Power is on" || echo "Chassis Power is off" ;;
esac
`
	if err := child.WriteProgram(filepath.Join(f.dir, "ipmitool"), []byte(tool)); err != nil {
		t.Fatal(err)
	}
	f.env = append(f.env, "IPMI_PASSWORD=planted", "PATH="+f.dir+":"+os.Getenv("PATH"))
	f.then = append(f.then, func() {
		if on, err := os.ReadFile(filepath.Join(f.dir, "bmc-node-07")); string(on) != "on\n" {
			t.Errorf("the machine was switched on as %q, %v; want once", on, err)
		}
	})
}

// guests is one virtual machine that is shut off.
func guests(t *testing.T, f *follower) {
	d := hypervisor.New(t)
	l := d.Hold(libvirt.QEMUSession)
	hypervisor.Guest(t, l, "ws-042", d.Disk(), 2222)
	f.env = append(f.env, "XDG_RUNTIME_DIR="+d.Runtime())
	f.then = append(f.then, func() {
		if n := d.Starts("ws-042"); n != 1 {
			t.Errorf("the guest was started %d times, want once", n)
		}
	})
}
