package format

// Progress is called during a long read. what is "pages" or "records", done is how many are
// read, and of is how many there are. Zero means that this is not known.
type Progress func(what string, done, of uint64)

// Call calls p, unless it is nil.
func (p Progress) Call(what string, done, of uint64) {
	if p != nil {
		p(what, done, of)
	}
}
