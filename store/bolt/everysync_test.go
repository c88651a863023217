package bolt

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
)

// bbolt has no hook that makes a sync fail. So this test copies its module, patches the
// copy, and runs the tests behind the build tag boltfault with it. If the copy lacks a place
// to patch, bbolt has a new version, and the patches must change.

// patches are the replacements in each file: a text that occurs once, and its replacement.
var patches = map[string][][2]string{
	"bolt_linux.go": {{
		"return syscall.Fdatasync(int(db.file.Fd()))",
		`return faulty(db, func() error { return syscall.Fdatasync(int(db.file.Fd())) })`,
	}},
}

const seam = `package bbolt

import "sync"

// Faults holds, by *DB, the func(do func() error) error that syncs.
var Faults sync.Map

func faulty(db *DB, do func() error) error {
	if f, ok := Faults.Load(db); ok {
		return f.(func(func() error) error)(do)
	}
	return do()
}
`

// TestEverySyncFails is TestEveryWriteFails for syncs.
func TestEverySyncFails(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the patch is for Linux")
	}
	if scale.Of(t, 0, 1, 1) == 0 {
		t.Skip("it compiles bbolt and these tests again: set ROUSE_TEST=ci")
	}
	dir := t.TempDir()
	mod := filepath.Join(dir, "fault.mod")
	root := strings.TrimSpace(command(t, "go", "list", "-m", "-f", "{{.Dir}}"))
	patched := filepath.Join(dir, "bbolt")
	copyModule(t, strings.TrimSpace(command(t, "go", "list", "-m", "-f", "{{.Dir}}", "go.etcd.io/bbolt")), patched)
	for _, ext := range []string{".mod", ".sum"} {
		text, err := os.ReadFile(filepath.Join(root, "go"+ext))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "fault"+ext), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	command(t, "go", "mod", "edit", "-replace", "go.etcd.io/bbolt="+patched, mod)
	out := command(t, "go", "test", "-modfile", mod, "-tags", "boltfault", "-count=1", "-timeout=2h", "-v", "-run", "^TestPatched", ".")
	for line := range strings.Lines(out) {
		if strings.Contains(line, "_test.go") { // a line of its log
			t.Log(strings.TrimSpace(line))
		}
	}
	for _, name := range []string{"TestPatchedSync", "TestPatchedWindow"} {
		if !strings.Contains(out, "--- PASS: "+name) {
			t.Errorf("%s did not run:\n%s", name, out)
		}
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// copyModule copies the packages of bbolt that a program needs, and patches them.
func copyModule(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "cmd" || name == "tests" || name == "scripts"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		case strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, p := range patches[name] {
			if n := strings.Count(string(text), p[0]); n != 1 {
				return fmt.Errorf("%s has %q %d times, want it once", name, p[0], n)
			}
			text = []byte(strings.Replace(string(text), p[0], p[1], 1))
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o600)
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(to, "faults.go"), []byte(seam), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
