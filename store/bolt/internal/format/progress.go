package format

// Progress hears how far a long reading is: of what ("pages", "records"), how
// many are done, and of how many; 0: that is not known.
type Progress func(what string, done, of uint64)

func (p Progress) Say(what string, done, of uint64) {
	if p != nil {
		p(what, done, of)
	}
}
