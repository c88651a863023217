package format

import (
	"bytes"
	"strconv"
)

// kinds says of each bucket whether a pair may stand in it, in the order in
// which a pair that stands nowhere is tried: what fits one fits none before it.
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

// fitsRow is of a row that leads to an operation.
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

// MetaKeys are those that a repair reads or makes.
var MetaKeys = []string{MetaSchema, MetaID, MetaCreated, MetaPruned, MetaStamp}

// fitsMeta knows the keys of this version; one of another is known by its bucket.
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
