//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReload: SIGHUP applies a new settings file to a process that runs. A file that is
// wrong, or that asks for what needs a restart, changes nothing and is explained.
func TestReload(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, shortBoot)
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rouse.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "UP", provider.url())), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Nothing listens there, so the starts wait.
	const first = "[studio.lab]\ntransport = 'nimble'\nendpoint = 'http://127.0.0.1:1'\n"
	write(first)
	env = append(env, "ROUSE_CONFIG="+file)
	p := launch(t, env, "run")
	p.until("made a new database")
	hup := func() {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	launch(t, env, "start", "lab", "ws-1").exit(0)
	p.until("the provider cannot be reached")

	write("[studio.lab]\ntransport = 'nimble'\nendpiont = 'UP'\n")
	hup()
	p.until(`rouse.toml:3: studio.lab.endpiont: unknown key; did you mean "endpoint"?`)
	p.until("not reloaded: the settings stay as they were")

	write("[engine]\ntimeout = '14s'\n[studio.lab]\ntransport = 'nimble'\nendpoint = 'UP'\n")
	hup()
	p.until(`rouse.toml:2: engine.timeout: it is new: "14s": rouse reads this key when it starts; restart it to apply the change`)
	if got := provider.effects("lab", "ws-1"); got != 0 {
		t.Errorf("the refused settings started the session %d times", got)
	}

	write("[studio.lab]\ntransport = 'nimble'\nendpoint = 'UP'\n[studio.new]\ntransport = 'nimble'\nendpoint = 'UP'\n[lane.lab]\nrate = 3\n")
	hup()
	p.until(`rouse.toml:3: studio.lab.endpoint: it is "` + provider.url() + `"; it was "http://127.0.0.1:1"`)
	p.until(`rouse.toml:5: studio.new.transport: it is new: "nimble"`)
	p.until("4 keys have changed")
	p.until("ws-1  SUCCEEDED, session READY")
	for _, studio := range []string{"lab", "new"} { // through the same socket
		launch(t, env, "start", studio, "ws-2", "--wait").exit(0)
	}
	hup()
	p.until("no key has changed")
	launch(t, env, "start", "lab", "ws-3", "--wait").exit(0)
	p.interrupt()
	p.exit(0)
	for _, session := range []string{"ws-1", "ws-2", "ws-3"} {
		if got := provider.effects("lab", session); got != 1 {
			t.Errorf("%s was started %d times", session, got)
		}
	}
}

// TestReloadOfFlags: without a file there is nothing to read again, and the process goes on.
func TestReloadOfFlags(t *testing.T) {
	t.Parallel()
	_, env := fixture(t, shortBoot)
	p := launch(t, env, "run")
	p.until("made a new database")
	launch(t, env, "stats").exit(0) // it waits until the engine answers
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.until("no settings file is in use")
	p.interrupt()
	p.exit(0)
}
