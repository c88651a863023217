package bolt

import (
	"fmt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/internal/index"
)

// scan builds the tables in memory: the active operations, from the heads of all records,
// and the feed's end. Afterwards readers see the content of the file. No other goroutine has
// the store yet.
func (s *Store) scan() error {
	x, counts := index.New(), map[fsm.Phase]int{}
	var found []aside
	var seq, pruned uint64
	var last format.Link
	err := format.Inside(s.path, s.db, false, format.WithBuckets(func(b format.Buckets) error {
		id, err := b.GetMeta(format.MetaID)
		if err != nil {
			return err
		}
		if len(id) != len(s.id) {
			return &format.CorruptError{Bucket: format.BucketMeta, Key: format.MetaID, Detail: "the store's id is missing"}
		}
		s.id = [16]byte(id)
		if pruned, last, err = b.GetPruned(); err != nil {
			return err
		}
		seq, last = b.HeadOfFeed(pruned, last)
		found = append(scanOperations(s.path, b, x, counts), scanTail(s.path, b, seq, pruned)...)
		return nil
	}))
	if err != nil {
		return format.Named(s.path, err)
	}
	x.Publish()
	s.index, s.counts, s.seq, s.link, s.pruned = x, counts, seq, last, pruned
	if s.config.ReadOnly {
		for _, a := range found {
			s.note(a.err)
		}
		found = nil
	}
	if err := s.setAside(found); err != nil && !disk.IsFull(err) {
		return fmt.Errorf("bolt: %s: cannot copy damaged records to the quarantine: %w", s.path, err)
	}
	s.synced, err = s.newest()
	return err
}

// scanOperations fills the tables and returns the corrupt records.
func scanOperations(path string, b format.Buckets, x *index.Index, counts map[fsm.Phase]int) []aside {
	var found []aside
	c := b.Ops.Cursor()
	for k, sealed := c.First(); k != nil; k, sealed = c.Next() {
		v, ok := format.Unseal(k, sealed)
		detail := "wrong checksum"
		if ok && len(k) == 16 {
			h, _, err := format.DecodeHead(v)
			if err == nil {
				counts[h.Phase]++
				if !h.Phase.Ended() {
					x.Add(entry(format.RowID(k), &h))
				}
				continue
			}
			detail = err.Error()
		}
		found = append(found, asideOf(path, format.BucketOperations, k, sealed, detail))
	}
	return found
}

// tail is how many events at the end of the feed Open checks.
const tail = 256

func scanTail(path string, b format.Buckets, seq, pruned uint64) []aside {
	var found []aside
	first := pruned + 1
	if seq > pruned+tail {
		first = seq - tail + 1
	}
	c := b.Events.Cursor()
	for k, sealed := c.Seek(format.SeqKey(first)); k != nil; k, sealed = c.Next() {
		if _, err := format.DecodeEvent([16]byte{}, format.SeqOf(k), sealed); err != nil {
			found = append(found, asideOf(path, format.BucketEvents, k, sealed, err.Error()))
		}
	}
	return found
}

func asideOf(path, bucket string, key, value []byte, detail string) aside {
	return aside{
		err:    &format.CorruptError{Path: path, Bucket: bucket, Key: format.KeyText(bucket, key), Detail: detail},
		bucket: bucket, key: append([]byte(nil), key...), value: append([]byte(nil), value...),
	}
}
