package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAliasesAreComplete finds each constant that a host matches in aliases.go: a new
// phase, state, reason or kind needs an alias.
func TestAliasesAreComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("aliases.go")
	if err != nil {
		t.Fatal(err)
	}
	matched := regexp.MustCompile(`^(Phase|State|Sent|Reason|Kind)[A-Z]`)
	found := 0
	for _, pkg := range []string{"fsm", "store", "transport"} {
		files, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range constants(tree) {
				if !matched.MatchString(name) {
					continue
				}
				found++
				alias := name
				if pkg == "transport" { // the prefix Kind is for operations
					alias = strings.Replace(name, "Kind", "ErrorKind", 1)
				}
				if !regexp.MustCompile(`\b` + alias + `\s+= ` + pkg + `\.` + name + `\b`).Match(text) {
					t.Errorf("aliases.go has no %s for %s of package %s", alias, name, pkg)
				}
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d constants were found", found)
	}
}

// constants are the exported constants that a file declares.
func constants(tree *ast.File) (names []string) {
	for _, decl := range tree.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if name.IsExported() {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}
