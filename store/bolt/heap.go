package bolt

// none is where a row stands that is in no heap.
const none = ^uint32(0)

// heap is a binary heap of rows: the smallest key first, and of equal keys the
// operation that arrived first. It tells each row where it stands, so that any
// row can be taken out or moved.
type heap struct {
	rows       chunked[uint32]
	byDeadline bool // ordered by deadline; else by due
}

func (h *heap) less(x *index, a, b uint32) bool {
	ra, rb := x.rows.at(int(a)), x.rows.at(int(b))
	ka, kb := ra.due, rb.due
	if h.byDeadline {
		ka, kb = ra.deadline, rb.deadline
	}
	if ka != kb {
		return ka < kb
	}
	return string(ra.id[:]) < string(rb.id[:])
}

func (h *heap) place(x *index, i int, row uint32) {
	*h.rows.at(i) = row
	if h.byDeadline {
		x.rows.at(int(row)).deadlineAt = uint32(i) //nolint:gosec // rows are numbered by uint32
		return
	}
	x.rows.at(int(row)).dueAt = uint32(i) //nolint:gosec // as above
}

func (h *heap) push(x *index, row uint32) {
	h.rows.push(row)
	h.up(x, h.rows.len()-1)
}

// first is the row in front, or none.
func (h *heap) first() uint32 {
	if h.rows.len() == 0 {
		return none
	}
	return *h.rows.at(0)
}

// remove takes out the row that stands at i, which says none from now on.
func (h *heap) remove(x *index, i int) {
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

// up and down move the row at i to where it belongs; up says where that is.
func (h *heap) up(x *index, i int) int {
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

func (h *heap) down(x *index, i int) {
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
func (h *heap) order(x *index) {
	for i := h.rows.len()/2 - 1; i >= 0; i-- {
		h.down(x, i)
	}
}
