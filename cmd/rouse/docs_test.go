package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedCommands: each command line of rouse in README.md and docs/ names a
// command and flags that exist.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	block := regexp.MustCompile("(?ms)^```sh\n.*?^```$")
	line := regexp.MustCompile("(?m)^rouse( [^\n#…|]*)")
	inline := regexp.MustCompile("`rouse( [^`\n#…|]*)")
	flag := regexp.MustCompile(`^--?([a-z][a-z-]*)`)
	valued := regexp.MustCompile(`^--(config|db|endpoint|probe|profile|region|transport)$`)
	pages, _ := filepath.Glob("../../*.md")
	_ = filepath.WalkDir("../../docs", func(p string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".md") {
			pages = append(pages, p)
		}
		return err
	})
	seen := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		lines := inline.FindAllStringSubmatch(string(text), -1)
		for _, b := range block.FindAllString(string(text), -1) {
			lines = append(lines, line.FindAllStringSubmatch(b, -1)...)
		}
		for _, m := range lines {
			words := strings.Fields(m[1])
			var names, flags []string
			for i, w := range words {
				switch f := flag.FindStringSubmatch(w); {
				case f != nil:
					flags = append(flags, f[1])
				case i == 0 || !valued.MatchString(words[i-1]):
					names = append(names, w)
				}
			}
			root := newTool(io.Discard, io.Discard).commands()
			root.InitDefaultHelpCmd()
			c, _, err := root.Find(names)
			if err != nil || c == root && len(names) > 0 {
				t.Errorf("%s: %q: there is no such command", page, m[0])
				continue
			}
			for _, f := range flags {
				if c.Flags().Lookup(f) == nil && c.InheritedFlags().Lookup(f) == nil && f != "help" && f != "version" {
					t.Errorf("%s: %q: %s has no flag --%s", page, m[0], c.CommandPath(), f)
				}
			}
			seen++
		}
	}
	if seen < 30 {
		t.Errorf("only %d command lines were found", seen)
	}
}
