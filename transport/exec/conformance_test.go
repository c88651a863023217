//go:build unix

package exec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/exec"
	"github.com/rouse-dev/rouse/transport/probe"
	"github.com/rouse-dev/rouse/transport/transporttest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "open sesame"

// machines has folders that scripts switch on and off.
type machines struct {
	testing.TB
	dir  string
	made int
}

func newMachines(t testing.TB) *machines { return &machines{TB: t, dir: t.TempDir()} }

func (m *machines) write(name, text string) {
	m.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
}

func (m *machines) stopped() transport.Ref {
	m.Helper()
	m.made++
	ref := transport.Ref{StudioID: "lab", SessionID: fmt.Sprint(100 + m.made)}
	if err := os.Mkdir(filepath.Join(m.dir, ref.SessionID), 0o700); err != nil {
		m.Fatal(err)
	}
	return ref
}

// starts returns how often the machine was switched on.
func (m *machines) starts(ref transport.Ref) int {
	m.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, ref.SessionID, "starts"))
	if err != nil && !os.IsNotExist(err) {
		m.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// dead switches off one machine's controller.
func (m *machines) dead(ref transport.Ref) { m.write(filepath.Join(ref.SessionID, "dead"), "") }

func (m *machines) offline(off bool) {
	m.Helper()
	if off {
		m.write("offline", "")
	} else if err := os.Remove(filepath.Join(m.dir, "offline")); err != nil {
		m.Fatal(err)
	}
}

// commands returns the three commands of a script, which find the machines and the fakes.
func (m *machines) commands(script string, repeat transport.Repeat) exec.Config {
	m.Helper()
	script, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		m.Fatal(err)
	}
	return exec.Config{
		Start:  []string{script, "start", "{session}", "{token}"},
		Status: []string{script, "status", "{session}"},
		Stop:   []string{script, "stop", "{session}"},
		Env: []string{
			"MACHINES=" + m.dir, "MACHINE_PASSWORD=" + password, "IPMI_PASSWORD=" + password,
			"PATH=" + filepath.Join(filepath.Dir(script), "bin") + ":" + os.Getenv("PATH"),
		},
		Repeat: repeat,
	}
}

func (m *machines) open(c exec.Config) *exec.Transport {
	m.Helper()
	t, err := exec.New(c)
	if err != nil {
		m.Fatal(err)
	}
	return t
}

func TestTransport(t *testing.T) {
	t.Parallel()
	for name, repeat := range map[string]transport.Repeat{
		"never": transport.RepeatNever, "state": transport.RepeatByState, "token": transport.RepeatByToken,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transporttest.Run(t, func(t *testing.T) transporttest.Subject {
				m, port := newMachines(t), transporttest.NewPort(t)
				m.write("repeat", name)
				c := m.commands("machine", repeat)
				c.Host, c.Probe = "127.0.0.1", probe.Probe{Kind: probe.KindSSH, Port: port.Number}
				return transporttest.Subject{
					Transport:   m.open(c),
					Mute:        port.Mute,
					Stopped:     m.stopped,
					Missing:     transport.Ref{StudioID: "lab", SessionID: "missing"},
					Starts:      m.starts,
					LoseAnswer:  func() { m.write("lose", "") },
					Hang:        func() { m.write("hang", "") },
					Offline:     m.offline,
					Unreachable: m.dead,
					Secret:      password,
				}
			})
		})
	}
}

// TestScripts runs the scripts of the package's documentation through the whole suite,
// with fakes of the tools that they call.
func TestScripts(t *testing.T) {
	t.Parallel()
	for script, missing := range map[string]string{
		"rouse-ipmi":    "", // a BMC that does not answer is silent, not missing
		"rouse-proxmox": "999",
		"rouse-slurm":   "999",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			transporttest.Run(t, func(t *testing.T) transporttest.Subject {
				m := newMachines(t)
				s := transporttest.Subject{
					Transport: m.open(m.commands(script, transport.RepeatByState)),
					Stopped:   m.stopped,
					Starts:    m.starts,
					Secret:    password,
				}
				if missing == "" {
					s.Unreachable = m.dead // each machine has a controller of its own
				} else {
					s.Missing = transport.Ref{StudioID: "lab", SessionID: missing}
					s.Offline = m.offline
				}
				return s
			})
		})
	}
}

// TestScriptsStop uses each script to stop the machine that it has started. Then it makes
// the provider unreachable.
func TestScriptsStop(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"rouse-ipmi", "rouse-proxmox", "rouse-slurm", "machine"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			m := newMachines(t)
			m.write("repeat", "state")
			e, ref := m.open(m.commands(script, transport.RepeatByState)), m.stopped()
			if _, err := e.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"}); err != nil {
				t.Fatal(err)
			}
			await(t, e, ref, fsm.StateReady)
			got, err := e.Stop(t.Context(), transport.StopInput{Ref: ref, ClientToken: "evening"})
			if err != nil || got.State != fsm.StateStopInProgress || got.Ref != ref {
				t.Errorf("Stop: %+v, %v", got, err)
			}
			await(t, e, ref, fsm.StateStopped)
			m.offline(true)
			if _, err := e.Get(t.Context(), ref); kindOf(t, err) != transport.KindUnreachable {
				t.Errorf("offline: %v", err)
			}
		})
	}
}

// TestSlurmDown checks that a node that did not come up is not READY.
func TestSlurmDown(t *testing.T) {
	t.Parallel()
	m := newMachines(t)
	e, ref := m.open(m.commands("rouse-slurm", transport.RepeatByState)), m.stopped()
	if _, err := e.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"}); err != nil {
		t.Fatal(err)
	}
	m.write(filepath.Join(ref.SessionID, "down"), "")
	if got, err := e.Get(t.Context(), ref); err != nil || got.State != fsm.StateStartFailed || got.StatusMessage != "the node is DOWN" {
		t.Errorf("%+v, %v", got, err)
	}
}

// await reads until the session has the state. The fakes need at most three reads.
func await(t *testing.T, e *exec.Transport, ref transport.Ref, want fsm.State) {
	t.Helper()
	var got transport.Session
	for range 3 {
		var err error
		if got, err = e.Get(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if got.State == want {
			return
		}
	}
	t.Fatalf("%s is %s, want %s", ref, got.State, want)
}

// TestScriptsAreTheDocumentations keeps doc.go and testdata the same.
func TestScriptsAreTheDocumentations(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{"rouse-ipmi", "rouse-proxmox", "rouse-slurm"} {
		text, err := os.ReadFile(filepath.Join("testdata", script))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if len(lines) > 24 {
			t.Errorf("%s has %d lines: it should fit a screen", script, len(lines))
		}
		if want := "//\t" + strings.Join(lines, "\n//\t") + "\n"; !strings.Contains(string(doc), want) {
			t.Errorf("doc.go does not show %s as it is", script)
		}
	}
}
