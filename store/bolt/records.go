package bolt

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// The limits of a small record, in bytes.
const (
	maxRecordKind  = 64
	maxRecordName  = 256
	maxRecordValue = 4096
)

// Records implements store.Store. It leaves out corrupt records.
func (s *Store) Records(ctx context.Context, kind string) ([]store.Record, error) {
	var out []store.Record
	var damaged []error
	prefix := format.RecordKey(kind, "")
	take := func(k, v []byte) {
		body, err := format.DecodeRecord(k, v)
		if err != nil {
			damaged = append(damaged, s.named(err))
			return
		}
		out = append(out, store.Record{Kind: kind, Name: string(k[len(prefix):]), Value: body.Value})
	}
	err := s.view(ctx, func(b format.Buckets) error {
		out, damaged = nil, nil
		if b.Records == nil {
			return nil
		}
		c := b.Records.Cursor()
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
		return fmt.Errorf("bolt: record kind %.80q is not allowed: 1 to %d bytes without a zero byte are allowed", r.Kind, maxRecordKind)
	case len(r.Name) > maxRecordName || strings.Contains(r.Name, "\x00"):
		return fmt.Errorf("bolt: record name %.80q is not allowed: up to %d bytes without a zero byte are allowed", r.Name, maxRecordName)
	case len(r.Value) > maxRecordValue:
		return fmt.Errorf("bolt: record %s %q has %d bytes: up to %d are allowed", r.Kind, r.Name, len(r.Value), maxRecordValue)
	}
	key := format.RecordKey(r.Kind, r.Name)
	sealed := format.Seal(key, format.Encoded(format.RecordBody{Value: r.Value}))
	return s.commit(ctx, 1, func(b *batch) error {
		if to := b.RecordsBucket(); to != nil && r.Value != nil {
			b.PutWeighed(to, key, sealed, to.Get(key))
		} else if to != nil && to.Get(key) != nil {
			b.RemoveWeighed(to, key)
		}
		return nil
	})
}
