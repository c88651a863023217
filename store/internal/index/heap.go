package index

// none is the place of a row that is in no heap.
const none = ^uint32(0)

// heap is a binary heap of rows. The smallest key comes first, and of equal keys the
// operation that arrived first. Each row holds its own place in the heap, so that any row
// can be removed or moved.
type heap struct {
	rows       chunked[uint32]
	byDeadline bool // ordered by deadline; else by due
}

// key returns what the heap orders a row by.
func (h *heap) key(r *row) int64 {
	if h.byDeadline {
		return r.deadline
	}
	return r.due
}

func (h *heap) less(x *Index, a, b uint32) bool {
	ra, rb := x.rows.at(int(a)), x.rows.at(int(b))
	if ka, kb := h.key(ra), h.key(rb); ka != kb {
		return ka < kb
	}
	return string(ra.id[:]) < string(rb.id[:])
}

// place puts a row at i.
func (h *heap) place(x *Index, i int, row uint32) {
	*h.rows.at(i) = row
	if h.byDeadline {
		x.rows.at(int(row)).deadlineAt = uint32(i) //nolint:gosec // rows are numbered by uint32
		return
	}
	x.rows.at(int(row)).dueAt = uint32(i) //nolint:gosec // as above
}

func (h *heap) push(x *Index, row uint32) {
	h.rows.push(row)
	h.up(x, h.rows.len()-1)
}

// first returns the row with the smallest key, or none.
func (h *heap) first() uint32 {
	if h.rows.len() == 0 {
		return none
	}
	return *h.rows.at(0)
}

// remove removes the row at i.
func (h *heap) remove(x *Index, i int) {
	row := *h.rows.at(i)
	moved := h.rows.pop()
	if i < h.rows.len() {
		h.place(x, i, moved)
		h.down(x, h.up(x, i))
	}
	if h.byDeadline {
		x.rows.at(int(row)).deadlineAt = none
		return
	}
	x.rows.at(int(row)).dueAt = none
}

// up and down move the row at i to where it belongs; up returns its new place.
func (h *heap) up(x *Index, i int) int {
	row := *h.rows.at(i)
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(x, row, *h.rows.at(parent)) {
			break
		}
		h.place(x, i, *h.rows.at(parent))
		i = parent
	}
	h.place(x, i, row)
	return i
}

func (h *heap) down(x *Index, i int) {
	row := *h.rows.at(i)
	for {
		child := 2*i + 1
		if child >= h.rows.len() {
			break
		}
		if child+1 < h.rows.len() && h.less(x, *h.rows.at(child + 1), *h.rows.at(child)) {
			child++
		}
		if !h.less(x, *h.rows.at(child), row) {
			break
		}
		h.place(x, i, *h.rows.at(child))
		i = child
	}
	h.place(x, i, row)
}

// order restores the heap after many keys changed.
func (h *heap) order(x *Index) {
	for i := h.rows.len()/2 - 1; i >= 0; i-- {
		h.down(x, i)
	}
}
