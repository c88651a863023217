package repair

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// Mend makes of j.Path what j.Method can, and verifies it.
func (j Job) Mend(ctx context.Context, tell format.Progress) (Done, error) {
	s, err := j.settle(tell)
	if err != nil {
		return Done{}, err
	}
	if err := rewrite(ctx, j.Copy, &s, tell); err != nil {
		return Done{}, err
	}
	r, err := verifyFile(ctx, j.Copy, tell)
	return Done{Report: r, Mended: s.mended}, err
}

// settle reads j.Path and decides what is kept of it.
func (j Job) settle(tell format.Progress) (settled, error) {
	f, err := disk.OpenFile(j.Path, os.O_RDONLY)
	if err != nil {
		return settled{}, fmt.Errorf("bolt: %w", err)
	}
	defer func() { _ = f.Close() }()
	size, err := format.LengthOf(f)
	if err != nil {
		return settled{}, err
	}
	metas, _, err := format.ReadMetas(f)
	if err != nil {
		return settled{}, err
	}
	return j.settleImage(f, size, metas, tell)
}

// settleImage is settle for a file of so many bytes, of whose first pages those
// are whole.
func (j Job) settleImage(f io.ReaderAt, size int64, metas []*format.BoltMeta, tell format.Progress) (settled, error) {
	var m *format.BoltMeta
	if len(metas) > 0 {
		m = metas[0]
	}
	switch {
	case j.Method == Salvage:
	case j.Method == Rebuild && len(metas) < 2:
		return settled{}, fmt.Errorf("one of its two first pages is not whole")
	case m == nil:
		return settled{}, fmt.Errorf("neither of its two first pages is whole")
	case j.Method == StepBack && len(metas) == 2:
		m = metas[1]
	}
	pageSize := guessPageSize(f, size)
	if m != nil {
		pageSize = int(m.PageSize)
	}
	img := readSnapshot(f, size, pageSize)
	if j.Method == Salvage {
		h := harvestPages(img, m, tell)
		if err := h.usable(j.Path); err != nil {
			return settled{}, err
		}
		return h.settle(len(metas) < 2), nil
	}
	h, err := harvestTree(img, m)
	if err == nil {
		err = h.usable(j.Path)
	}
	if err != nil {
		return settled{}, err
	}
	if j.Method == Rebuild {
		return h.settle(false), nil
	}
	out := h.settle(true)
	out.beyond(h, harvestPages(img, nil, nil))
	return out, nil
}

// usable says why nothing can be made of a harvest.
func (h *harvest) usable(path string) error {
	for _, f := range h.meta[format.MetaSchema] {
		value, _ := format.Unseal([]byte(format.MetaSchema), f.sealed)
		if n, err := strconv.ParseUint(string(value), 10, 32); err == nil && n > format.Schema {
			return fmt.Errorf("%w: %s has schema %d, and this version knows %d", format.ErrNewer, path, n, format.Schema)
		}
	}
	if len(h.Ops)+len(h.Events)+len(h.meta[format.MetaSchema]) == 0 {
		return fmt.Errorf("%w: %s has no record of this package", disk.ErrForeign, path)
	}
	return nil
}

// beyond notes what all pages of the file have that is newer than the tree that
// was taken.
func (s *settled) beyond(tree, all *harvest) {
	head := s.pruned + uint64(len(s.events))
	s.mended.Lost = append(s.mended.Lost, Loss{Detail: "the last commit: what it wrote and is not named here is lost too"})
	last, newer := head, map[format.RowID]store.Event{}
	for seq, found := range all.Events {
		if seq <= head {
			continue
		}
		last = max(last, seq)
		for _, f := range found {
			e, err := format.DecodeEvent([16]byte{}, seq, f.sealed)
			if key, ok := format.ParseID(e.Operation); err == nil && ok {
				newer[key] = e
			}
		}
	}
	if last > head {
		s.mended.Lost = append(s.mended.Lost, Loss{First: head + 1, Last: last, Detail: "of the commit that is lost, or of one that was never finished"})
	}
	var newest format.RowID
	for key := range tree.Ops {
		if key.Compare(newest) > 0 {
			newest = key
		}
		if was, is := latest(key, tree.Ops[key]), latest(key, all.Ops[key]); is.Version > was.Version && newer[key].Operation == "" {
			newer[key] = store.Event{Operation: is.ID, Ref: is.Ref}
		}
	}
	for key, found := range all.Ops { // ids grow with time
		if o := latest(key, found); key.Compare(newest) > 0 {
			newer[key] = store.Event{Operation: o.ID, Ref: o.Ref}
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(newer), format.RowID.Compare) {
		s.mended.Lost = append(s.mended.Lost, Loss{Operation: key.Id(), Ref: newer[key].Ref, Detail: "its latest record is of that commit"})
	}
}

// latest is of several records of one operation that with the highest version.
func latest(key format.RowID, all []found) (out store.Operation) {
	for _, f := range all {
		if o, err := format.DecodeOperation(key, f.sealed); err == nil && o.Version > out.Version {
			out = o
		}
	}
	return out
}

// guessPageSize is for a file without a first page: the size at which most pages
// say that they are where they are.
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
