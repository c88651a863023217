package bolt

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// damages are the ways in which a disk, or a program that writes to the wrong place, damages
// a file.
var damages = []struct {
	name string
	do   func(rng *rand.Rand, r *reader) []byte
}{
	{"bits of headers", func(rng *rand.Rand, r *reader) []byte {
		return r.flip(rng, func() int { return r.at(r.any(rng)) + rng.IntN(64) })
	}},
	{"bits anywhere", func(rng *rand.Rand, r *reader) []byte {
		return r.flip(rng, func() int { return r.at(r.any(rng)) + rng.IntN(r.page) })
	}},
	{"bits of the first pages", func(rng *rand.Rand, r *reader) []byte {
		first := rng.IntN(2) * r.page
		return r.flip(rng, func() int { return first + rng.IntN(format.PageHeader+format.MetaSize) })
	}},
	{"bits of both first pages", func(rng *rand.Rand, r *reader) []byte {
		data := r.flip(rng, func() int { return format.PageHeader + rng.IntN(format.MetaSize) })
		data[r.page+format.PageHeader+rng.IntN(format.MetaSize)] ^= 1
		return data
	}},
	{"swapped pages", func(rng *rand.Rand, r *reader) []byte { return r.swap(rng, false) }},
	{"swapped, and renumbered", func(rng *rand.Rand, r *reader) []byte { return r.swap(rng, true) }},
	{"a page of zeros", func(rng *rand.Rand, r *reader) []byte {
		data := bytes.Clone(r.now)
		clear(r.in(data, r.any(rng)))
		return data
	}},
	{"sectors of zeros", func(rng *rand.Rand, r *reader) []byte {
		data := bytes.Clone(r.now)
		for range 1 + rng.IntN(3) {
			at := r.at(r.any(rng)) + 512*rng.IntN(r.page/512)
			clear(data[at : at+512])
		}
		return data
	}},
	{"sectors of ones", func(rng *rand.Rand, r *reader) []byte { // as flash is when it is erased
		data := bytes.Clone(r.now)
		for range 1 + rng.IntN(3) {
			at := r.at(r.any(rng)) + 512*rng.IntN(r.page/512)
			copy(data[at:at+512], bytes.Repeat([]byte{0xff}, 512))
		}
		return data
	}},
	{"a page of noise", func(rng *rand.Rand, r *reader) []byte {
		data := bytes.Clone(r.now)
		page := r.in(data, r.any(rng))
		for i := range page {
			page[i] = byte(rng.Uint32())
		}
		return data
	}},
	{"a stale page", func(rng *rand.Rand, r *reader) []byte { return r.stale(rng, 1) }},
	{"stale pages", func(rng *rand.Rand, r *reader) []byte { return r.stale(rng, 2+rng.IntN(4)) }},
	{"lost writes", func(rng *rand.Rand, r *reader) []byte { return r.lostWrites(rng) }},
	{"cut off", func(rng *rand.Rand, r *reader) []byte {
		return bytes.Clone(r.now[:1+rng.IntN(int(r.used[len(r.used)-1]+1)*r.page)])
	}},
}

// any returns a page that is in use.
func (r *reader) any(rng *rand.Rand) uint64 { return r.used[rng.IntN(len(r.used))] }

// at returns where a page begins.
func (r *reader) at(id uint64) int { return int(id) * r.page }

// in returns a page of an image.
func (r *reader) in(data []byte, id uint64) []byte { return data[r.at(id) : r.at(id)+r.page] }

// flip flips up to four bits.
func (r *reader) flip(rng *rand.Rand, where func() int) []byte {
	data := bytes.Clone(r.now)
	for range 1 + rng.IntN(4) {
		data[where()] ^= 1 << rng.IntN(8)
	}
	return data
}

func (r *reader) swap(rng *rand.Rand, renumber bool) []byte {
	data := bytes.Clone(r.now)
	a, b := r.any(rng), r.any(rng)
	for a == b {
		b = r.any(rng)
	}
	copy(r.in(data, a), r.in(r.now, b))
	copy(r.in(data, b), r.in(r.now, a))
	if renumber {
		binary.NativeEndian.PutUint64(r.in(data, a), a)
		binary.NativeEndian.PutUint64(r.in(data, b), b)
	}
	return data
}

// stale replaces n pages by their content after some earlier commit.
func (r *reader) stale(rng *rand.Rand, n int) []byte {
	data := bytes.Clone(r.now)
	for range n {
		for range 100 { // until there is one that differs
			id, old := r.any(rng), r.images[rng.IntN(len(r.images)-1)]
			if r.at(id+1) > len(old) {
				continue
			}
			if was := r.in(old, id); !bytes.Equal(was, r.in(r.now, id)) {
				copy(r.in(data, id), was)
				break
			}
		}
	}
	return data
}

// lostWrites gives some of the pages that the last commits wrote their earlier content. A
// disk does that if it reports writes that it has not made.
func (r *reader) lostWrites(rng *rand.Rand) []byte {
	data := bytes.Clone(r.now)
	old := r.images[len(r.images)-2-rng.IntN(3)]
	lost := 0
	for lost == 0 {
		for _, id := range r.used {
			if r.at(id+1) > len(old) {
				continue
			}
			if was := r.in(old, id); !bytes.Equal(was, r.in(r.now, id)) && rng.IntN(3) == 0 {
				copy(r.in(data, id), was)
				lost++
			}
		}
	}
	return data
}
