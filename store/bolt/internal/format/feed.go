package format

import (
	"encoding/binary"
)

// HeadOfFeed returns the last sequence in the file and its link. If the file has no event,
// it returns those of the last event that was pruned.
func (b Buckets) HeadOfFeed(pruned uint64, at Link) (uint64, Link) {
	k, v := b.Events.Cursor().Last()
	if len(k) != 8 {
		return pruned, at
	}
	return binary.BigEndian.Uint64(k), LinkOf(v)
}

// GetPruned returns the last sequence that was pruned and the link there, or 0 if nothing
// was pruned.
func (b Buckets) GetPruned() (uint64, Link, error) {
	v, err := b.GetMeta(MetaPruned)
	if err != nil || v == nil {
		return 0, Link{}, err
	}
	if len(v) != 8+HashSize {
		return 0, Link{}, &CorruptError{Bucket: BucketMeta, Key: MetaPruned, Detail: "wrong length"}
	}
	return binary.BigEndian.Uint64(v), Link(v[8:]), nil
}

func (w *Writer) PutPruned(seq uint64, l Link) {
	w.PutMeta(MetaPruned, append(SeqKey(seq), l[:]...))
}
