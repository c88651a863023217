package main

import "slices"

// What names leave of a narrow terminal, in columns.
const (
	leastName = 8  // of a name
	leastText = 32 // of the last column, the reason
	gap       = 2  // between columns
)

// fit makes the cells of a table clean, and the columns ids, the widest first,
// narrow enough that a reason stands behind them on a terminal of that width; 0:
// it is none.
func fit(rows [][]string, ids []int, width int) [][]string {
	var wide []int // the columns, as wide as they are
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

// shortened takes out the middle of a name: its end tells it from the next.
func shortened(name string, width int) string {
	if columns(name) <= width {
		return name
	}
	runes := []rune(name)
	head, tail := 0, len(runes)
	for room := width - 1; ; { // the ellipsis has the other column
		last := columnsOf(runes[tail-1])
		if last > room {
			break
		}
		tail, room = tail-1, room-last
		first := columnsOf(runes[head])
		if first > room {
			break
		}
		head, room = head+1, room-first
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}
