package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// bbolt trusts its pages. A page that points to itself makes a search recurse until the
// process dies, and no recover prevents that. So Open walks all pages of a file once, with
// its own reads, before bbolt opens the file.

// A page has a header (id 8 bytes, flags 2, count 2, overflow 4) and elements of 16 bytes
// each. An element says where its key, value or child is.
const (
	PageBranch   = 0x01
	PageLeaf     = 0x02
	pageFreelist = 0x10
	ElementSize  = 16
	BucketFlag   = 0x01 // of a leaf's element: its value is a bucket
	BucketHeader = 16
	MaxDepth     = 32 // a deeper tree would hold more than any disk
)

// pageWalk checks the pages of one file.
type pageWalk struct {
	f    io.ReaderAt
	m    *BoltMeta
	Seen []uint64 // a bit for each page that a pointer leads to

	// Visit, unless nil, is called with every pair of the buckets, in order. It may keep the
	// memory.
	Visit func(bucket string, key, value []byte) error
	// tell, unless nil, is called for each page before it is read.
	tell func(id uint64)
	in   string // the bucket being walked; "" is the bucket that holds all others

	Notes map[string]note // by bucket, after its walk
	note  note            // of the bucket being walked
}

func NewWalk(f io.ReaderAt, m *BoltMeta) *pageWalk {
	return &pageWalk{f: f, m: m, Seen: make([]uint64, m.Pages/64+1), Notes: map[string]note{}}
}

// CheckPages returns what is wrong with the pages of f, or nil. m is its meta page. A
// corrupt record is no error: it is copied to the quarantine when it is read. tell may be
// nil.
func CheckPages(f io.ReaderAt, m *BoltMeta, tell func(id uint64)) error {
	w := NewWalk(f, m)
	w.tell = tell
	if err := w.Bucket(m.Root, 0); err != nil {
		return err
	}
	if err := w.Freelist(); err != nil {
		return err
	}
	if w.checkNotes(nil) == nil {
		return nil
	}
	corrupt := map[string]bool{} // by bucket: it has a corrupt record
	again := NewWalk(f, m)
	again.Visit = func(bucket string, key, value []byte) error {
		_, ok := Unseal(key, value)
		corrupt[bucket] = !ok || corrupt[bucket] && bucket != BucketEvents // of events, only the last counts
		return nil
	}
	if err := again.Bucket(m.Root, 0); err != nil {
		return err
	}
	return w.checkNotes(corrupt)
}

// Take records that a pointer leads to a page and to those that belong to it. It returns an
// error if another pointer leads there too.
func (w *pageWalk) Take(id, count uint64) error {
	if id < 2 || id >= w.m.Pages || count > w.m.Pages-id { // id+count may overflow
		return fmt.Errorf("%d pages from page %d are not within the file's %d", count, id, w.m.Pages)
	}
	for n := id; n < id+count; n++ {
		if w.Seen[n/64]&(1<<(n%64)) != 0 {
			return fmt.Errorf("two pointers lead to page %d", n)
		}
		w.Seen[n/64] |= 1 << (n % 64)
	}
	return nil
}

// Read reads a page with its overflow pages, and checks its header.
func (w *pageWalk) Read(id uint64, kinds uint16) ([]byte, error) {
	if err := w.Take(id, 1); err != nil {
		return nil, err
	}
	if w.tell != nil {
		w.tell(id)
	}
	size := int64(w.m.PageSize)
	page := make([]byte, size)
	if _, err := w.f.ReadAt(page, int64(id)*size); err != nil { //nolint:gosec // take bounds it
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	order := binary.NativeEndian
	if got := order.Uint64(page); got != id {
		return nil, fmt.Errorf("page %d says that it is page %d", id, got)
	}
	if flags := order.Uint16(page[8:]); flags&kinds == 0 || flags&(flags-1) != 0 {
		return nil, fmt.Errorf("page %d is of the unexpected kind %#x", id, flags)
	}
	more := uint64(order.Uint32(page[12:]))
	if more == 0 {
		return page, nil
	}
	if err := w.Take(id+1, more); err != nil {
		return nil, fmt.Errorf("behind page %d: %w", id, err)
	}
	page = append(page, make([]byte, int64(more)*size)...)                 //nolint:gosec // take bounds it
	if _, err := w.f.ReadAt(page[size:], (int64(id)+1)*size); err != nil { //nolint:gosec // as above
		return nil, fmt.Errorf("behind page %d: %w", id, err)
	}
	return page, nil
}

// keys checks the order of one bucket's keys during the walk.
type keys struct {
	last  []byte // the last of a leaf; nil: none yet
	floor []byte // the next key must not be below this
}

// Bucket walks the tree of one bucket.
func (w *pageWalk) Bucket(root uint64, depth int) error {
	return w.tree(root, nil, depth, &keys{})
}

// tree walks a page and the pages below it. first is the key that points to the page, or nil
// for the root. When bbolt writes the page again, it looks for exactly this key. If the page
// began with another key, bbolt would make a second entry.
func (w *pageWalk) tree(id uint64, first []byte, depth int, k *keys) error {
	if depth > MaxDepth {
		return fmt.Errorf("page %d is too deep in the tree", id)
	}
	page, err := w.Read(id, PageBranch|PageLeaf)
	if err != nil {
		return err
	}
	if first != nil {
		if key, err := FirstKey(id, page); err != nil || !bytes.Equal(key, first) {
			return fmt.Errorf("page %d does not begin with the key that points to it", id)
		}
	}
	if binary.NativeEndian.Uint16(page[8:])&PageLeaf != 0 {
		return w.leaf(id, page, depth, k)
	}
	return w.branch(id, page, depth, k)
}

// elements calls each with every element of a page. It checks that each lies inside the
// page.
func elements(id uint64, page []byte, each func(i int, element []byte, at uint64) error) error {
	count := int(binary.NativeEndian.Uint16(page[10:]))
	if PageHeader+count*ElementSize > len(page) {
		return fmt.Errorf("page %d says that it holds %d elements", id, count)
	}
	for i := range count {
		at := PageHeader + i*ElementSize
		if err := each(i, page[at:at+ElementSize], uint64(at)); err != nil { //nolint:gosec // small
			return err
		}
	}
	return nil
}

// FirstKey returns the key of a page's first element.
func FirstKey(id uint64, page []byte) ([]byte, error) {
	if binary.NativeEndian.Uint16(page[10:]) == 0 {
		return nil, fmt.Errorf("page %d is empty", id)
	}
	return FirstKeyAs(binary.NativeEndian.Uint16(page[8:]), id, page)
}

// FirstKeyAs is FirstKey for a page that is assumed to be of the given kind.
func FirstKeyAs(kind uint16, id uint64, page []byte) ([]byte, error) {
	e, order := page[PageHeader:], binary.NativeEndian
	if kind == PageLeaf {
		return Within(id, page, PageHeader+uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])))
	}
	return Within(id, page, PageHeader+uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])))
}

