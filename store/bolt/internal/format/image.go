package format

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
)

// Repair reads every page of a file, whether or not the tree leads to it. It trusts a value
// for its checksum, and trusts no header. So it also finds the records of a page whose
// header is damaged.

// Image is a file in memory. Bytes that the disk cannot return are zero.
type Image struct {
	Data     []byte
	PageSize int
}

// ReadImage reads a file of size bytes.
func ReadImage(f io.ReaderAt, size int64, pageSize int) Image {
	const step = 1 << 20
	whole := (size + int64(pageSize) - 1) / int64(pageSize) * int64(pageSize) // the part of the last page that is cut off is zero
	data := make([]byte, whole)
	for at := int64(0); at < size; at += step {
		part := data[at:min(at+step, size)]
		if n, err := f.ReadAt(part, at); err == nil || n == len(part) {
			continue
		}
		for sector := range len(part) / 512 { // reads the sectors around those that cannot be read
			_, _ = f.ReadAt(part[sector*512:sector*512+512], at+int64(sector)*512)
		}
	}
	return Image{Data: data, PageSize: pageSize}
}

func (m Image) Pages() uint64 { return uint64(len(m.Data) / m.PageSize) } //nolint:gosec // positive

// mostBehind is the largest number of overflow pages that From accepts: a record is at most
// a few thousand bytes.
const mostBehind = 64

// From returns a page with the pages behind it that may belong to it.
func (m Image) From(id uint64) []byte {
	data := m.Data[int(id)*m.PageSize:] //nolint:gosec // the caller keeps within pages()
	return data[:min(len(data), (1+mostBehind)*m.PageSize)]
}

// Header returns the fields of a page's header.
func (m Image) Header(id uint64) (says uint64, flags uint16, count int, behind uint64) {
	p, order := m.From(id), binary.NativeEndian
	return order.Uint64(p), order.Uint16(p[8:]), int(order.Uint16(p[10:])), uint64(order.Uint32(p[12:]))
}

// Sound reports whether a page looks like a page of a tree.
func (m Image) Sound(id uint64) bool {
	says, flags, _, behind := m.Header(id)
	return says == id && (flags == PageLeaf || flags == PageBranch) && behind <= mostBehind && id+behind < m.Pages()
}

// begins reports whether the first key of a page is first, whatever the page's header says.
func (m Image) begins(id uint64, first []byte) bool {
	page := m.From(id)
	for _, kind := range []uint16{PageLeaf, PageBranch} {
		if key, err := FirstKeyAs(kind, id, page); err == nil && bytes.Equal(key, first) {
			return true
		}
	}
	return false
}

// EachElement calls each with whatever may be an element of a leaf. An element that lies
// outside of the page has no key. page begins with a header. size is the length of the page
// without its overflow pages.
func EachElement(page []byte, size int, each func(flags uint32, key, value []byte)) {
	order := binary.NativeEndian
	size = min(size, len(page))
	if size < PageHeader+ElementSize {
		return
	}
	most := (size - PageHeader) / ElementSize
	count := most
	if order.Uint16(page[8:]) == PageLeaf {
		count = int(order.Uint16(page[10:]))
	}
	for i := range min(count, most) {
		at := uint64(PageHeader + i*ElementSize) //nolint:gosec // small
		e := page[at : at+ElementSize]
		from := at + uint64(order.Uint32(e[4:]))
		n, m := uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		if n == 0 || from+n+m > uint64(len(page)) {
			each(0, nil, nil)
			continue
		}
		each(order.Uint32(e), page[from:from+n], page[from+n:from+n+m])
	}
}

// InUse says which pages of a file belong to its newest state, as far as its first pages,
// its tree and its free list show.
type InUse struct {
	img     Image
	end     uint64            // how many pages the file had
	Reached []bool            // reachable from the root over pages that fit to each other
	Free    []bool            // nil: the list of free pages cannot be trusted
	Buckets map[uint64]string // of the reachable pages
	Broken  bool              // somewhere the tree points to a page that does not fit
	bad     []uint64          // the pages that it points to there
	Misled  []bool            // of those: the content is not what the pointer says
}

// Trust says how certain it is that a page belongs to the newest state.
type Trust uint8

const (
	Old  Trust = iota // the page is free: its content is an earlier state
	Odd               // not known, or the pointer to the page says otherwise
	Sure              // the page belongs to the newest state
)

