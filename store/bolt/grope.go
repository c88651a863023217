package bolt

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// sweeper takes in what one page has.
type sweeper struct {
	h      *harvest
	trust  trust
	leaf   bool // it is one for certain: what looks like an element is one
	took   int  // records
	unread int  // elements that are none, and do not say of what
}

// element takes in what may be an element.
func (s *sweeper) element(flags uint32, key, value []byte) { s.elementOf("", flags, key, value) }

// elementOf is element of a page that stands in a bucket, if that is known.
func (s *sweeper) elementOf(bucket string, flags uint32, key, value []byte) {
	if bucket == "" && s.inline(flags, key, value) {
		return
	}
	if key != nil && s.h.add(bucket, key, value, s.trust) {
		s.took++
		return
	}
	if flags&bucketFlag != 0 && key != nil {
		return
	}
	name, _, aside := strings.Cut(string(key), "\x00")
	switch {
	case aside && slices.Contains(allBuckets(), name): // it was set aside before
		return
	case bucket == "" && len(key) == 16:
		bucket = bucketOperations
	case bucket == "" && len(key) == 8:
		bucket = bucketEvents
	}
	switch {
	case bucket == "":
		s.unread++
	case s.leaf:
		s.h.rotten = append(s.h.rotten, spoilt{bucket: bucket, key: key, sealed: value})
		s.unread++
	}
}

// inline takes in a small bucket, which stands in the page that names it.
func (s *sweeper) inline(flags uint32, key, value []byte) bool {
	named := slices.Contains(allBuckets(), string(key))
	if !named || len(value) < bucketHeader+pageHeader || binary.NativeEndian.Uint64(value) != 0 && flags&bucketFlag != 0 {
		return false
	}
	loosely(value[bucketHeader:], len(value), func(flags uint32, k, v []byte) { s.elementOf(string(key), flags, k, v) })
	return true
}

// grope looks for records where the elements that lead to them were hit: a
// record of an operation or of an event begins with its format, its text says
// where it ends, and its checksum that it is one.
func (s *sweeper) grope(page []byte, size int) {
	for at := range min(size, len(page)) {
		switch {
		case page[at] != recordFormat: // and of an event's
		case at >= 16 && s.record(bucketOperations, page[at-16:at], page[at:], operationText):
		case at >= 8:
			s.record(bucketEvents, page[at-8:at], page[at:], eventHead)
		}
	}
}

// operationText stands for where the text of an operation begins, which its
// record says.
const operationText = -1

// record takes in a record that begins v, if it is one.
func (s *sweeper) record(bucket string, key, v []byte, text int) bool {
	if text == operationText {
		_, behind, err := decodeHead(v)
		if err != nil {
			return false
		}
		text = len(v) - len(behind)
	}
	if text > len(v) {
		return false
	}
	var raw cbor.RawMessage
	rest, err := decoder.UnmarshalFirst(v[text:], &raw)
	if err != nil || len(rest) < sumSize {
		return false
	}
	sealed := v[: len(v)-len(rest)+sumSize : len(v)-len(rest)+sumSize]
	if kindOf(bucket, key, sealed) == "" {
		return false
	}
	if s.h.add(bucket, key, sealed, s.trust) {
		s.took++
	}
	return true
}
