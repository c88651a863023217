package index

// chunked is a list that grows and shrinks in pieces. It wastes at most one piece. A plain
// slice leaves up to half of itself unused when it grows, and copies everything. A short
// list is one small slice. The zero value is empty.
type chunked[T any] struct {
	parts [][]T
	n     int
}

const (
	partBits = 10
	partSize = 1 << partBits
)

func (c *chunked[T]) len() int { return c.n }

func (c *chunked[T]) at(i int) *T { return &c.parts[i>>partBits][i&(partSize-1)] }

func (c *chunked[T]) push(v T) {
	p := c.n >> partBits
	if p == len(c.parts) {
		size := 4
		if p > 0 {
			size = partSize
		}
		c.parts = append(c.parts, make([]T, 0, size))
	}
	c.parts[p] = append(c.parts[p], v)
	c.n++
}

// pop removes the last value and returns it. There must be one.
func (c *chunked[T]) pop() T {
	p := len(c.parts) - 1
	last := len(c.parts[p]) - 1
	v := c.parts[p][last]
	c.parts[p] = c.parts[p][:last]
	if last == 0 {
		c.parts[p] = nil
		c.parts = c.parts[:p]
	}
	c.n--
	return v
}