// Within returns a part of a page.
func Within(id uint64, page []byte, from, size uint64) ([]byte, error) {
	if from+size > uint64(len(page)) { // both are 32-bit numbers: no overflow
		return nil, fmt.Errorf("page %d: an element ends outside of it", id)
	}
	return page[from : from+size], nil
}

func (w *pageWalk) branch(id uint64, page []byte, depth int, k *keys) error {
	order := binary.NativeEndian
	if order.Uint16(page[10:]) == 0 {
		return fmt.Errorf("page %d points to no page", id)
	}
	return elements(id, page, func(i int, e []byte, at uint64) error {
		key, err := Within(id, page, at+uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])))
		if err != nil {
			return err
		}
		if i > 0 {
			if k.last != nil && bytes.Compare(key, k.last) <= 0 || bytes.Compare(key, k.floor) < 0 {
				return fmt.Errorf("page %d: its keys are out of order", id)
			}
			k.floor = key
		}
		return w.tree(order.Uint64(e[8:]), key, depth+1, k)
	})
}

func (w *pageWalk) leaf(id uint64, page []byte, depth int, k *keys) error {
	order := binary.NativeEndian
	return elements(id, page, func(_ int, e []byte, at uint64) error {
		from := at + uint64(order.Uint32(e[4:]))
		n := uint64(order.Uint32(e[8:]))
		key, err := Within(id, page, from, n)
		if err != nil {
			return err
		}
		value, err := Within(id, page, from+n, uint64(order.Uint32(e[12:])))
		if err != nil {
			return err
		}
		if k.last != nil && bytes.Compare(key, k.last) <= 0 || bytes.Compare(key, k.floor) < 0 {
			return fmt.Errorf("page %d: its keys are out of order", id)
		}
		k.last = key
		if order.Uint32(e)&BucketFlag != 0 {
			return w.nested(id, key, value, depth)
		}
		w.note.take(w.in, key, value)
		if w.Visit != nil {
			return w.Visit(w.in, key, value)
		}
		return nil
	})
}

// nested walks a bucket that a leaf holds. The bucket has pages of its own or, if it is
// small, is in the leaf itself.
func (w *pageWalk) nested(id uint64, name, value []byte, depth int) error {
	defer func(outer string) { w.in = outer }(w.in)
	w.in += string(name)
	if len(value) < BucketHeader {
		return fmt.Errorf("page %d: a bucket is cut short", id)
	}
	w.note = note{noted: binary.NativeEndian.Uint64(value[8:])}
	defer func() { w.Notes[w.in] = w.note }()
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.Bucket(root, depth+1)
	}
	page := value[BucketHeader:]
	if len(page) < PageHeader || binary.NativeEndian.Uint16(page[8:]) != PageLeaf || depth > MaxDepth {
		return fmt.Errorf("page %d: a bucket is not a page", id)
	}
	return w.leaf(id, page, depth+1, &keys{})
}

// Freelist checks that the list of free pages names no page in use, because bbolt would
// overwrite it.
func (w *pageWalk) Freelist() error {
	page, err := w.Read(w.m.Freelist, pageFreelist)
	if err != nil {
		return err
	}
	order := binary.NativeEndian
	count, at := uint64(order.Uint16(page[10:])), uint64(PageHeader)
	if count == 0xffff { // too many for the header
		count, at = order.Uint64(page[PageHeader:]), PageHeader+8
	}
	if count > (uint64(len(page))-at)/8 {
		return fmt.Errorf("page %d says that it lists %d free pages", w.m.Freelist, count)
	}
	for i := range count {
		if err := w.Take(order.Uint64(page[at+8*i:]), 1); err != nil {
			return fmt.Errorf("listed as free: %w", err)
		}
	}
	return nil
}
