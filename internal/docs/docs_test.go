package docs

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// root is the module's folder, as seen from this package.
const root = "../.."

// pages returns the text of each Markdown page, by its path below root.
var pages = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	top, _ := filepath.Glob(root + "/*.md")
	for _, p := range top {
		text, _ := os.ReadFile(p)
		out[filepath.Base(p)] = string(text)
	}
	_ = filepath.WalkDir(root+"/docs", func(p string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".md") {
			text, _ := os.ReadFile(p)
			out[strings.TrimPrefix(filepath.ToSlash(p), root+"/")] = string(text)
		}
		return err
	})
	return out
})

// code returns the Go text of the module, by folder below root.
var code = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	_ = filepath.WalkDir(root, func(p string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".go") {
			text, _ := os.ReadFile(p)
			out[strings.TrimPrefix(path.Dir(filepath.ToSlash(p)), root+"/")] += string(text)
		}
		return err
	})
	return out
})

// TestExample checks that the README shows the example that is compiled.
func TestExample(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(root + "/engine/example_embed_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(example), "func Example_embed() {\n")
	if !strings.Contains(pages()["README.md"], "```go\nfunc main() {\n"+body+"```") {
		t.Error("README.md differs from engine/example_embed_test.go")
	}
}

// TestNamedTests checks that each test that a page names exists. The changelog may name
// tests of older versions.
func TestNamedTests(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`\b(Test|Fuzz|Benchmark)[A-Z]\w+`)
	all := strings.Builder{}
	for _, text := range code() {
		all.WriteString(text)
	}
	for page, text := range pages() {
		for _, n := range name.FindAllString(text, -1) {
			if page != "CHANGELOG.md" && !strings.Contains(all.String(), "func "+n+"(") {
				t.Errorf("%s names %s, which does not exist", page, n)
			}
		}
	}
}

// TestLinks checks that each link from page to page leads to a file. If the link names a
// heading, the file must have it.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	for page, text := range pages() {
		for _, m := range link.FindAllStringSubmatch(outsideFences(text), -1) {
			target := page
			if strings.Contains(m[1], "://") {
				continue
			}
			if m[1] != "" {
				target = path.Join(path.Dir(page), m[1])
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, target)
			} else if m[2] != "" && !anchors(pages()[target])[m[2][1:]] {
				t.Errorf("%s links to %s%s, which has no such heading", page, target, m[2])
			}
		}
	}
}

// outsideFences returns a page without its blocks of code.
func outsideFences(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
}

// anchors returns the names that a site gives the headings of a page.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(outsideFences(text), -1) {
		name := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out[strings.ReplaceAll(name, " ", "-")] = true
	}
	return out
}

// TestNamedFiles checks that each file or folder of this module that a page names in code
// style exists. A name counts if it begins with a folder of the module.
func TestNamedFiles(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile("`(?:\\./)?((?:engine|store|transport|fsm|settings|cmd|examples|internal|docs|\\.ci|\\.github)(?:/[\\w.\\-]+)*/?)`")
	for page, text := range pages() {
		if page == "CHANGELOG.md" {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(outsideFences(text), -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s names %s, which does not exist", page, m[1])
			}
		}
	}
}

// TestNamedIdentifiers checks that each identifier in the glossary exists in its package.
func TestNamedIdentifiers(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile("`(engine|store|transport|fsm|bolt)\\.([A-Z]\\w*)(?:\\.([A-Z]\\w*))?`")
	for _, m := range name.FindAllStringSubmatch(pages()["docs/glossary.md"], -1) {
		folder := m[1]
		if folder == "bolt" {
			folder = "store/bolt"
		}
		for _, word := range m[2:] {
			if !regexp.MustCompile(`(?m)^\s*(?:type |func (?:\([^)]*\) )?|var |const )?(?:\w+, )*` + word + `\b`).MatchString(code()[folder]) {
				t.Errorf("the glossary names %s; package %s declares no %s", m[0], folder, word)
			}
		}
	}
}

// TestPackageArrows checks that each arrow of the package diagram is an import in a file
// that is no test.
func TestPackageArrows(t *testing.T) {
	t.Parallel()
	arrow := regexp.MustCompile(`(?m)^    ([a-z0-9/]+) --> ([a-z0-9/]+)$`)
	arrows := arrow.FindAllStringSubmatch(pages()["docs/architecture.md"], -1)
	if len(arrows) < 10 {
		t.Fatalf("%d arrows were found in docs/architecture.md", len(arrows))
	}
	for _, a := range arrows {
		files, _ := filepath.Glob(filepath.Join(root, a[1], "*.go"))
		found := false
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || !strings.HasSuffix(f, "_test.go") && strings.Contains(string(text), `"github.com/rouse-dev/rouse/`+a[2]+`"`)
		}
		if !found {
			t.Errorf("docs/architecture.md: %s does not import %s", a[1], a[2])
		}
	}
}
