package settings

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRegionsAreTheSDKs checks the regions. The SDK does not export its list, so the test
// reads it in the module's folder. A new version of the SDK may add to it.
func TestRegionsAreTheSDKs(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal", "endpoints", "awsrulesfn", "partitions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Partitions []struct{ Regions map[string]any }
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, p := range all.Partitions {
		for name := range p.Regions {
			if !strings.HasSuffix(name, "-global") {
				want = append(want, name)
			}
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(regions)); !slices.Equal(got, want) {
		t.Errorf("the regions are\n%v, and the SDK has\n%v", got, want)
	}
}
