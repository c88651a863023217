package bolt

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/repair"
	"github.com/rouse-dev/rouse/transport"
)

// errorTexts holds every error text of this package and of the packages in textDirs. It has
// the expression in the place of each value, in braces, and the text of each wrapped error
// that has a name. ROUSE_GOLDEN=write writes it: read the difference before you commit it.
const errorTexts = "testdata/errors.txt"

// textDirs are the folders of the packages whose texts are listed.
var textDirs = []string{".", "internal/disk", "internal/format", "repair", "../driver"}

// TestErrorTexts compares the error texts in the source with the golden file, so that they
// can be read in one place.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	x := &textReader{fset: token.NewFileSet(), named: map[string]string{}}
	x.files(t, "..", x.name)
	for _, dir := range textDirs {
		x.files(t, dir, x.name)
	}
	var b bytes.Buffer
	sampleTexts(&b)
	for _, dir := range textDirs {
		x.lines = nil
		x.files(t, dir, x.text)
		slices.Sort(x.lines)
		fmt.Fprintf(&b, "\n%s\n", dir)
		for _, line := range slices.Compact(x.lines) {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	if os.Getenv("ROUSE_GOLDEN") == "write" {
		writeAll(t, errorTexts, b.Bytes())
	}
	want, err := os.ReadFile(errorTexts)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the texts are\n\n%s\nand %s has\n\n%s", &b, errorTexts, want)
	}
}

// sampleTexts writes the texts of the typed errors, for sample values.
func sampleTexts(b *bytes.Buffer) {
	const path, id = "/home/mo/rouse.db", "019a0000-0000-7000-8000-000000000001"
	ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}
	since := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	for _, v := range []any{
		&LockedError{Path: path},
		&LockedError{Path: path, PID: 4711, Program: "rouse", Host: "farm-03", Since: since},
		&CorruptError{Path: path, Bucket: "operations", Key: id, Detail: "wrong checksum"},
		&CorruptError{Path: path, Detail: "page 7 points to no page"},
		repair.Loss{Operation: id, Ref: ref, Detail: "its record is corrupt"}, repair.Loss{Operation: id, Detail: "its record is corrupt"},
		repair.Loss{First: 3, Last: 3, Detail: "no page has the record"}, repair.Loss{First: 3, Last: 7, Detail: "no page has the record"},
		repair.Loss{Page: 7, Detail: "it is damaged"}, repair.Loss{Lane: "lab", Detail: "its record is corrupt"},
	} {
		fmt.Fprintf(b, "%T\n    %v\n", v, v)
	}
}

// textReader reads texts from Go source.
type textReader struct {
	fset  *token.FileSet
	named map[string]string // the texts of errors with a name, by name
	lines []string
}

// files calls each with every node of the Go files in a folder, except tests.
func (x *textReader) files(t *testing.T, dir string, each func(ast.Node) bool) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(x.fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, each)
	}
}

// name notes the text of an error that a variable holds.
func (x *textReader) name(n ast.Node) bool {
	if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
		if call, ok := v.Values[0].(*ast.CallExpr); ok && x.source(call.Fun) == "errors.New" {
			x.named[v.Names[0].Name], _ = literal(call.Args[0])
		}
	}
	return true
}

// text notes a text that becomes an error or a part of one.
func (x *textReader) text(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		fun := x.source(n.Fun)
		switch name := fun[strings.LastIndex(fun, ".")+1:]; {
		case fun == "errors.New", fun == "fmt.Errorf", fun == "fmt.Sprintf", name == "damaged":
			x.add(n.Args)
		case name == "problem" && len(n.Args) > 2:
			x.add(n.Args[2:])
		case name == "addDoubtful":
			x.add(n.Args[1:])
		}
	case *ast.KeyValueExpr:
		if x.source(n.Key) == "Detail" {
			x.add([]ast.Expr{n.Value})
		}
	}
	return true
}

// add adds a format with its arguments, if it is a literal.
func (x *textReader) add(args []ast.Expr) {
	format, ok := literal(args[0])
	if !ok || !strings.Contains(format, " ") {
		return
	}
	var line strings.Builder
	next := 1
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			line.WriteByte(format[i])
			continue
		}
		verb := i + 1
		for verb < len(format) && strings.IndexByte("0123456789.#+", format[verb]) >= 0 {
			verb++
		}
		if format[verb] == '[' { // an argument by its number
			end := verb + strings.IndexByte(format[verb:], ']')
			next, _ = strconv.Atoi(format[verb+1 : end])
			verb = end + 1
		}
		if format[verb] == '%' {
			line.WriteByte('%')
		} else if next < len(args) {
			line.WriteString(x.value(args[next]))
			next++
		}
		i = verb
	}
	x.lines = append(x.lines, line.String())
}

// value returns the text of an error with a name, and the expression of any other value.
func (x *textReader) value(e ast.Expr) string {
	source := x.source(e)
	if text, ok := x.named[source[strings.LastIndex(source, ".")+1:]]; ok {
		return text
	}
	return "{" + source + "}"
}

// source returns an expression as Go source, in one line.
func (x *textReader) source(e ast.Expr) string {
	var b strings.Builder
	_ = printer.Fprint(&b, x.fset, e)
	return strings.Join(strings.Fields(b.String()), " ")
}

// literal returns the value of a string literal.
func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}
