package index

// The table of sessions uses open addressing with linear probing, and is at most three
// quarters full. It finds an operation by its session's hash.

// Candidates returns the ids of the operations that may belong to the session with this
// hash. It returns nil if there is none. The caller compares the records.
func (x *Index) Candidates(session uint32) [][16]byte {
	var out [][16]byte
	x.probe(session, func(n uint32) bool {
		out = append(out, x.rows.at(int(n)).id)
		return true
	})
	return out
}

// Has reports whether the index holds an operation.
func (x *Index) Has(k Key) bool { return x.find(k) != none }

// find returns the row of an operation, or none.
func (x *Index) find(k Key) uint32 {
	found := none
	x.probe(k.Session, func(n uint32) bool {
		if x.rows.at(int(n)).id == k.ID {
			found = n
		}
		return found == none
	})
	return found
}

// probe calls fn with each row of a session's hash, until fn returns false.
func (x *Index) probe(session uint32, fn func(n uint32) bool) {
	if len(x.table) == 0 {
		return
	}
	for i := x.slot(session); x.table[i] != 0; i = (i + 1) & (len(x.table) - 1) {
		n := x.table[i] - 1
		if x.rows.at(int(n)).session == session && !fn(n) {
			return
		}
	}
}

func (x *Index) slot(session uint32) int {
	// Fibonacci hashing spreads values that the checksum left close together.
	return int(uint64(session)*0x9e3779b97f4a7c15>>32) & (len(x.table) - 1)
}

// insert puts a row into the table. x.active counts the row already.
func (x *Index) insert(n uint32) {
	if 4*x.active > 3*len(x.table) {
		old := x.table
		x.table = make([]uint32, max(16, 2*len(old)))
		for _, v := range old {
			if v != 0 {
				x.enter(v - 1)
			}
		}
	}
	x.enter(n)
}

// enter puts a row into the first free slot, from the row's own slot on.
func (x *Index) enter(n uint32) {
	i := x.slot(x.rows.at(int(n)).session)
	for x.table[i] != 0 {
		i = (i + 1) & (len(x.table) - 1)
	}
	x.table[i] = n + 1
}

// erase removes a row from the table and closes the gap, because probing would stop there.
func (x *Index) erase(n uint32) {
	mask := len(x.table) - 1
	i := x.slot(x.rows.at(int(n)).session)
	for x.table[i] != n+1 {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; x.table[j] != 0; j = (j + 1) & mask {
		home := x.slot(x.rows.at(int(x.table[j] - 1)).session)
		if (j-home)&mask >= (j-i)&mask {
			x.table[i] = x.table[j]
			i = j
		}
	}
	x.table[i] = 0
}
