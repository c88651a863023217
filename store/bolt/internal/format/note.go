package format

import (
	"encoding/binary"
	"fmt"
	"strconv"

	bbolt "go.etcd.io/bbolt"
)

// A disk may report a sync that it has not made. Then an old page is where a new one
// should be. Its checksums are good, so a sent operation looks as if it was never sent.
// Therefore every commit writes a note of what the pages hold into the root page, which
// names the buckets. There bbolt stores a number of the caller's for each bucket, the
// sequence, so the note costs no extra page.
//
//	bucket                          its sequence
//	meta                            the transaction that wrote the page; 0: the file has no notes
//	events                          the feed's link at its head; 0: there is no event
//	operations tokens ended lanes   the sum of the weights of all records
//	records                         the same, if there is such a bucket
//
// The bucket meta is small, so bbolt stores it in the root page itself. The quarantine
// needs no note, because nothing relies on it. Open compares all notes before the first
// read: see pageWalk. It cannot detect that all pages of a commit are missing.

// Weighed returns the buckets of the table's last two lines.
func Weighed() []string {
	return []string{BucketOperations, BucketTokens, BucketEnded, BucketLanes, BucketRecords}
}

// Weight returns a number made from a record's checksum, which also covers its key. Weights
// are added, because with exclusive or two records with equal checksums would cancel out.
func Weight(sealed []byte) uint64 {
	if len(sealed) < SumSize {
		return 0
	}
	x := uint64(binary.BigEndian.Uint32(sealed[len(sealed)-SumSize:])) + 1
	x *= 0x9e3779b97f4a7c15
	return x ^ x>>29
}

// Number returns a link as a sequence.
func (l Link) Number() uint64 { return binary.BigEndian.Uint64(l[:]) }

// PutWeighed stores a sealed value in place of old. A nil old means that there was none.
func (w *Writer) PutWeighed(to *bbolt.Bucket, key, sealed, old []byte) {
	if _, ok := Unseal(key, old); old != nil && !ok { // the weight of a damaged value is not known
		w.Put(to, key, sealed)
		w.SetNote(to, weightOfAll(to))
		return
	}
	w.SetNote(to, to.Sequence()+Weight(sealed)-Weight(old))
	w.Put(to, key, sealed)
}

func weightOfAll(b *bbolt.Bucket) (sum uint64) {
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		sum += Weight(v)
	}
	return sum
}

// RemoveWeighed removes a value.
func (w *Writer) RemoveWeighed(from *bbolt.Bucket, key []byte) {
	w.SetNote(from, from.Sequence()-Weight(from.Get(key)))
	w.Remove(from, key)
}

// NoteCommit notes the transaction that writes the page. Every transaction that writes calls
// it before it commits. It does nothing for a file without notes.
func NoteCommit(tx *bbolt.Tx) {
	meta := tx.Bucket([]byte(BucketMeta))
	if meta == nil || meta.Sequence() == 0 {
		return
	}
	_ = meta.SetSequence(uint64(tx.ID())) //nolint:gosec // positive; where this fails, the commit fails
}

// NoteAll notes what a whole file holds.
func (w *Writer) NoteAll() {
	_, last := w.Events.Cursor().Last()
	w.SetNote(w.Events, LinkOf(last).Number())
	for _, b := range []*bbolt.Bucket{w.Ops, w.Tokens, w.Ended, w.Lanes, w.Records} { // in the order of Weighed
		if b != nil {
			w.SetNote(b, weightOfAll(b))
		}
	}
	w.SetNote(w.Meta, uint64(w.Tx.ID())) //nolint:gosec // positive
}

// note is what the root page says of a bucket, and what a walk found in it. For the bucket
// meta, found says whether the file has this schema.
type note struct{ noted, found uint64 }

// take counts a pair that the walk finds.
func (w *note) take(bucket string, key, value []byte) {
	switch bucket {
	case BucketEvents:
		w.found = LinkOf(value).Number()
	case BucketMeta:
		if v, _ := Unseal(key, value); string(key) == MetaSchema && string(v) == strconv.Itoa(Schema) {
			w.found = 1
		}
	default:
		w.found += Weight(value)
	}
}

// checkNotes returns an error that names a bucket whose content is not what the root page
// says, or nil. It skips corrupt buckets.
func (w *pageWalk) checkNotes(corrupt map[string]bool) error {
	switch root := w.Notes[BucketMeta]; {
	case root.noted == 0 || root.found == 0:
		return nil // an older version wrote it without notes, or it is another program's
	case root.noted != w.m.Tx:
		return fmt.Errorf("its root page is stale: written by transaction %d, last commit is %d", root.noted, w.m.Tx)
	}
	for _, name := range append(Weighed(), BucketEvents) {
		if corrupt[name] {
			continue
		}
		if f := w.Notes[name]; f.noted != f.found {
			return fmt.Errorf("bucket %q has stale pages: its records are not those of the last commit", name)
		}
	}
	return nil
}
