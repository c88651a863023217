package format

import (
	"bytes"
	"strconv"
)

// kinds says for each bucket whether a pair may be in it. A pair from an unknown bucket is
// tried in this order. The order matters: a pair that fits one bucket must not fit a bucket
// before it.
var kinds = []struct {
	bucket string
	fits   func(key, sealed []byte) bool
}{
	{BucketOperations, fitsOperation},
	{BucketEvents, fitsEvent},
	{BucketMeta, fitsMeta},
	{BucketRecords, fitsRecord},
	{BucketEnded, func(k, v []byte) bool { return fitsRow(k, v) && bytes.IndexByte(k, 0) >= 0 }},
	{BucketTokens, fitsRow},
	{BucketLanes, fitsLane},
}

func fitsOperation(k, v []byte) bool {
	if len(k) != 16 {
		return false
	}
	_, err := DecodeOperation(RowID(k), v)
	return err == nil
}

func fitsEvent(k, v []byte) bool {
	if len(k) != 8 {
		return false
	}
	_, err := DecodeEvent([16]byte{}, SeqOf(k), v)
	return err == nil
}

// fitsRow reports whether a pair is a row that points to an operation.
func fitsRow(k, v []byte) bool {
	id, ok := Unseal(k, v)
	return ok && len(id) == 16
}

func fitsLane(k, v []byte) bool {
	_, err := DecodeLane(k, v)
	return err == nil
}

func fitsRecord(k, v []byte) bool {
	_, err := DecodeRecord(k, v)
	return err == nil
}

// MetaKeys are the keys that a repair reads or makes.
var MetaKeys = []string{MetaSchema, MetaID, MetaCreated, MetaPruned, MetaStamp}

// fitsMeta checks the values of the keys of this version. A key of another version is
// recognised by its bucket alone.
func fitsMeta(k, v []byte) bool {
	value, ok := Unseal(k, v)
	if !ok {
		return false
	}
	switch string(k) {
	case MetaSchema:
		_, err := strconv.ParseUint(string(value), 10, 32)
		return err == nil
	case MetaID:
		return len(value) == 16
	case MetaCreated:
		return len(value) == 8
	case MetaPruned:
		return len(value) == 8+HashSize
	case MetaStamp:
		return true
	case MetaMachine:
		return Decoder.Wellformed(value) == nil
	case MetaHeld:
		return Decoder.Wellformed(value) == nil
	}
	return false
}

// KindOf returns the bucket of a pair. If bucket is empty, it returns the bucket that the
// pair fits. It returns "" if the pair is corrupt.
func KindOf(bucket string, key, sealed []byte) string {
	for _, k := range kinds {
		if (bucket == "" || bucket == k.bucket) && k.fits(key, sealed) {
			return k.bucket
		}
	}
	return ""
}
