package repair

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// found holds what the pages of a damaged file hold. A key may have several values, because
// old pages hold earlier ones.
type found struct {
	Ops     map[format.RowID][]candidate
	Events  map[uint64][]candidate
	lanes   map[string][]candidate
	records map[string][]candidate
	meta    map[string][]candidate
	ended   map[string]format.RowID // rows that point to operations, from pages in use
	tokens  map[string]format.RowID
	over    map[format.RowID]bool // ended operations, by the rows of any page; none of them becomes active again
	aside   map[string][]byte     // the quarantine
	pages   []Loss                // pages in use that could not be read
	doubted []Loss                // pages in use that were read in part
	corrupt []corruptRecord       // from pages in use
	broken  bool                  // a page in use could not be read
	tx      uint64                // the last transaction; zero if not known
	noted   map[string]uint64     // by bucket: the note of the last commit; see complete.go
	anySure bool                  // a page in use could be read
}

// candidate is one sealed value of a key.
type candidate struct {
	sealed []byte
	trust  format.Trust
}

type corruptRecord struct {
	bucket      string
	key, sealed []byte
}

func newFound() *found {
	return &found{
		Ops: map[format.RowID][]candidate{}, Events: map[uint64][]candidate{}, lanes: map[string][]candidate{}, records: map[string][]candidate{},
		meta: map[string][]candidate{}, ended: map[string]format.RowID{}, tokens: map[string]format.RowID{}, over: map[format.RowID]bool{}, aside: map[string][]byte{},
	}
}

// add adds a pair, and reports whether its checksum is right.
func (h *found) add(bucket string, key, sealed []byte, t format.Trust) bool {
	if bucket == format.BucketQuarantine {
		h.aside[string(key)] = sealed
		return true
	}
	h.anySure = h.anySure || t == format.Sure
	kind := format.KindOf(bucket, key, sealed)
	if _, ok := format.Unseal(key, sealed); ok && kind == "" && bucket == format.BucketMeta && !slices.Contains(format.MetaKeys, string(key)) {
		kind = format.BucketMeta
	}
	switch kind {
	case format.BucketOperations:
		h.Ops[format.RowID(key)] = also(h.Ops[format.RowID(key)], sealed, t)
	case format.BucketEvents:
		h.Events[format.SeqOf(key)] = also(h.Events[format.SeqOf(key)], sealed, t)
	case format.BucketMeta:
		h.meta[string(key)] = also(h.meta[string(key)], sealed, t)
	case format.BucketLanes:
		h.lanes[string(key)] = also(h.lanes[string(key)], sealed, t)
	case format.BucketRecords:
		h.records[string(key)] = also(h.records[string(key)], sealed, t)
	case format.BucketEnded:
		h.over[format.RowID(sealed[:16])] = true
		if t == format.Sure {
			h.ended[string(key)] = format.RowID(sealed[:16])
		}
	case format.BucketTokens:
		if t == format.Sure {
			h.tokens[string(key)] = format.RowID(sealed[:16])
		}
	default:
		return false
	}
	return true
}

func also(have []candidate, sealed []byte, t format.Trust) []candidate {
	for i := range have {
		if bytes.Equal(have[i].sealed, sealed) {
			have[i].trust = max(have[i].trust, t)
			return have
		}
	}
	return append(have, candidate{sealed: sealed, trust: t})
}

// readPages reads every pair with a right checksum from every page. m says which pages
// are in use. A nil m means that this is not known.
func readPages(img format.Image, m *format.BoltMeta, tell Progress) *found {
	h := newFound()
	u := format.FindInUse(img, m)
	h.broken = u.Broken
	took := map[uint64]int{}
	for id := uint64(2); id < img.Pages(); id++ {
		tell.Call("pages", id, img.Pages())
		_, flags, _, _ := img.Header(id)
		s := &pageReader{H: h, Trust: u.Trust(id), bucket: u.Buckets[id], leaf: u.Reached[id] && flags == format.PageLeaf}
		format.EachElement(img.From(id), img.PageSize, s.Element)
		if s.Trust > format.Old && (s.unread+s.named > 0 || !img.Sound(id)) {
			s.search(img.From(id), img.PageSize)
		}
		took[id] = s.took
		if s.leaf && s.unread > 0 {
			h.broken = true
			h.pages = append(h.pages, Loss{Page: id, Detail: fmt.Sprintf("%d of its records cannot be read, and those that are not named here are lost too", s.unread)})
		}
	}
	if m != nil {
		h.tx, h.noted = m.Tx, noteOf(img, m)
		h.unread(u, m, took)
	}
	return h
}

// unread names the damaged pages in use. A page without records that is above other pages
// was a branch, and held none.
func (h *found) unread(u *format.InUse, m *format.BoltMeta, took map[uint64]int) {
	sound, bad := u.Orphans(m)
	h.broken = h.broken || len(bad)+len(sound) > 0
	for _, id := range bad {
		switch {
		case took[id] == 0 && len(bad) == 1 && len(sound) > 0:
		case took[id] == 0:
			h.pages = append(h.pages, Loss{Page: id, Detail: "it cannot be read, and its records that are not named here are lost too"})
		case u.Misled[id]:
			h.pages = append(h.pages, Loss{Page: id, Detail: fmt.Sprintf("it may be an old page, so later records that are not named here are lost; %d records were read from it", took[id])})
		default:
			h.doubted = append(h.doubted, Loss{Page: id, Detail: fmt.Sprintf("it is damaged, and %d records were read from it", took[id])})
		}
	}
}
