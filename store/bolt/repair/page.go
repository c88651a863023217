package repair

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// pageReader reads the records of one page.
type pageReader struct {
	H      *found
	Trust  format.Trust
	bucket string // of the page; "" if not known
	leaf   bool   // the page is certainly a leaf
	took   int    // records that were read
	unread int    // elements that cannot be read
	named  int    // corrupt records with a known key
}

// Element reads what may be an element of the page.
func (s *pageReader) Element(flags uint32, key, value []byte) {
	s.elementOf(s.bucket, flags, key, value)
}

// elementOf is Element for a page of a bucket, or of "" if the bucket is not known.
func (s *pageReader) elementOf(bucket string, flags uint32, key, value []byte) {
	if bucket == "" && s.inline(flags, key, value) {
		return
	}
	if key != nil && (s.H.add(bucket, key, value, s.Trust) || bucket != "" && s.H.add("", key, value, s.Trust)) {
		s.took++
		return
	}
	if flags&format.BucketFlag != 0 && key != nil {
		return
	}
	name, _, aside := strings.Cut(string(key), "\x00")
	switch {
	case aside && slices.Contains(format.AllBuckets(), name): // it is in quarantine
		return
	case bucket == "" && len(key) == 16:
		bucket = format.BucketOperations
	case bucket == "" && len(key) == 8:
		bucket = format.BucketEvents
	}
	switch {
	case bucket == "":
		s.unread++
	case s.leaf && s.bucket == bucket && key != nil && plausible(bucket, key):
		s.H.corrupt = append(s.H.corrupt, corruptRecord{bucket: bucket, key: key, sealed: value})
		s.named++
	case s.leaf:
		s.H.corrupt = append(s.H.corrupt, corruptRecord{bucket: bucket, key: key, sealed: value})
		s.unread++
	}
}

// plausible reports whether a key has the length of a bucket's keys.
func plausible(bucket string, key []byte) bool {
	switch bucket {
	case format.BucketOperations:
		return len(key) == 16
	case format.BucketEvents:
		return len(key) == 8
	}
	return true
}

// inline reads a small bucket, which is inside the page that names it.
func (s *pageReader) inline(flags uint32, key, value []byte) bool {
	named := slices.Contains(format.AllBuckets(), string(key))
	if !named || len(value) < format.BucketHeader+format.PageHeader || binary.NativeEndian.Uint64(value) != 0 && flags&format.BucketFlag != 0 {
		return false
	}
	defer func(outer string) { s.bucket = outer }(s.bucket)
	s.bucket = string(key)
	format.EachElement(value[format.BucketHeader:], len(value), s.Element)
	return true
}

// search finds records without the elements that point to them. The record of an operation
// or event begins with its format. Its CBOR shows where it ends, and its checksum proves it.
func (s *pageReader) search(page []byte, size int) {
	for at := range min(size, len(page)) {
		switch {
		case page[at] != format.RecordFormat: // an event's format has the same number
		case at >= 16 && s.record(format.BucketOperations, page[at-16:at], page[at:], operationText):
		case at >= 8:
			s.record(format.BucketEvents, page[at-8:at], page[at:], format.EventHead)
		}
	}
}

// operationText means that the record's head says where its CBOR begins.
const operationText = -1

// record reads the record at the beginning of v, and reports whether there is one.
func (s *pageReader) record(bucket string, key, v []byte, text int) bool {
	if text == operationText {
		_, behind, err := format.DecodeHead(v)
		if err != nil {
			return false
		}
		text = len(v) - len(behind)
	}
	if text > len(v) {
		return false
	}
	var raw cbor.RawMessage
	rest, err := format.Decoder.UnmarshalFirst(v[text:], &raw)
	if err != nil || len(rest) < format.SumSize {
		return false
	}
	sealed := v[: len(v)-len(rest)+format.SumSize : len(v)-len(rest)+format.SumSize]
	if format.KindOf(bucket, key, sealed) == "" {
		return false
	}
	if s.H.add(bucket, key, sealed, s.Trust) {
		s.took++
	}
	return true
}
