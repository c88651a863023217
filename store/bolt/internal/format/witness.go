package format

import (
	"encoding/binary"
	"fmt"
	"strconv"

	bbolt "go.etcd.io/bbolt"
)

// A disk that says that it has synced, and has not, leaves an old page where a
// new one should be, and everything in it has a good checksum: an operation that
// was sent looks as if it never was. So the page that names the buckets, which
// every commit writes, says what the pages below it hold. bbolt keeps a number of
// the caller's there for each bucket, its sequence, which costs no page more.
//
//	meta                            the transaction that wrote it; 0: nothing is said
//	events                          the feed's link at its head; 0: there is none
//	operations tokens ended lanes   the weights of all records together
//	records                         the same, if there is such a bucket
//
// What stands in the bucket meta is small enough to stand in that page itself, and
// nobody relies on the quarantine. Open compares all this before anybody reads: see
// pageWalk. A commit of which no page at all arrived is seen by nobody.

// Weighed lists the buckets of the last line.
func Weighed() []string {
	return []string{BucketOperations, BucketTokens, BucketEnded, BucketLanes, BucketRecords}
}

// Weight makes a number of a record's sum, which covers its key too. Records of
// equal sums do not cancel each other out, as they would by exclusive or.
func Weight(sealed []byte) uint64 {
	if len(sealed) < SumSize {
		return 0
	}
	x := uint64(binary.BigEndian.Uint32(sealed[len(sealed)-SumSize:])) + 1
	x *= 0x9e3779b97f4a7c15
	return x ^ x>>29
}

// Number is a link as a sequence.
func (l Link) Number() uint64 { return binary.BigEndian.Uint64(l[:]) }

// PutWeighed stores a sealed value where old stands; nil: nothing does.
func (w *Writer) PutWeighed(to *bbolt.Bucket, key, sealed, old []byte) {
	if _, ok := Unseal(key, old); old != nil && !ok { // nobody knows what it weighed
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

// BearWitness says which transaction writes the page. Every one does it that
// writes to a file of which anything is said, and then commits.
func BearWitness(tx *bbolt.Tx) {
	meta := tx.Bucket([]byte(BucketMeta))
	if meta == nil || meta.Sequence() == 0 {
		return
	}
	_ = meta.SetSequence(uint64(tx.ID())) //nolint:gosec // positive; and where this fails a commit does
}

// WitnessAll says of a whole file what it holds.
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

// witness is what is said of a bucket, and what a walk found in it: of the bucket
// meta, whether it is of this schema.
type witness struct{ said, found uint64 }

// take notes a pair that the walk comes upon.
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

// contradicted says which part of a file that was walked is not what its root
// page says, or returns nil. A bucket that is rotten says nothing.
func (w *pageWalk) contradicted(rotten map[string]bool) error {
	switch root := w.Witnesses[BucketMeta]; {
	case root.said == 0 || root.found == 0:
		return nil // it is of a version that said nothing, or other things
	case root.said != w.m.Tx:
		return fmt.Errorf("its root page is stale: written by transaction %d, last commit is %d", root.said, w.m.Tx)
	}
	for _, name := range append(Weighed(), BucketEvents) {
		if rotten[name] {
			continue
		}
		if f := w.Witnesses[name]; f.said != f.found {
			return fmt.Errorf("bucket %q has stale pages: its records are not those of the last commit", name)
		}
	}
	return nil
}
