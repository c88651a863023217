package bolt

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// What bbolt writes at the beginning of a file, in the byte order of the
// machine: two pages with a header of 16 bytes and the state of the file behind
// it. They are read here before bbolt maps the file, because a map of a file
// that is shorter than it says ends in a fault.
const (
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	pageHeader  = 16
	metaSize    = 64
	metaSum     = 56 // where its checksum stands
)

// boltMeta is what is needed of such a page.
type boltMeta struct {
	pageSize uint32
	root     uint64 // the page where the tree of all buckets begins
	freelist uint64 // the page that lists the free ones; all bits: there is none
	pages    uint64 // the high-water mark
	tx       uint64
}

// checkFile returns ErrForeign if f is no bbolt file, and a *CorruptError if it
// is one that cannot be used.
func checkFile(path string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	first, magic, err := readMeta(f, 0)
	if err != nil {
		return err
	}
	found := []*boltMeta{first}
	// The second page begins where the first ends, and how long that is may be
	// written only in the second.
	for size := int64(1024); size <= 1<<16; size *= 2 {
		if first != nil && size != int64(first.pageSize) {
			continue
		}
		m, has, err := readMeta(f, size)
		if err != nil {
			return err
		}
		magic = magic || has
		if m != nil && int64(m.pageSize) == size {
			found = append(found, m)
		}
	}
	var newest *boltMeta
	for _, m := range found {
		if m != nil && (newest == nil || m.tx > newest.tx) {
			newest = m
		}
	}
	switch {
	case newest == nil && !magic:
		return fmt.Errorf("%w: %s is some other kind of file", ErrForeign, path)
	case newest == nil:
		return &CorruptError{Path: path, Detail: "neither of its two first pages is whole"}
	}
	if need := int64(newest.pages) * int64(newest.pageSize); newest.pageSize < 512 || newest.pages > 1<<40 || info.Size() < need { //nolint:gosec // bounded
		return &CorruptError{Path: path, Detail: fmt.Sprintf("it has %d bytes, and was %d long: it is cut short", info.Size(), need)}
	}
	if err := checkPages(f, newest); err != nil {
		return &CorruptError{Path: path, Detail: err.Error()}
	}
	return nil
}

// readMeta reads the page at offset; nil if it is not whole. magic says that
// it begins as one.
func readMeta(f *os.File, offset int64) (m *boltMeta, magic bool, err error) {
	var b [metaSize]byte
	if _, err := f.ReadAt(b[:], offset+pageHeader); err == io.EOF {
		return nil, false, nil
	} else if err != nil {
		return nil, false, fmt.Errorf("bolt: %w", err)
	}
	order := binary.NativeEndian
	if order.Uint32(b[0:]) != metaMagic {
		return nil, false, nil
	}
	h := fnv.New64a()
	_, _ = h.Write(b[:metaSum])
	if order.Uint32(b[4:]) != metaVersion || order.Uint64(b[metaSum:]) != h.Sum64() {
		return nil, true, nil
	}
	return &boltMeta{
		pageSize: order.Uint32(b[8:]), root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]),
		pages: order.Uint64(b[40:]), tx: order.Uint64(b[48:]),
	}, true, nil
}
