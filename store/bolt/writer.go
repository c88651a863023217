package bolt

import (
	"fmt"
	"slices"

	bbolt "go.etcd.io/bbolt"
)

// writer is a transaction that writes. bbolt may refuse a write, for its key for example.
// The callers do not check each write: writer keeps the first error, as a bufio.Writer
// does, and a transaction with an error is never committed.
type writer struct {
	buckets
	failed error // why it is not committed
}

// writing is fn for a transaction that writes.
func writing(fn func(w *writer)) func(tx *bbolt.Tx) error {
	return withBuckets(func(b buckets) error {
		w := &writer{buckets: b}
		fn(w)
		return w.failed
	})
}

func (w *writer) put(to *bbolt.Bucket, key, value []byte) { w.keep(to, key, to.Put(key, value)) }

func (w *writer) remove(from *bbolt.Bucket, key []byte) { w.keep(from, key, from.Delete(key)) }

// say stores a bucket's sequence in the page that names the buckets: see witness.go.
func (w *writer) say(of *bbolt.Bucket, n uint64) { w.keep(of, nil, of.SetSequence(n)) }

func (w *writer) putMeta(key string, value []byte) {
	w.put(w.meta, []byte(key), seal([]byte(key), value))
}

// keep keeps the error of a write to a bucket, if it is the first.
func (w *writer) keep(there *bbolt.Bucket, key []byte, err error) {
	if err == nil || w.failed != nil {
		return
	}
	i := slices.Index([]*bbolt.Bucket{w.ops, w.events, w.tokens, w.ended, w.lanes, w.meta, w.qu, w.records}, there)
	name := allBuckets()[i]
	w.failed = fmt.Errorf("bolt: writing to %s at %s: %w", name, keyText(name, key), err)
}

// fill is how full a page is left. Records grow a little while they are
// active.
const fill = 0.9
