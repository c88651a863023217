package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// analyze runs systemd-analyze on copies of the units in which the program is one of this
// machine, after edit has changed their text.
func analyze(t *testing.T, edit func(text string) string, args ...string) (output string, err error) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, name := range units(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		changed := edit(strings.ReplaceAll(string(text), "/usr/bin/rouse", self))
		if err := os.WriteFile(filepath.Join(folder, name), []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), "systemd-analyze", args...)
	c.Dir = folder
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	return string(out), err
}

func unchanged(text string) string { return text }

func units(t *testing.T) []string {
	t.Helper()
	services, err := filepath.Glob("*.service")
	if err != nil {
		t.Fatal(err)
	}
	timers, err := filepath.Glob("*.timer")
	if err != nil || len(services) != 2 || len(timers) != 1 {
		t.Fatalf("the units are %q and %q, %v", services, timers, err)
	}
	return append(services, timers...)
}

// TestVerify: systemd finds nothing to say about the units. It exits with status 0 even for
// a key that it does not know, so any output is a failure.
func TestVerify(t *testing.T) {
	t.Parallel()
	args := []string{"verify", "--man=no", "--generators=no"}
	for _, name := range units(t) {
		args = append(args, "./"+name)
	}
	if out, err := analyze(t, unchanged, args...); err != nil || out != "" {
		t.Errorf("%v: %s", err, out)
	}
	misspelt := func(text string) string { return strings.Replace(text, "UMask=", "Umaks=", 1) }
	if out, _ := analyze(t, misspelt, args...); !strings.Contains(out, "Umaks") {
		t.Errorf("of a misspelt key it says %q", out)
	}
}

// TestExposure: the units are hardened.
func TestExposure(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rouse.service", "rouse-run.service"} {
		args := []string{"security", "--offline=true", "--no-pager", "--threshold=15", "./" + name} // in tenths
		if out, err := analyze(t, unchanged, args...); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		soft := func(text string) string { return strings.Replace(text, "ProtectSystem=strict\n", "", 1) }
		if out, err := analyze(t, soft, args...); err == nil {
			t.Errorf("%s without ProtectSystem= passes:\n%s", name, out)
		}
	}
}

// TestLeftOut: two settings would pass the test above, and break rouse.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	for _, name := range units(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			for _, key := range []string{"PrivateUsers=", "ProcSubset=", "DynamicUser="} {
				if strings.HasPrefix(line, key) {
					t.Errorf("%s has %s", name, line)
				}
			}
		}
	}
}

// TestSameRights: the service and the run from a timer open the same database, so they run
// as the same user with the same rights.
func TestSameRights(t *testing.T) {
	t.Parallel()
	rights := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(text), "\nUser=")
		rest, _, _ = strings.Cut(rest, "\n[Install]")
		if !ok {
			t.Fatalf("%s has no User=", name)
		}
		return strings.TrimSpace(rest)
	}
	if a, b := rights("rouse.service"), rights("rouse-run.service"); a != b {
		t.Errorf("the two services differ:\n%s\n\nand\n\n%s", a, b)
	}
}

// TestSysusers: systemd makes a user and a group of the name that the units have.
func TestSysusers(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-sysusers"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	conf, err := filepath.Abs("rouse.conf")
	if err != nil {
		t.Fatal(err)
	}
	// An empty system does not have the user yet.
	out, err := exec.CommandContext(t.Context(), "systemd-sysusers", "--dry-run", "--root="+t.TempDir(), conf).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"Creating group 'rouse' with", "Creating user 'rouse' (rouse service) with"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q: %s", want, out)
		}
	}
}
