package main

import (
	"slices"

	"github.com/mattn/go-runewidth"
)

// Widths, in columns of a terminal.
const (
	leastName = 8  // names are never shorter
	leastText = 32 // reserved for the last column, the reason
	gap       = 2  // between two columns of a table
)

// fit returns the rows with clean cells. If a row is wider than width, fit shortens the
// names in the columns ids, the widest first, until the last column fits. Width 0 means
// no limit. No table writer shortens chosen columns first; all of them cut or wrap every
// column.
func fit(rows [][]string, ids []int, width int) [][]string {
	var wide []int // the width of each column
	out := make([][]string, len(rows))
	for i, row := range rows {
		out[i] = make([]string, len(row))
		for j, cell := range row {
			out[i][j] = clean(cell)
			if j == len(wide) {
				wide = append(wide, 0)
			}
			wide[j] = max(wide[j], columns(out[i][j]))
		}
	}
	if width <= 0 || len(ids) == 0 || len(wide) == 0 {
		return out
	}
	over := gap*(len(wide)-1) - width
	for j, w := range wide {
		if j == len(wide)-1 {
			w = min(w, leastText)
		}
		over += w
	}
	for ; over > 0; over-- {
		j := slices.MaxFunc(ids, func(a, b int) int { return wide[a] - wide[b] })
		if wide[j] <= leastName {
			break
		}
		wide[j]--
	}
	for _, row := range out {
		for _, j := range ids {
			if j < len(row) {
				row[j] = shortened(row[j], wide[j])
			}
		}
	}
	return out
}

// shortened cuts the middle out of a name that is wider than width columns. It keeps the
// end, because neighboring names differ there.
func shortened(name string, width int) string {
	if columns(name) <= width {
		return name
	}
	begin := runewidth.Truncate(name, (width-1)/2, "")
	return begin + runewidth.TruncatePrefix(name, width-columns(begin), "…")
}
