package repair

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// harvest is what was found in a damaged file: of each key all values that
// differ, since old pages keep what stood there before.
type found struct {
	Ops     map[format.RowID][]candidate
	Events  map[uint64][]candidate
	lanes   map[string][]candidate
	records map[string][]candidate
	meta    map[string][]candidate
	ended   map[string]format.RowID // what leads to operations, as far as it is sure
	tokens  map[string]format.RowID
	over    map[format.RowID]bool // operations that a row of any page led to as ended: none becomes active again
	aside   map[string][]byte     // the quarantine
	pages   []Loss                // those of it that could not be read
	doubted []Loss                // those that were read in part
	corrupt []corruptRecord       // what stands for the newest state and is not as it was written
	broken  bool                  // some of the newest state could not be read
	tx      uint64                // the last transaction; 0: it is not known
	said    map[string]uint64     // of the buckets, by their page: see witness.go
	anySure bool                  // some of it could
}

// found is a value as it was sealed.
type candidate struct {
	sealed []byte
	trust  trust
}

type corruptRecord struct {
	bucket      string
	key, sealed []byte
}

func NewHarvest() *found {
	return &found{
		Ops: map[format.RowID][]candidate{}, Events: map[uint64][]candidate{}, lanes: map[string][]candidate{}, records: map[string][]candidate{},
		meta: map[string][]candidate{}, ended: map[string]format.RowID{}, tokens: map[string]format.RowID{}, over: map[format.RowID]bool{}, aside: map[string][]byte{},
	}
}

// kinds says of each bucket whether a pair may stand in it, in the order in
// which a pair that stands nowhere is tried: what fits one fits none before it.
var kinds = []struct {
	bucket string
	fits   func(key, sealed []byte) bool
}{
	{format.BucketOperations, fitsOperation},
	{format.BucketEvents, fitsEvent},
	{format.BucketMeta, fitsMeta},
	{format.BucketRecords, fitsRecord},
	{format.BucketEnded, func(k, v []byte) bool { return fitsRow(k, v) && bytes.IndexByte(k, 0) >= 0 }},
	{format.BucketTokens, fitsRow},
	{format.BucketLanes, fitsLane},
}

func fitsOperation(k, v []byte) bool {
	if len(k) != 16 {
		return false
	}
	_, err := format.DecodeOperation(format.RowID(k), v)
	return err == nil
}

func fitsEvent(k, v []byte) bool {
	if len(k) != 8 {
		return false
	}
	_, err := format.DecodeEvent([16]byte{}, format.SeqOf(k), v)
	return err == nil
}

// fitsRow is of a row that leads to an operation.
func fitsRow(k, v []byte) bool {
	id, ok := format.Unseal(k, v)
	return ok && len(id) == 16
}

func fitsLane(k, v []byte) bool {
	_, err := format.DecodeLane(k, v)
	return err == nil
}

func fitsRecord(k, v []byte) bool {
	_, err := format.DecodeRecord(k, v)
	return err == nil
}

// metaKeys are those that a repair reads or makes.
var metaKeys = []string{format.MetaSchema, format.MetaID, format.MetaCreated, format.MetaPruned, format.MetaStamp}

// fitsMeta knows the keys of this version; one of another is known by its bucket.
func fitsMeta(k, v []byte) bool {
	value, ok := format.Unseal(k, v)
	if !ok {
		return false
	}
	switch string(k) {
	case format.MetaSchema:
		_, err := strconv.ParseUint(string(value), 10, 32)
		return err == nil
	case format.MetaID:
		return len(value) == 16
	case format.MetaCreated:
		return len(value) == 8
	case format.MetaPruned:
		return len(value) == 8+format.HashSize
	case format.MetaStamp:
		return true
	case format.MetaMachine:
		return format.Decoder.Valid(value) == nil
	case format.MetaHeld:
		return format.Decoder.Valid(value) == nil
	}
	return false
}

// KindOf is the bucket that a pair stands in, or may stand in if that is not
// known; "" if it is not as it was written.
func KindOf(bucket string, key, sealed []byte) string {
	for _, k := range kinds {
		if (bucket == "" || bucket == k.bucket) && k.fits(key, sealed) {
			return k.bucket
		}
	}
	return ""
}

// add takes a pair in, and reports whether it is as it was written.
func (h *found) add(bucket string, key, sealed []byte, t trust) bool {
	if bucket == format.BucketQuarantine {
		h.aside[string(key)] = sealed
		return true
	}
	h.anySure = h.anySure || t == Sure
	kind := KindOf(bucket, key, sealed)
	if _, ok := format.Unseal(key, sealed); ok && kind == "" && bucket == format.BucketMeta && !slices.Contains(metaKeys, string(key)) {
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
		if t == Sure {
			h.ended[string(key)] = format.RowID(sealed[:16])
		}
	case format.BucketTokens:
		if t == Sure {
			h.tokens[string(key)] = format.RowID(sealed[:16])
		}
	default:
		return false
	}
	return true
}

func also(have []candidate, sealed []byte, t trust) []candidate {
	for i := range have {
		if bytes.Equal(have[i].sealed, sealed) {
			have[i].trust = max(have[i].trust, t)
			return have
		}
	}
	return append(have, candidate{sealed: sealed, trust: t})
}

// harvestPages takes all that is left, from every page. m says what is of the
// newest state; nil: nobody knows.
func readPages(img Image, m *format.BoltMeta, tell format.Progress) *found {
	h := NewHarvest()
	u := FindInUse(img, m)
	h.broken = u.Broken
	took := map[uint64]int{}
	for id := uint64(2); id < img.Pages(); id++ {
		tell.Say("pages", id, img.Pages())
		_, flags, _, _ := img.Header(id)
		s := &pageReader{H: h, Trust: u.trust(id), bucket: u.buckets[id], leaf: u.Reached[id] && flags == format.PageLeaf}
		EachElement(img.From(id), img.PageSize, s.Element)
		if s.Trust > old && (s.unread+s.named > 0 || !img.sound(id)) {
			s.search(img.From(id), img.PageSize)
		}
		took[id] = s.took
		if s.leaf && s.unread > 0 {
			h.broken = true
			h.pages = append(h.pages, Loss{Page: id, Detail: fmt.Sprintf("%d of what stands on it cannot be read: what is not named here is lost too", s.unread)})
		}
	}
	if m != nil {
		h.tx, h.said = m.Tx, saidBy(img, m)
		h.unread(u, m, took)
	}
	return h
}

// unread names the pages of the newest state that are damaged. One on which there
// is nothing, and below which pages are found, held no records but led to them.
func (h *found) unread(u *inUse, m *format.BoltMeta, took map[uint64]int) {
	sound, bad := u.orphans(m)
	h.broken = h.broken || len(bad)+len(sound) > 0
	for _, id := range bad {
		switch {
		case took[id] == 0 && len(bad) == 1 && len(sound) > 0:
		case took[id] == 0:
			h.pages = append(h.pages, Loss{Page: id, Detail: "it cannot be read: what was on it and is not named here is lost too"})
		case u.misled[id]:
			h.pages = append(h.pages, Loss{Page: id, Detail: fmt.Sprintf("it may be an old one: %d records were read from it, and what was on it since and is not named here is lost", took[id])})
		default:
			h.doubted = append(h.doubted, Loss{Page: id, Detail: fmt.Sprintf("it is damaged: %d records were read from it", took[id])})
		}
	}
}
