package bolt

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// harvest is what was found in a damaged file: of each key all values that
// differ, since old pages keep what stood there before.
type harvest struct {
	ops     map[rowID][]found
	events  map[uint64][]found
	lanes   map[string][]found
	records map[string][]found
	meta    map[string][]found
	ended   map[string]rowID // what leads to operations, as far as it is sure
	tokens  map[string]rowID
	over    map[rowID]bool    // operations that a row of any page led to as ended: none becomes active again
	aside   map[string][]byte // the quarantine
	pages   []Loss            // those of it that could not be read
	doubted []Loss            // those that were read in part
	rotten  []spoilt          // what stands for the newest state and is not as it was written
	broken  bool              // some of the newest state could not be read
	tx      uint64            // the last transaction; 0: it is not known
	said    map[string]uint64 // of the buckets, by their page: see witness.go
	anySure bool              // some of it could
}

// found is a value as it was sealed.
type found struct {
	sealed []byte
	trust  trust
}

type spoilt struct {
	bucket      string
	key, sealed []byte
}

func newHarvest() *harvest {
	return &harvest{
		ops: map[rowID][]found{}, events: map[uint64][]found{}, lanes: map[string][]found{}, records: map[string][]found{},
		meta: map[string][]found{}, ended: map[string]rowID{}, tokens: map[string]rowID{}, over: map[rowID]bool{}, aside: map[string][]byte{},
	}
}

// kinds says of each bucket whether a pair may stand in it, in the order in
// which a pair that stands nowhere is tried: what fits one fits none before it.
var kinds = []struct {
	bucket string
	fits   func(key, sealed []byte) bool
}{
	{bucketOperations, fitsOperation},
	{bucketEvents, fitsEvent},
	{bucketMeta, fitsMeta},
	{bucketRecords, fitsRecord},
	{bucketEnded, func(k, v []byte) bool { return fitsRow(k, v) && bytes.IndexByte(k, 0) >= 0 }},
	{bucketTokens, fitsRow},
	{bucketLanes, fitsLane},
}

func fitsOperation(k, v []byte) bool {
	if len(k) != 16 {
		return false
	}
	_, err := decodeOperation(rowID(k), v)
	return err == nil
}

func fitsEvent(k, v []byte) bool {
	if len(k) != 8 {
		return false
	}
	_, err := decodeEvent([16]byte{}, seqOf(k), v)
	return err == nil
}

// fitsRow is of a row that leads to an operation.
func fitsRow(k, v []byte) bool {
	id, ok := unseal(k, v)
	return ok && len(id) == 16
}

func fitsLane(k, v []byte) bool {
	_, err := decodeLane(k, v)
	return err == nil
}

func fitsRecord(k, v []byte) bool {
	_, err := decodeRecord(k, v)
	return err == nil
}

// metaKeys are those that a repair reads or makes.
var metaKeys = []string{metaSchema, metaID, metaCreated, metaPruned, metaStamp}

// fitsMeta knows the keys of this version; one of another is known by its bucket.
func fitsMeta(k, v []byte) bool {
	value, ok := unseal(k, v)
	if !ok {
		return false
	}
	switch string(k) {
	case metaSchema:
		_, err := strconv.ParseUint(string(value), 10, 32)
		return err == nil
	case metaID:
		return len(value) == 16
	case metaCreated:
		return len(value) == 8
	case metaPruned:
		return len(value) == 8+hashSize
	case metaStamp:
		return true
	case metaMachine:
		return decoder.Valid(value) == nil
	case metaHeld:
		return decoder.Valid(value) == nil
	}
	return false
}

// kindOf is the bucket that a pair stands in, or may stand in if that is not
// known; "" if it is not as it was written.
func kindOf(bucket string, key, sealed []byte) string {
	for _, k := range kinds {
		if (bucket == "" || bucket == k.bucket) && k.fits(key, sealed) {
			return k.bucket
		}
	}
	return ""
}

// add takes a pair in, and reports whether it is as it was written.
func (h *harvest) add(bucket string, key, sealed []byte, t trust) bool {
	if bucket == bucketQuarantine {
		h.aside[string(key)] = sealed
		return true
	}
	h.anySure = h.anySure || t == sure
	kind := kindOf(bucket, key, sealed)
	if _, ok := unseal(key, sealed); ok && kind == "" && bucket == bucketMeta && !slices.Contains(metaKeys, string(key)) {
		kind = bucketMeta
	}
	switch kind {
	case bucketOperations:
		h.ops[rowID(key)] = also(h.ops[rowID(key)], sealed, t)
	case bucketEvents:
		h.events[seqOf(key)] = also(h.events[seqOf(key)], sealed, t)
	case bucketMeta:
		h.meta[string(key)] = also(h.meta[string(key)], sealed, t)
	case bucketLanes:
		h.lanes[string(key)] = also(h.lanes[string(key)], sealed, t)
	case bucketRecords:
		h.records[string(key)] = also(h.records[string(key)], sealed, t)
	case bucketEnded:
		h.over[rowID(sealed[:16])] = true
		if t == sure {
			h.ended[string(key)] = rowID(sealed[:16])
		}
	case bucketTokens:
		if t == sure {
			h.tokens[string(key)] = rowID(sealed[:16])
		}
	default:
		return false
	}
	return true
}

func also(have []found, sealed []byte, t trust) []found {
	for i := range have {
		if bytes.Equal(have[i].sealed, sealed) {
			have[i].trust = max(have[i].trust, t)
			return have
		}
	}
	return append(have, found{sealed: sealed, trust: t})
}

// harvestTree takes what a whole tree leads to. The error is where it is not
// whole.
func harvestTree(img snapshot, m *boltMeta) (*harvest, error) {
	h := newHarvest()
	w := newWalk(bytes.NewReader(img.data), m)
	w.visit = func(bucket string, key, value []byte) error {
		if !h.add(bucket, key, value, sure) {
			h.rotten = append(h.rotten, spoilt{bucket: bucket, key: key, sealed: value})
		}
		return nil
	}
	h.tx, h.said = m.tx, saidBy(img, m)
	err := w.bucket(m.root, 0)
	for _, name := range bucketNames() {
		if _, met := w.witnesses[name]; err == nil && !met {
			err = fmt.Errorf("it has no bucket %q", name)
		}
	}
	return h, err
}

// harvestPages takes all that is left, from every page. m says what is of the
// newest state; nil: nobody knows.
func harvestPages(img snapshot, m *boltMeta, tell Progress) *harvest {
	h := newHarvest()
	u := findInUse(img, m)
	h.broken = u.broken
	took := map[uint64]int{}
	for id := uint64(2); id < img.pages(); id++ {
		tell.say("pages", id, img.pages())
		_, flags, _, _ := img.header(id)
		s := &sweeper{h: h, trust: u.trust(id), leaf: u.reached[id] && flags == pageLeaf}
		loosely(img.from(id), img.pageSize, s.element)
		if s.trust > old && (s.unread > 0 || !img.sound(id)) {
			s.grope(img.from(id), img.pageSize)
		}
		took[id] = s.took
		if s.leaf && s.unread > 0 {
			h.broken = true
			h.pages = append(h.pages, Loss{Page: id, Detail: fmt.Sprintf("%d of what stands on it cannot be read: what is not named here is lost too", s.unread)})
		}
	}
	if m != nil {
		h.tx, h.said = m.tx, saidBy(img, m)
		h.unread(u, m, took)
	}
	return h
}

// unread names the pages of the newest state that are damaged. One on which there
// is nothing, and below which pages are found, held no records but led to them.
func (h *harvest) unread(u *inUse, m *boltMeta, took map[uint64]int) {
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
