package format

import (
	"bytes"

	bbolt "go.etcd.io/bbolt"
)

// RecordBody is the CBOR of a small record. The numbers are on disk: append only.
type RecordBody struct {
	Value []byte `cbor:"1,keyasint"`
}

// RecordKey returns the key of a small record. It begins with a zero byte, which no key
// of another bucket does. So a repair recognises it on a page of an unknown bucket.
func RecordKey(kind, name string) []byte { return []byte("\x00" + kind + "\x00" + name) }

// RecordsBucket returns the bucket of the small records. It makes the bucket if the file has
// none.
func (w *Writer) RecordsBucket() *bbolt.Bucket {
	if w.Records == nil {
		var err error
		w.Records, err = w.Tx.CreateBucketIfNotExists([]byte(BucketRecords))
		w.Keep(w.Records, nil, err)
	}
	return w.Records
}

func DecodeRecord(key, sealed []byte) (RecordBody, error) {
	var body RecordBody
	text, ok := Unseal(key, sealed)
	damaged := func(detail string) (RecordBody, error) {
		return RecordBody{}, &CorruptError{Bucket: BucketRecords, Key: KeyText(BucketRecords, key), Detail: detail}
	}
	switch {
	case !ok:
		return damaged("wrong checksum")
	case len(key) == 0 || key[0] != 0 || bytes.Count(key, []byte{0}) != 2:
		return damaged("not the key of a record")
	}
	if err := Decoder.Unmarshal(text, &body); err != nil {
		return damaged(err.Error())
	}
	return body, nil
}
