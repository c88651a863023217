package bolt

import (
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/internal/index"
	"github.com/rouse-dev/rouse/transport"
	bbolt "go.etcd.io/bbolt"
)

// batch is one transaction as its requests see it. Each request sees what the earlier ones
// wrote.
type batch struct {
	format.Writer
	opsAt, tokensAt *bbolt.Cursor // for look-ups: each Get would allocate a cursor

	s       *Store
	id      int
	active  int   // active operations, including those that the requests create
	bytes   int64 // bytes that the requested operations take
	seq     uint64
	link    format.Link
	pruned  uint64
	created map[transport.Ref]format.RowID // active operations that are not in the index yet; nil: none
	changes []change
	adopted bool // the store is no longer foreign
}

// newBatch returns a batch for about size records.
func (s *Store) newBatch(tx *bbolt.Tx, size int) (*batch, error) {
	bs, err := format.In(tx)
	if err != nil {
		return nil, err
	}
	// Keys arrive in order, so a full page stays full. bbolt's default would leave half of
	// each page free for keys that never arrive.
	bs.Ops.FillPercent, bs.Events.FillPercent = format.Fill, format.Fill
	s.mu.Lock()
	defer s.mu.Unlock()
	return &batch{
		Writer: format.Writer{Buckets: bs}, s: s, id: tx.ID(), active: s.index.Len(), seq: s.seq, link: s.link, pruned: s.pruned,
		opsAt: bs.Ops.Cursor(), tokensAt: bs.Tokens.Cursor(), changes: make([]change, 0, size),
	}, nil
}

// change says what a commit changes in the tables in memory.
type change struct {
	id       format.RowID
	before   fsm.Phase // "": the operation is new
	after    fsm.Phase // "": the operation was pruned
	head     *format.Head
	release  bool
	join     bool // see index.Update
	hastened bool // the join made the operation due sooner
}

// apply makes the change. The caller holds s.mu.
func (c change) apply(s *Store) {
	if c.before != c.after {
		if c.before != "" {
			s.counts[c.before]--
		}
		if c.after != "" {
			s.counts[c.after]++
		}
	}
	switch was, is := c.before != "" && !c.before.Ended(), c.after != "" && !c.after.Ended(); {
	case was && is:
		s.index.Update(index.Update{Entry: entry(c.id, c.head), Release: c.release, Join: c.join, Sooner: c.hastened})
	case is:
		s.index.Add(entry(c.id, c.head))
	case was:
		s.index.Remove(index.Key{ID: c.id, Session: c.head.Session})
	}
}

// entry returns what the index keeps of an active operation.
func entry(id format.RowID, h *format.Head) index.Entry {
	return index.Entry{ID: id, Session: h.Session, Lane: h.Lane, Due: h.Due, Deadline: h.Deadline, Sent: h.Sent != store.SentNo, Waits: h.Waits}
}

// putOperation stores a record in place of old, and notes the change for the tables in
// memory.
func (b *batch) putOperation(key format.RowID, h *format.Head, record, old []byte, before fsm.Phase, release bool) {
	b.PutWeighed(b.Ops, key[:], record, old)
	b.changes = append(b.changes, change{id: key, before: before, after: h.Phase, head: h, release: release})
}

// putEvent appends an event, given as its CBOR, to the feed.
func (b *batch) putEvent(text []byte) {
	b.seq++
	b.link = b.link.Next(b.seq, text)
	b.SetNote(b.Events, b.link.Number())
	b.Put(b.Events, format.SeqKey(b.seq), format.SealEvent(b.seq, b.link, text))
}
