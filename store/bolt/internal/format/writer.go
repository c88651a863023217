package format

import (
	"fmt"
	"slices"

	bbolt "go.etcd.io/bbolt"
)

// Writer is a transaction that writes. bbolt may refuse a write, for its key for example.
// The callers do not check each write: Writer keeps the first error, as a bufio.Writer does,
// and a transaction with an error is never committed.
type Writer struct {
	Buckets
	Failed error // why it is not committed
}

// Writing returns fn as a function of a transaction that writes.
func Writing(fn func(w *Writer)) func(tx *bbolt.Tx) error {
	return WithBuckets(func(b Buckets) error {
		w := &Writer{Buckets: b}
		fn(w)
		return w.Failed
	})
}

func (w *Writer) Put(to *bbolt.Bucket, key, value []byte) { w.Keep(to, key, to.Put(key, value)) }

func (w *Writer) Remove(from *bbolt.Bucket, key []byte) { w.Keep(from, key, from.Delete(key)) }

// SetNote stores a bucket's sequence in the page that names the buckets: see note.go.
func (w *Writer) SetNote(of *bbolt.Bucket, n uint64) { w.Keep(of, nil, of.SetSequence(n)) }

func (w *Writer) PutMeta(key string, value []byte) {
	w.Put(w.Meta, []byte(key), Seal([]byte(key), value))
}

// Keep keeps the error of a write to a bucket, if it is the first.
func (w *Writer) Keep(there *bbolt.Bucket, key []byte, err error) {
	if err == nil || w.Failed != nil {
		return
	}
	i := slices.Index([]*bbolt.Bucket{w.Ops, w.Events, w.Tokens, w.Ended, w.Lanes, w.Meta, w.Qu, w.Records}, there)
	name := AllBuckets()[i]
	w.Failed = fmt.Errorf("bolt: writing to %s at %s: %w", name, KeyText(name, key), err)
}

// Fill is how full a page is left. Records grow a little while their operations are active.
const Fill = 0.9
