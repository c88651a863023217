package bolt

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

// weighed lists the buckets of the last line.
func weighed() []string {
	return []string{bucketOperations, bucketTokens, bucketEnded, bucketLanes, bucketRecords}
}

// weight makes a number of a record's sum, which covers its key too. Records of
// equal sums do not cancel each other out, as they would by exclusive or.
func weight(sealed []byte) uint64 {
	if len(sealed) < sumSize {
		return 0
	}
	x := uint64(binary.BigEndian.Uint32(sealed[len(sealed)-sumSize:])) + 1
	x *= 0x9e3779b97f4a7c15
	return x ^ x>>29
}

// number is a link as a sequence.
func (l link) number() uint64 { return binary.BigEndian.Uint64(l[:]) }

// putWeighed stores a sealed value where old stands; nil: nothing does.
func (w *writer) putWeighed(to *bbolt.Bucket, key, sealed, old []byte) {
	if _, ok := unseal(key, old); old != nil && !ok { // nobody knows what it weighed
		w.put(to, key, sealed)
		w.say(to, weightOfAll(to))
		return
	}
	w.say(to, to.Sequence()+weight(sealed)-weight(old))
	w.put(to, key, sealed)
}

func weightOfAll(b *bbolt.Bucket) (sum uint64) {
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		sum += weight(v)
	}
	return sum
}

// removeWeighed removes a value.
func (w *writer) removeWeighed(from *bbolt.Bucket, key []byte) {
	w.say(from, from.Sequence()-weight(from.Get(key)))
	w.remove(from, key)
}

// bearWitness says which transaction writes the page. Every one does it that
// writes to a file of which anything is said, and then commits.
func bearWitness(tx *bbolt.Tx) {
	meta := tx.Bucket([]byte(bucketMeta))
	if meta == nil || meta.Sequence() == 0 {
		return
	}
	_ = meta.SetSequence(uint64(tx.ID())) //nolint:gosec // positive; and where this fails a commit does
}

// witnessAll says of a whole file what it holds.
func (w *writer) witnessAll() {
	_, last := w.events.Cursor().Last()
	w.say(w.events, linkOf(last).number())
	for _, b := range []*bbolt.Bucket{w.ops, w.tokens, w.ended, w.lanes, w.records} { // as weighed says
		if b != nil {
			w.say(b, weightOfAll(b))
		}
	}
	w.say(w.meta, uint64(w.tx.ID())) //nolint:gosec // positive
}

// witness is what is said of a bucket, and what a walk found in it: of the bucket
// meta, whether it is of this schema.
type witness struct{ said, found uint64 }

// take notes a pair that the walk comes upon.
func (w *witness) take(bucket string, key, value []byte) {
	switch bucket {
	case bucketEvents:
		w.found = linkOf(value).number()
	case bucketMeta:
		if v, _ := unseal(key, value); string(key) == metaSchema && string(v) == strconv.Itoa(schema) {
			w.found = 1
		}
	default:
		w.found += weight(value)
	}
}

// saidBy reads what a file says of its buckets. nil: that cannot be read.
func saidBy(img snapshot, m *boltMeta) map[string]uint64 {
	said := map[string]uint64{}
	if m.root < img.pages() {
		loosely(img.from(m.root), img.pageSize, func(flags uint32, key, value []byte) {
			if flags&bucketFlag != 0 && len(value) >= bucketHeader {
				said[string(key)] = binary.NativeEndian.Uint64(value[8:])
			}
		})
	}
	if _, ok := said[bucketMeta]; !ok {
		return nil
	}
	return said
}

// contradicted says which part of a file that was walked is not what its root
// page says, or returns nil. A bucket that is rotten says nothing.
func (w *pageWalk) contradicted(rotten map[string]bool) error {
	switch root := w.witnesses[bucketMeta]; {
	case root.said == 0 || root.found == 0:
		return nil // it is of a version that said nothing, or other things
	case root.said != w.m.tx:
		return fmt.Errorf("it is as transaction %d left it, and %d was the last: pages that were synced are not there", root.said, w.m.tx)
	}
	for _, name := range append(weighed(), bucketEvents) {
		if rotten[name] {
			continue
		}
		if f := w.witnesses[name]; f.said != f.found {
			return fmt.Errorf("bucket %q has old records, or lacks some: a page that was synced is not there", name)
		}
	}
	return nil
}
