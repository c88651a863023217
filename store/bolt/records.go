package bolt

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/store"
)

// recordBody is the CBOR of a small record. The numbers are on disk: append only.
type recordBody struct {
	Value []byte `cbor:"1,keyasint"`
}

// The limits of a small record, in bytes.
const (
	maxRecordKind  = 64
	maxRecordName  = 256
	maxRecordValue = 4096
)

// recordKey is a record's place. The zero byte at its beginning tells it from the
// keys of all other buckets, for a repair that finds it on a page without a name.
func recordKey(kind, name string) []byte { return []byte("\x00" + kind + "\x00" + name) }

// Records implements store.Store. A damaged record is left out.
func (s *Store) Records(ctx context.Context, kind string) ([]store.Record, error) {
	var out []store.Record
	var damaged []error
	prefix := recordKey(kind, "")
	take := func(k, v []byte) {
		body, err := decodeRecord(k, v)
		if err != nil {
			damaged = append(damaged, s.named(err))
			return
		}
		out = append(out, store.Record{Kind: kind, Name: string(k[len(prefix):]), Value: body.Value})
	}
	err := s.view(ctx, func(b buckets) error {
		out, damaged = nil, nil
		if b.records == nil {
			return nil
		}
		c := b.records.Cursor()
		for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			take(k, v)
		}
		return nil
	})
	s.noteAll(damaged)
	return out, err
}

// PutRecord implements store.Store.
func (s *Store) PutRecord(ctx context.Context, r store.Record) error {
	switch {
	case r.Kind == "" || len(r.Kind) > maxRecordKind || strings.Contains(r.Kind, "\x00"):
		return fmt.Errorf("bolt: record kind %.80q: 1 to %d bytes without a zero byte are allowed", r.Kind, maxRecordKind)
	case len(r.Name) > maxRecordName || strings.Contains(r.Name, "\x00"):
		return fmt.Errorf("bolt: record name %.80q: up to %d bytes without a zero byte are allowed", r.Name, maxRecordName)
	case len(r.Value) > maxRecordValue:
		return fmt.Errorf("bolt: record %s %q has %d bytes: up to %d are allowed", r.Kind, r.Name, len(r.Value), maxRecordValue)
	}
	key := recordKey(r.Kind, r.Name)
	sealed := seal(key, encoded(recordBody{Value: r.Value}))
	return s.commit(ctx, 1, func(b *batch) error {
		if to := b.recordsBucket(); to != nil && r.Value != nil {
			b.putWeighed(to, key, sealed, to.Get(key))
		} else if to != nil && to.Get(key) != nil {
			b.removeWeighed(to, key)
		}
		return nil
	})
}

// recordsBucket returns the bucket of the small records, and makes it if the file has
// none.
func (w *writer) recordsBucket() *bbolt.Bucket {
	if w.records == nil {
		var err error
		w.records, err = w.tx.CreateBucketIfNotExists([]byte(bucketRecords))
		w.keep(w.records, nil, err)
	}
	return w.records
}

func decodeRecord(key, sealed []byte) (recordBody, error) {
	var body recordBody
	text, ok := unseal(key, sealed)
	damaged := func(detail string) (recordBody, error) {
		return recordBody{}, &CorruptError{Bucket: bucketRecords, Key: keyText(bucketRecords, key), Detail: detail}
	}
	switch {
	case !ok:
		return damaged("wrong checksum")
	case len(key) == 0 || key[0] != 0 || bytes.Count(key, []byte{0}) != 2:
		return damaged("not the key of a record")
	}
	if err := decoder.Unmarshal(text, &body); err != nil {
		return damaged(err.Error())
	}
	return body, nil
}
