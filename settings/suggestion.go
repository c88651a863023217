package settings

import (
	"fmt"

	"github.com/agnivade/levenshtein"
)

// suggestion returns `; did you mean "x"?` for the known word that is nearest to word, or
// "" if none is near. Near means two edits, so that two swapped letters are found. For a
// word of three letters it means one.
func suggestion(word string, known []string) string {
	best, least := "", min(3, len(word)-1)
	for _, k := range known {
		if d := levenshtein.ComputeDistance(word, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
