package bolt

import (
	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/internal/index"
	"github.com/rouse-dev/rouse/transport"
)

// batch is one transaction as its requests see it: each sees what the earlier ones
// wrote.
type batch struct {
	writer
	opsAt, tokensAt *bbolt.Cursor // for look-ups: each Get would make one of its own

	s       *Store
	id      int
	active  int   // active operations, with those that the requests ask for
	bytes   int64 // what the requested ones take
	seq     uint64
	link    link
	pruned  uint64
	created map[transport.Ref]rowID // active operations that are not in the index yet; nil: none
	changes []change
	adopted bool // the store is no longer foreign
}

// newBatch returns a batch for about size records.
func (s *Store) newBatch(tx *bbolt.Tx, size int) (*batch, error) {
	bs, err := in(tx)
	if err != nil {
		return nil, err
	}
	// Keys come in order, so a full page stays full: bbolt's default would leave half
	// of each page free for keys that never come.
	bs.ops.FillPercent, bs.events.FillPercent = fill, fill
	s.mu.Lock()
	defer s.mu.Unlock()
	return &batch{
		writer: writer{buckets: bs}, s: s, id: tx.ID(), active: s.index.Len(), seq: s.seq, link: s.link, pruned: s.pruned,
		opsAt: bs.ops.Cursor(), tokensAt: bs.tokens.Cursor(), changes: make([]change, 0, size),
	}, nil
}

// change is what a commit does to the tables in memory.
type change struct {
	id       rowID
	before   fsm.Phase // "": it is new
	after    fsm.Phase // "": it was pruned
	head     *head
	release  bool
	join     bool // see index.Update
	hastened bool // the join made the operation due sooner
}

// apply makes the change; s.mu must be held.
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
		s.index.Remove(index.Key{ID: c.id, Session: c.head.session})
	}
}

// entry is what the index keeps of an active operation.
func entry(id rowID, h *head) index.Entry {
	return index.Entry{ID: id, Session: h.session, Lane: h.lane, Due: h.due, Deadline: h.deadline, Sent: h.sent != store.SentNo, Waits: h.waits}
}

// putOperation stores a record in place of old and notes what that changes.
func (b *batch) putOperation(key rowID, h *head, record, old []byte, before fsm.Phase, release bool) {
	b.putWeighed(b.ops, key[:], record, old)
	b.changes = append(b.changes, change{id: key, before: before, after: h.phase, head: h, release: release})
}

// putEvent appends an event, given as its CBOR, to the feed.
func (b *batch) putEvent(text []byte) {
	b.seq++
	b.link = b.link.next(b.seq, text)
	b.say(b.events, b.link.number())
	b.put(b.events, seqKey(b.seq), sealEvent(b.seq, b.link, text))
}
