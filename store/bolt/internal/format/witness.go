package format

import (
	"encoding/binary"
	"fmt"
	"strconv"

	bbolt "go.etcd.io/bbolt"
)

// A disk may report a sync that it has not made. Then an old page stays where a new one
// should be. Its checksums are good, so a sent operation looks as if it was never sent.
// Therefore every commit writes, in the page that names the buckets, what the pages below
// it hold. bbolt keeps a number of the caller's there for each bucket, the sequence, and
// that costs no extra page.
//
//	bucket                          its sequence
//	meta                            the transaction that wrote it; 0: nothing is recorded
//	events                          the feed's link at its head; 0: there is none
//	operations tokens ended lanes   the sum of the weights of all records
//	records                         the same, if there is such a bucket
//
// The bucket meta is small enough to be in that page itself, and nothing relies on the
// quarantine. Open compares all of this before the first read: see pageWalk. A commit of
// which no page arrived cannot be detected.

// Weighed lists the buckets of the last line.
func Weighed() []string {
	return []string{BucketOperations, BucketTokens, BucketEnded, BucketLanes, BucketRecords}
}

// Weight returns a number made from a record's checksum, which covers its key too. The
// weights are added: with exclusive or, two records of equal sums would cancel out.
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
	if _, ok := Unseal(key, old); old != nil && !ok { // its weight is not known
		w.Put(to, key, sealed)
		w.Say(to, weightOfAll(to))
		return
	}
	w.Say(to, to.Sequence()+Weight(sealed)-Weight(old))
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
	w.Say(from, from.Sequence()-Weight(from.Get(key)))
	w.Remove(from, key)
}

// BearWitness records the transaction that writes the page. Every transaction that writes
// calls it before it commits, if the file has such records.
func BearWitness(tx *bbolt.Tx) {
	meta := tx.Bucket([]byte(BucketMeta))
	if meta == nil || meta.Sequence() == 0 {
		return
	}
	_ = meta.SetSequence(uint64(tx.ID())) //nolint:gosec // positive; where this fails, the commit fails
}

// WitnessAll records what a whole file holds.
func (w *Writer) WitnessAll() {
	_, last := w.Events.Cursor().Last()
	w.Say(w.Events, LinkOf(last).Number())
	for _, b := range []*bbolt.Bucket{w.Ops, w.Tokens, w.Ended, w.Lanes, w.Records} { // as weighed says
		if b != nil {
			w.Say(b, weightOfAll(b))
		}
	}
	w.Say(w.Meta, uint64(w.Tx.ID())) //nolint:gosec // positive
}

// witness is what is recorded of a bucket, and what a walk found in it. For the bucket
// meta it is whether the file has this schema.
type witness struct{ said, found uint64 }

// take counts a pair that the walk finds.
func (w *witness) take(bucket string, key, value []byte) {
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

// contradicted returns an error that names a bucket whose content is not what the root
// page records, or nil. A corrupt bucket is left out.
func (w *pageWalk) contradicted(corrupt map[string]bool) error {
	switch root := w.Witnesses[BucketMeta]; {
	case root.said == 0 || root.found == 0:
		return nil // a version wrote it that recorded nothing, or something else
	case root.said != w.m.Tx:
		return fmt.Errorf("its root page is stale: written by transaction %d, last commit is %d", root.said, w.m.Tx)
	}
	for _, name := range append(Weighed(), BucketEvents) {
		if corrupt[name] {
			continue
		}
		if f := w.Witnesses[name]; f.said != f.found {
			return fmt.Errorf("bucket %q has stale pages: its records are not those of the last commit", name)
		}
	}
	return nil
}
