package bolt

import (
	"fmt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store/internal/index"
)

// scan builds the tables in memory from the file: the active operations, by the heads of
// all, and the feed's end. From then on readers see what is in the file. No other
// goroutine has the store yet.
func (s *Store) scan() error {
	x, counts := index.New(), map[fsm.Phase]int{}
	var found []aside
	var seq, pruned uint64
	var last link
	err := inside(s.path, s.db, false, withBuckets(func(b buckets) error {
		id, err := b.getMeta(metaID)
		if err != nil {
			return err
		}
		if len(id) != len(s.id) {
			return &CorruptError{Bucket: bucketMeta, Key: metaID, Detail: "the store's id is missing"}
		}
		s.id = [16]byte(id)
		if pruned, last, err = b.getPruned(); err != nil {
			return err
		}
		seq, last = b.headOfFeed(pruned, last)
		found = append(scanOperations(s.path, b, x, counts), scanTail(s.path, b, seq, pruned)...)
		return nil
	}))
	if err != nil {
		return named(s.path, err)
	}
	x.Publish()
	s.index, s.counts, s.seq, s.link, s.pruned = x, counts, seq, last, pruned
	if s.config.ReadOnly {
		for _, a := range found {
			s.note(a.err)
		}
		found = nil
	}
	if err := s.setAside(found); err != nil && !isFull(err) {
		return fmt.Errorf("bolt: %s: setting damaged records aside: %w", s.path, err)
	}
	s.synced, err = s.newest()
	return err
}

// scanOperations fills the tables and returns the corrupt records.
func scanOperations(path string, b buckets, x *index.Index, counts map[fsm.Phase]int) []aside {
	var found []aside
	c := b.ops.Cursor()
	for k, sealed := c.First(); k != nil; k, sealed = c.Next() {
		v, ok := unseal(k, sealed)
		detail := "wrong checksum"
		if ok && len(k) == 16 {
			h, _, err := decodeHead(v)
			if err == nil {
				counts[h.phase]++
				if !h.phase.Ended() {
					x.Add(entry(rowID(k), &h))
				}
				continue
			}
			detail = err.Error()
		}
		found = append(found, asideOf(path, bucketOperations, k, sealed, detail))
	}
	return found
}

// tail is how many events at the end of the feed Open checks.
const tail = 256

func scanTail(path string, b buckets, seq, pruned uint64) []aside {
	var found []aside
	first := pruned + 1
	if seq > pruned+tail {
		first = seq - tail + 1
	}
	c := b.events.Cursor()
	for k, sealed := c.Seek(seqKey(first)); k != nil; k, sealed = c.Next() {
		if _, err := decodeEvent([16]byte{}, seqOf(k), sealed); err != nil {
			found = append(found, asideOf(path, bucketEvents, k, sealed, err.Error()))
		}
	}
	return found
}

func asideOf(path, bucket string, key, value []byte, detail string) aside {
	return aside{
		err:    &CorruptError{Path: path, Bucket: bucket, Key: keyText(bucket, key), Detail: detail},
		bucket: bucket, key: append([]byte(nil), key...), value: append([]byte(nil), value...),
	}
}
