package engine_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestCoreStaysSmall lists the modules that a host compiles when it imports the
// engine. A new module is a decision, not an accident.
func TestCoreStaysSmall(t *testing.T) {
	t.Parallel()
	allowed := []string{
		"github.com/cenkalti/backoff/v4",
		"github.com/fxamacker/cbor/v2",
		"github.com/gofrs/flock",
		"github.com/google/uuid",
		"github.com/looplab/fsm",
		"github.com/rouse-dev/rouse",
		"github.com/x448/float16",
		"go.etcd.io/bbolt",
		"golang.org/x/sys",
		"golang.org/x/time",
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	for _, m := range slices.Compact(got) {
		if !slices.Contains(allowed, m) {
			t.Errorf("the engine pulls in %s", m)
		}
	}
}
