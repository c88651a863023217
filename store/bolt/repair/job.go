package repair

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// Repair writes the records that are left of j.Path to j.Copy, and checks the copy.
func (j Job) Repair(ctx context.Context, tell Progress) (Done, error) {
	s, err := j.read(tell)
	if err != nil {
		return Done{}, err
	}
	if err := rewrite(ctx, j.Copy, &s, tell); err != nil {
		return Done{}, err
	}
	r, err := verifyFile(ctx, j.Copy, tell)
	return Done{Report: r, Outcome: s.outcome}, err
}

// read reads j.Path and selects the records that are kept.
func (j Job) read(tell Progress) (content, error) {
	f, err := disk.OpenFile(j.Path, os.O_RDONLY)
	if err != nil {
		return content{}, fmt.Errorf("bolt: %w", err)
	}
	defer func() { _ = f.Close() }()
	size, err := format.LengthOf(f)
	if err != nil {
		return content{}, err
	}
	metas, _, err := format.ReadMetas(f)
	if err != nil {
		return content{}, err
	}
	return j.readImage(f, size, metas, tell)
}

// readImage is read for a file of size bytes. metas are the whole ones of its two first
// pages, the newest first.
func (j Job) readImage(f io.ReaderAt, size int64, metas []*format.BoltMeta, tell Progress) (content, error) {
	var m *format.BoltMeta
	if len(metas) > 0 {
		m = metas[0]
	}
	pageSize := guessPageSize(f, size)
	if m != nil {
		pageSize = int(m.PageSize)
	}
	img := format.ReadImage(f, size, pageSize)
	h := readPages(img, m, tell)
	if err := h.usable(j.Path); err != nil {
		return content{}, err
	}
	return h.choose(len(metas) < 2), nil
}

// usable returns an error if the records that were found cannot be repaired.
func (h *found) usable(path string) error {
	for _, f := range h.meta[format.MetaSchema] {
		value, _ := format.Unseal([]byte(format.MetaSchema), f.sealed)
		if n, err := strconv.ParseUint(string(value), 10, 32); err == nil && n > format.Schema {
			return fmt.Errorf("%w: %s has schema %d, and this version knows %d: use a newer version", format.ErrNewer, path, n, format.Schema)
		}
	}
	if len(h.Ops)+len(h.Events)+len(h.meta[format.MetaSchema]) == 0 {
		return fmt.Errorf("%w: %s has no record of this package: choose another path, or move the file away", disk.ErrForeign, path)
	}
	return nil
}

// latest returns the record of an operation with the highest version.
func latest(key format.RowID, all []candidate) (out store.Operation) {
	for _, f := range all {
		if o, err := format.DecodeOperation(key, f.sealed); err == nil && o.Version > out.Version {
			out = o
		}
	}
	return out
}

// guessPageSize guesses the page size of a file whose two first pages are damaged. With the
// right size, most pages have their own number in their header.
func guessPageSize(f io.ReaderAt, size int64) int {
	best, most := os.Getpagesize(), 0
	for try := 512; try <= 1<<16; try *= 2 {
		fits := 0
		for id := int64(2); id < min(1000, size/int64(try)); id++ {
			var b [8]byte
			if _, err := f.ReadAt(b[:], id*int64(try)); err == nil && binary.NativeEndian.Uint64(b[:]) == uint64(id) { //nolint:gosec // positive
				fits++
			}
		}
		if fits > most {
			best, most = try, fits
		}
	}
	return best
}
