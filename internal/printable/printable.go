// Package printable makes the texts of providers fit for logs and terminals.
package printable

import (
	"strings"
	"unicode"
)

// Clean returns s without what cannot be printed: each such rune becomes a space.
// At most limit bytes remain.
func Clean(s string, limit int) string {
	s = strings.ToValidUTF8(s[:min(len(s), limit)], " ") // a rune cut in two becomes a space, too
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s))
}