func (u *InUse) Trust(id uint64) Trust {
	switch {
	case u.Reached[id]:
		return Sure
	case u.Misled[id], u.Free == nil:
		return Odd
	case u.Free[id]:
		return Old
	}
	return Sure
}

// FindInUse finds the pages that m leads to. Without m, no page is Sure.
func FindInUse(img Image, m *BoltMeta) *InUse {
	u := &InUse{img: img, Buckets: map[uint64]string{}, Reached: make([]bool, img.Pages()), Misled: make([]bool, img.Pages()), Broken: true}
	if m == nil {
		return u
	}
	u.Broken, u.end = m.Pages > img.Pages(), m.Pages
	u.reach(m.Root, "", nil, 0)
	u.readFree(m)
	return u
}

// reach follows a pointer to a page, if the page is what the pointer says.
func (u *InUse) reach(id uint64, bucket string, first []byte, depth int) {
	if id < 2 || id >= u.img.Pages() || u.Reached[id] || depth > MaxDepth {
		u.Broken = true
		if id >= u.img.Pages() && id < u.end && !slices.Contains(u.bad, id) {
			u.bad = append(u.bad, id) // the page is cut off
		}
		return
	}
	_, flags, count, behind := u.img.Header(id)
	if !u.img.Sound(id) || first != nil && !u.img.begins(id, first) {
		u.Broken, u.bad = true, append(u.bad, id)
		u.Misled[id] = first == nil || !u.img.begins(id, first)
		return
	}
	u.Buckets[id] = bucket
	page := u.img.From(id)[:(1+int(behind))*u.img.PageSize] //nolint:gosec // sound bounds it
	for n := id; n <= id+behind; n++ {
		u.Reached[n] = true
	}
	if flags == PageBranch {
		u.reachBelow(id, bucket, page, count, depth)
		return
	}
	EachElement(page, len(page), func(flags uint32, key, value []byte) {
		if flags&BucketFlag == 0 || len(value) < BucketHeader {
			return
		}
		if root := binary.NativeEndian.Uint64(value); root != 0 {
			u.reach(root, bucket+string(key), nil, depth+1)
		}
	})
}

func (u *InUse) reachBelow(id uint64, bucket string, page []byte, count, depth int) {
	order := binary.NativeEndian
	for i := range min(count, (len(page)-PageHeader)/ElementSize) {
		at := uint64(PageHeader + i*ElementSize) //nolint:gosec // small
		e := page[at : at+ElementSize]
		key, err := Within(id, page, at+uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])))
		if err != nil {
			u.Broken = true
			continue
		}
		u.reach(order.Uint64(e[8:]), bucket, key, depth+1)
	}
}

// Orphans returns the pages in use that no pointer leads to, because the page with the
// pointer is damaged. The pages in sound look like pages of a tree, those in bad do not.
func (u *InUse) Orphans(m *BoltMeta) (sound, bad []uint64) {
	defer func() { slices.Sort(bad) }()
	bad = u.bad
	if u.Free == nil {
		return nil, bad
	}
	_, _, _, behind := u.img.Header(m.Freelist)
	past := uint64(2)
	for id := uint64(2); id < m.Pages; id++ {
		switch {
		case id == m.Freelist:
			past = id + behind + 1
		case id < past, u.Reached[id], u.Free[id]:
		case u.img.Sound(id):
			_, _, _, behind := u.img.Header(id)
			past = id + behind + 1
			if !slices.Contains(u.bad, id) {
				sound = append(sound, id)
			}
		case !slices.Contains(u.bad, id):
			bad = append(bad, id)
		}
	}
	return sound, bad
}

// readFree trusts the list of free pages if it is whole and names no reachable page.
func (u *InUse) readFree(m *BoltMeta) {
	id := m.Freelist
	if id < 2 || id >= u.img.Pages() || m.Pages > u.img.Pages() || u.Reached[id] {
		return
	}
	w := NewWalk(bytes.NewReader(u.img.Data), m)
	if w.Freelist() != nil {
		return
	}
	free := make([]bool, u.img.Pages())
	for n := range free {
		free[n] = uint64(n) >= m.Pages || n >= 2 && w.Seen[n/64]&(1<<(n%64)) != 0
		if free[n] && u.Reached[n] {
			return
		}
	}
	u.Free = free
}
