package mutants

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
)

// TestMutants checks that the test that claims to catch a planted bug does.
func TestMutants(t *testing.T) {
	t.Parallel()
	every, seed := scale.Of(t, len(mutants), 4, 1), scale.Seed(t)
	turn := make(chan struct{}, 2) // each one runs a compiler
	for i, m := range mutants {
		if (uint64(i)+seed)%uint64(every) != 0 {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			turn <- struct{}{}
			defer func() { <-turn }()
			plant(t, m)
		})
	}
}

// plant runs the test that claims m, with the bug in place. The test must fail.
func plant(t *testing.T, m mutant) {
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", "-timeout=1m", //nolint:gosec // the table's
		"-overlay="+overlay(t, m), "-run=^"+m.test+"$", "./"+m.in)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "ROUSE_TEST=short", "RAPID_NOFAILFILE=1") // rapid must not keep the failing inputs of a bug
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	switch {
	case err == nil:
		t.Errorf("%s does not see that %s:\n%s", m.test, m.bug, out)
	case !errors.As(err, &failed) || !strings.Contains(string(out), "--- FAIL: "+m.test+" ("):
		t.Errorf("%s did not fail by itself (%v):\n%s", m.test, err, out)
	}
}

// root is the path of the module, relative to this package.
const root = "../.."

// TestPlaces checks that each planted bug still has its place in the code.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) { mutated(t, m) })
	}
}

// mutated returns the path of m's file, and its text with the bug.
func mutated(t *testing.T, m mutant) (path, code string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	original, err := os.ReadFile(path) //nolint:gosec // the table's
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(original), m.old); n != 1 {
		t.Fatalf("%s contains this text %d times, want once:\n%s", m.file, n, m.old)
	}
	return path, strings.Replace(string(original), m.old, m.with, 1)
}

// overlay writes the mutated file and returns the overlay file that names it.
func overlay(t *testing.T, m mutant) string {
	t.Helper()
	original, code := mutated(t, m)
	dir := t.TempDir()
	bent := filepath.Join(dir, "mutated.go")
	write(t, bent, []byte(code))
	text, err := json.Marshal(map[string]map[string]string{"Replace": {original: bent}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	write(t, list, text)
	return list
}

func write(t *testing.T, path string, text []byte) {
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
