package format

// Progress is called during a long reading: with what is read ("pages", "records"), how
// many of it are done, and how many there are. Zero means that this is not known.
type Progress func(what string, done, of uint64)

// Say calls p, unless it is nil.
func (p Progress) Say(what string, done, of uint64) {
	if p != nil {
		p(what, done, of)
	}
}
