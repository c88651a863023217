package engine_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestREADME keeps the README's example equal to the one that is compiled, and
// the tests and files that it names in being.
func TestREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_embed_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(example), "func Example_embed() {\n")
	if !strings.Contains(string(readme), "```go\nfunc main() {\n"+body+"```") {
		t.Error("README.md does not show example_embed_test.go as it is")
	}
	code := ""
	for _, dir := range []string{".", "../fsm", "../store/bolt", "../store/storetest", "../store", "../transport/nimble", "../transport/studio", "../examples/rouse", "../examples/studio", "../transport", "../transport/transporttest"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f.Name(), ".go") {
				text, err := os.ReadFile(dir + "/" + f.Name())
				if err != nil {
					t.Fatal(err)
				}
				code += string(text)
			}
		}
	}
	for _, name := range regexp.MustCompile(`\b(Test|Fuzz|Benchmark)[A-Z]\w+`).FindAllString(string(readme), -1) {
		if !strings.Contains(code, "func "+name+"(") {
			t.Errorf("README.md names %s, which does not exist", name)
		}
	}
}
