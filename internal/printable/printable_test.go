package printable_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/internal/printable"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                      "",
		" two\n\tlines ":        "two lines",
		"\x1b[31mred\x00\u202e": "[31mred",
		"w\x00i\x00d\x00e\x00":  "wide",
		"not UTF: \xff":         "not UTF: \uFFFD",
		"twelve bytes":          "twelve bytes",
		"thirteen byte":         "thirteen …",
		"ééééééé":               "éééé…",
	} {
		if got := printable.Clean(in, 12); got != want {
			t.Errorf("Clean(%q) is %q, want %q", in, got, want)
		}
	}
}

// FuzzClean checks that the text is printable and short, and that cleaning it again
// changes nothing.
func FuzzClean(f *testing.F) {
	f.Add("plain", 512)
	f.Add("é\x00\u202e\xff\u2028", 3)
	f.Add(strings.Repeat("€", 200), 512)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 0), 1024)
		got := printable.Clean(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("printable.Clean(%q, %d) is %q", s, limit, got)
		}
		if again := printable.Clean(got, limit); again != got {
			t.Errorf("printable.Clean(%q, %d) is %q", got, limit, again)
		}
	})
}
