package bolt

import (
	"encoding/binary"
	"errors"
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

// noFreelist is what stands for the page of the free list where none is kept.
const noFreelist = ^uint64(0)

// checkFile returns ErrForeign if f is no bbolt file, and a *CorruptError if it
// is one that cannot be used. tell, if it is not nil, hears of each page and of
// how many there are.
func checkFile(path string, f *os.File, tell Progress) error {
	damaged := func(format string, args ...any) error {
		return &CorruptError{Path: path, Detail: fmt.Sprintf(format, args...)}
	}
	metas, magic, err := readMetas(f)
	if err != nil {
		return err
	}
	switch {
	case len(metas) == 0 && !magic:
		return fmt.Errorf("%w: %s is some other kind of file", ErrForeign, path)
	case len(metas) == 0:
		return damaged("neither of its two first pages is whole")
	}
	m := metas[0]
	if size, err := lengthOf(f); err != nil || size < m.size() {
		return errors.Join(err, damaged("it has %d bytes, and was %d long: it is cut short", size, m.size()))
	}
	if len(metas) == 1 {
		// bbolt would go on from the other, without a word of the commit that
		// this one may have been. A power cut leaves no such page: what bbolt
		// writes of it lies in one sector.
		return damaged("one of its two first pages is not whole: the last commit may be missing")
	}
	if m.freelist == noFreelist {
		// bbolt would look for the free pages in a goroutine whose panic nobody
		// can catch. No version of this package leaves a file so.
		return damaged("its list of free pages is missing")
	}
	done := uint64(0)
	if err := checkPages(f, m, func(uint64) { done++; tell.say("pages", done, m.pages) }); err != nil {
		return damaged("%v", err)
	}
	return nil
}

// size is how long a file is at least.
func (m *boltMeta) size() int64 { return int64(m.pages) * int64(m.pageSize) } //nolint:gosec // readMeta bounds both

func lengthOf(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("bolt: %w", err)
	}
	return info.Size(), nil
}

// readMetas returns those of the two first pages that are whole, the newest
// first. magic says that f begins as a bbolt file does.
func readMetas(f io.ReaderAt) (found []*boltMeta, magic bool, err error) {
	first, magic, err := readMeta(f, 0)
	if err != nil {
		return nil, magic, err
	}
	if first != nil {
		found = append(found, first)
	}
	// The second page begins where the first ends, and how long that is may be
	// written only in the second.
	for size := int64(1024); size <= 1<<16; size *= 2 {
		if first != nil && size != int64(first.pageSize) {
			continue
		}
		m, has, err := readMeta(f, size)
		if err != nil {
			return nil, magic, err
		}
		magic = magic || has
		if m != nil && int64(m.pageSize) == size {
			found = append(found, m)
		}
	}
	if len(found) == 2 && found[1].tx > found[0].tx {
		found[0], found[1] = found[1], found[0]
	}
	return found, magic, nil
}

// readMeta reads the page at offset; nil if it is not whole. magic says that
// it begins as one.
func readMeta(f io.ReaderAt, offset int64) (m *boltMeta, magic bool, err error) {
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
	m = &boltMeta{
		pageSize: order.Uint32(b[8:]), root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]),
		pages: order.Uint64(b[40:]), tx: order.Uint64(b[48:]),
	}
	if m.pageSize < 512 || m.pageSize > 1<<16 || m.pages > 1<<40 {
		return nil, true, nil // a sum that fits by chance, or by design
	}
	return m, true, nil
}
