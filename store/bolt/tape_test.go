package bolt

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	bbolt "go.etcd.io/bbolt"
)

// What a power cut may leave is made from what was written. bbolt writes the pages of a
// commit, syncs, writes a meta page, and syncs. Until the first sync is done, any of the
// pages may be on disk, and of each any of its sectors. Only then comes the meta page, and
// with it the commit.

// sector is what a disk writes as a whole or not at all.
const sector = 512

// written is one write.
type written struct {
	off  int64
	data []byte
}

// taped is one commit as it was written.
type taped struct {
	pages  []written
	meta   written
	length int64 // of the file, while it was written
}

// tape is a file and the commits that were made to it since.
type tape struct {
	pageSize int
	base     []byte
	commits  []taped
}

// record returns a hook for Config.opened that records the commits to the file at path.
func record(t testing.TB, path string) (*tape, func(*bbolt.DB)) {
	t.Helper()
	p := &tape{}
	var now taped
	return p, func(db *bbolt.DB) {
		if len(p.base) > 0 {
			t.Fatal("the file was opened twice, so the tape is not one history")
		}
		p.pageSize = db.Info().PageSize
		var err error
		if p.base, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		hookWrites(db, func(write writeAt) writeAt {
			return func(b []byte, off int64) (int, error) {
				w := written{off, append([]byte(nil), b...)}
				if !isMeta(db, off) {
					now.pages = append(now.pages, w)
					return write(b, off)
				}
				info, err := os.Stat(path)
				if err != nil {
					return 0, err
				}
				now.meta, now.length = w, info.Size()
				p.commits = append(p.commits, now)
				now = taped{}
				return write(b, off)
			}
		})
	}
}

// image is what a power cut left of a file.
type image struct {
	data   []byte
	length int64
}

// used returns how long the file must be, as the newer of its two meta pages says.
func (m *image) used(pageSize int) int64 {
	newest := format.BoltMeta{}
	for at := range 2 {
		page, _, _ := format.ReadMeta(bytes.NewReader(m.data), int64(at*pageSize))
		if page != nil && page.Tx >= newest.Tx {
			newest = *page
		}
	}
	return int64(newest.Pages) * int64(pageSize) //nolint:gosec // small
}

// put writes w.
func (m *image) put(w written) {
	if need := int(w.off) + len(w.data); need > len(m.data) {
		m.data = append(m.data, make([]byte, need-len(m.data))...)
	}
	copy(m.data[w.off:], w.data)
}

// tear writes some sectors of w.
func (m *image) tear(r *rand.Rand, w written) {
	for at := 0; at < len(w.data); at += sector {
		if r.IntN(2) == 0 {
			m.put(written{w.off + int64(at), w.data[at:min(at+sector, len(w.data))]})
		}
	}
}

// save writes the image to a file.
func (m *image) save(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(m.data[:min(len(m.data), int(m.length))])
	if err == nil {
		err = f.Truncate(m.length)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// cuts calls each with at least n images of a power cut during commit c to the file base.
// The pages of base are used up to high. The images have all sets of the commit's pages
// if they are few, else random sets, some with torn pages or without a tail. The flag
// whole says that the commit must be in the image.
func (c *taped) cuts(r *rand.Rand, base *image, high int64, n int, each func(m *image, whole bool, kind string)) {
	begin := func() *image {
		return &image{append([]byte(nil), base.data...), c.length}
	}
	all := func() *image {
		m := begin()
		for _, w := range c.pages {
			m.put(w)
		}
		return m
	}
	given := 0
	give := func(m *image, whole bool, kind string) { given++; each(m, whole, kind) }

	give(&image{append([]byte(nil), base.data...), base.length}, false, "nothing")
	give(all(), false, "all pages, no meta page")
	m := all()
	m.put(written{c.meta.off + sector, c.meta.data[sector:]})
	give(m, false, "a meta page without its first sector")
	m = all()
	m.put(written{c.meta.off, c.meta.data[:sector]})
	give(m, true, "the first sector of a meta page")
	m = all()
	m.put(c.meta)
	give(m, true, "all")
	if len(c.pages) <= 4 {
		for set := range 1 << len(c.pages) {
			m := begin()
			for i, w := range c.pages {
				if set&(1<<i) != 0 {
					m.put(w)
				}
			}
			give(m, false, "some pages")
		}
	}
	for given < n {
		m, kind := begin(), "some pages"
		torn := r.IntN(2) == 0
		if torn {
			kind = "some pages, torn"
		}
		for _, w := range c.pages {
			switch r.IntN(3) {
			case 0:
			case 1:
				if torn {
					m.tear(r, w)
				}
			default:
				m.put(w)
			}
		}
		if r.IntN(4) == 0 && c.length > high {
			kind += ", without the tail"
			m.length = high + r.Int64N(c.length-high)
		}
		give(m, false, kind)
	}
}

// apply adds the whole commit to an image.
func (c *taped) apply(m *image) {
	for _, w := range c.pages {
		m.put(w)
	}
	m.put(c.meta)
	m.length = c.length
}
