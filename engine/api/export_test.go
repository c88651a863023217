package api

// ProblemTypes returns the word, the status and the title of each row.
func ProblemTypes() [][3]any {
	var out [][3]any
	for _, t := range problemTypes {
		out = append(out, [3]any{t.word, t.status, t.title})
	}
	return out
}
