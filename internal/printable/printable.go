// Package printable makes the texts of providers and programs fit for logs and
// terminals. Clean is for what is shown; Keep is for text that is searched for
// secrets before it is shown.
package printable

import (
	"strings"
	"unicode"
)

// mark ends a text that was cut.
const mark = "…"

// Clean returns s as one line of printable characters, at most limit bytes long. White
// space becomes single spaces. Other characters that cannot be printed are dropped. A
// text that was cut ends in "…".
func Clean(s string, limit int) string {
	s = strings.Join(strings.Fields(Keep(s)), " ")
	if len(s) <= limit {
		return s
	}
	if limit < len(mark) {
		return ""
	}
	return strings.ToValidUTF8(s[:limit-len(mark)], "") + mark
}

// Keep drops the control and format characters of s and keeps its white space. A
// byte that is not UTF-8 becomes U+FFFD.
func Keep(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
