package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestManager: the service manager hears when rouse is ready, that it is alive, what it
// does, when it reloads, and when it stops.
func TestManager(t *testing.T) {
	t.Parallel()
	_, env := fixture(t, shortBoot)
	file, socket := filepath.Join(t.TempDir(), "rouse.toml"), filepath.Join(t.TempDir(), "notify")
	if err := os.WriteFile(file, []byte("[studio.lab]\ntransport = 'nimble'\nendpoint = 'http://127.0.0.1:1'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	// heard reads messages until one begins with want.
	heard := func(want string) {
		t.Helper()
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				t.Fatalf("%s is not heard: %v", want, err)
			}
			if strings.HasPrefix(string(b[:n]), want) {
				return
			}
		}
	}
	p := launch(t, append(env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=200000", "ROUSE_CONFIG="+file), "run")
	heard("READY=1")
	heard("STATUS=0 queued, 0 starting")
	heard("WATCHDOG=1")
	heard("WATCHDOG=1")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	heard("RELOADING=1\nMONOTONIC_USEC=")
	heard("READY=1")
	heard("WATCHDOG=1")
	p.interrupt()
	heard("STOPPING=1")
	p.exit(0)
}

// TestUnits: the commands of the systemd units are commands of this tool, with flags that it
// has.
func TestUnits(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob("../../packaging/systemd/*.service")
	if err != nil || len(units) != 2 {
		t.Fatalf("the units are %q, %v", units, err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(string(text), "\nExecStart=/usr/bin/rouse ")
		line, _, _ = strings.Cut(line, "\n")
		c, rest, err := newTool(io.Discard, io.Discard).commands().Find(strings.Fields(line))
		if err == nil {
			err = c.ParseFlags(rest)
		}
		if err != nil || !c.Runnable() || c.Name() == "rouse" {
			t.Errorf("%s: rouse %s: %v", unit, line, err)
		}
	}
}
