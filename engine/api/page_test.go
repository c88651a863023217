package api_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/transport/studio"
)

const page = "../../docs/api.md"

// TestPage compares the tables of docs/api.md with the code. ROUSE_GOLDEN=write writes
// them.
func TestPage(t *testing.T) {
	t.Parallel()
	routes, problems := "| | route | what it does | role |\n|---|---|---|---|\n", "| type | status | meaning |\n|---|---|---|\n"
	all := slices.Clone(theContract().routes)
	slices.SortFunc(all, func(a, b contractRoute) int { return strings.Compare(a.path+" "+a.method, b.path+" "+b.method) })
	for _, r := range all {
		o := theContract().doc["paths"].(map[string]any)[r.path].(map[string]any)[strings.ToLower(r.method)].(map[string]any)
		routes += fmt.Sprintf("| %s | `%s` | %s | %s |\n", r.method, r.path, o["summary"], o["x-rouse-role"])
	}
	for _, p := range api.ProblemTypes() {
		problems += fmt.Sprintf("| `%s` | %d | %s |\n", p[:]...)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	tables := []string{routes, problems}
	want := regexp.MustCompile(`(?s)(<!-- generated: .*? -->\n).*?(<!-- end -->)`).ReplaceAllStringFunc(string(text), func(old string) string {
		begin, _, _ := strings.Cut(old, "\n")
		table := tables[0]
		tables = tables[1:]
		return begin + "\n\n" + table + "\n<!-- end -->"
	})
	if len(tables) > 0 {
		t.Fatalf("%s has no place for %q", page, tables)
	}
	if os.Getenv("ROUSE_GOLDEN") == "write" {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("the tables of %s are not those of the code: write them with ROUSE_GOLDEN=write", page)
	}
}

// TestPageCommands runs the commands of docs/api.md, in one shell, next to a database.
func TestPageCommands(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the commands are for sh")
	}
	needs(t, "sh", "curl", "python3")
	folder := t.TempDir()
	db := filepath.Join(folder, "rouse.db")
	e, err := engine.Open(db, studio.New(studio.Config{Any: true}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	local, err := api.ListenLocal(e, db, api.LocalConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	go func() { _ = e.Run(ctx) }()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	script := ""
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			if strings.HasSuffix(line, "/stream") { // it has no end
				line += " --max-time 1 || [ $? = 28 ]"
			}
			script += strings.ReplaceAll(line, "curl -sS", "curl --fail-with-body -sS") + "; echo\n"
		}
	}
	c := exec.CommandContext(ctx, "sh", "-ec", script)
	c.Dir = folder
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, want := range []string{`"request":"created"`, `"phase":"SUCCEEDED"`, `"text":"`, `"receipts":[`, `"operations":[`, `"cancellation":"already_ended"`, `"more":`, "\ndata: {"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the answers have no %s:\n%s", want, out)
		}
	}
}
