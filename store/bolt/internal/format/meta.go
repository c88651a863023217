package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
)

// bbolt writes two pages at the beginning of a file, in the byte order of the machine. Each
// has a header of 16 bytes and then the state of the file. CheckFile reads them before bbolt
// maps the file, because mapping a file that is shorter than its state says ends in a fault.
const (
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	PageHeader  = 16
	MetaSize    = 64
	MetaSum     = 56 // the offset of the checksum
)

// BoltMeta holds the fields of such a page that this package needs.
type BoltMeta struct {
	PageSize uint32
	Root     uint64 // the page where the tree of all buckets begins
	Freelist uint64 // the page that lists the free ones; all bits: there is no list
	Pages    uint64 // the high-water mark
	Tx       uint64
}

// NoFreelist is the page number of the free list in a file that keeps none.
const NoFreelist = ^uint64(0)

// CheckFile opens the file at path with flag and reads its pages. It returns ErrForeign if
// the file is no bbolt file, and a *CorruptError if it is one that cannot be used. It calls
// tell, unless nil, for each page with the number of pages.
func CheckFile(path string, flag int, tell Progress) error {
	f, err := disk.OpenFile(path, flag)
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	defer func() { _ = f.Close() }() // it only reads
	damaged := func(format string, args ...any) error {
		return &CorruptError{Path: path, Detail: fmt.Sprintf(format, args...)}
	}
	metas, magic, err := ReadMetas(f)
	if err != nil {
		return err
	}
	switch {
	case len(metas) == 0 && !magic:
		return fmt.Errorf("%w: %s is no database: choose another path, or move the file away", disk.ErrForeign, path)
	case len(metas) == 0:
		return damaged("both of its first pages are damaged")
	}
	m := metas[0]
	if size, err := LengthOf(f); err != nil || size < m.size() {
		return errors.Join(err, damaged("it has %d bytes of %d: its end is cut off", size, m.size()))
	}
	if len(metas) == 1 {
		// bbolt would continue from the other page and would not report that this page may have
		// been the last commit. A power cut leaves no such page, because bbolt's part of it lies
		// in one sector.
		return damaged("one of its two first pages is damaged: the last commit may be missing")
	}
	if m.Freelist == NoFreelist {
		// bbolt would look for the free pages in a goroutine whose panic no recover can catch.
		// No version of this package leaves a file so.
		return damaged("its list of free pages is missing")
	}
	done := uint64(0)
	if err := CheckPages(f, m, func(uint64) { done++; tell.Call("pages", done, m.Pages) }); err != nil {
		return damaged("%v", err)
	}
	return nil
}

// size returns the smallest length that the file may have.
func (m *BoltMeta) size() int64 { return int64(m.Pages) * int64(m.PageSize) } //nolint:gosec // readMeta bounds both

func LengthOf(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("bolt: %w", err)
	}
	return info.Size(), nil
}

// ReadMetas returns the whole ones of the two first pages, the newest first. magic says that
// f begins as a bbolt file does.
func ReadMetas(f io.ReaderAt) (found []*BoltMeta, magic bool, err error) {
	first, magic, err := ReadMeta(f, 0)
	if err != nil {
		return nil, magic, err
	}
	if first != nil {
		found = append(found, first)
	}
	// The second page begins where the first ends. If the first page is damaged, only the
	// second says how long a page is.
	for size := int64(1024); size <= 1<<16; size *= 2 {
		if first != nil && size != int64(first.PageSize) {
			continue
		}
		m, has, err := ReadMeta(f, size)
		if err != nil {
			return nil, magic, err
		}
		magic = magic || has
		if m != nil && int64(m.PageSize) == size {
			found = append(found, m)
		}
	}
	if len(found) == 2 && found[1].Tx > found[0].Tx {
		found[0], found[1] = found[1], found[0]
	}
	return found, magic, nil
}

// ReadMeta reads the page at offset. It returns nil if the page is not whole. magic says
// that the page begins as a bbolt file does.
func ReadMeta(f io.ReaderAt, offset int64) (m *BoltMeta, magic bool, err error) {
	var b [MetaSize]byte
	if _, err := f.ReadAt(b[:], offset+PageHeader); err == io.EOF {
		return nil, false, nil
	} else if err != nil {
		return nil, false, fmt.Errorf("bolt: %w", err)
	}
	order := binary.NativeEndian
	if order.Uint32(b[0:]) != metaMagic {
		return nil, false, nil
	}
	h := fnv.New64a()
	_, _ = h.Write(b[:MetaSum])
	if order.Uint32(b[4:]) != metaVersion || order.Uint64(b[MetaSum:]) != h.Sum64() {
		return nil, true, nil
	}
	m = &BoltMeta{
		PageSize: order.Uint32(b[8:]), Root: order.Uint64(b[16:]), Freelist: order.Uint64(b[32:]),
		Pages: order.Uint64(b[40:]), Tx: order.Uint64(b[48:]),
	}
	if m.PageSize < 512 || m.PageSize > 1<<16 || m.Pages > 1<<40 {
		return nil, true, nil // the checksum fits by chance, or by design
	}
	return m, true, nil
}
