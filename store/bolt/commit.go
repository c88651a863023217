package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/internal/index"
	"github.com/rouse-dev/rouse/transport"
)

// One goroutine commits. It takes all requests that wait into one transaction,
// and answers them when that is durable; whoever comes meanwhile forms the next
// one. Nobody waits for a timer. If the last transaction was for many, those who
// come while the first of the next are written join them: so one processor writes
// what others still make.

// request is what a caller wants to be committed.
type request struct {
	// write puts it into the transaction. It may be called again, in another
	// transaction, if some other request in this one went wrong. An error, and
	// a write that failed, refuses this request alone.
	write func(b *batch) error
	size  int // about how many records
	// adds reports whether it adds operations, of size records in about so many
	// bytes: that is refused where there is too little room. Nil: it does not,
	// and may use what is kept.
	adds    func(b *batch) bool
	bytes   int64
	refused error      // why it was left out of the transaction
	answer  chan error // has room for one
}

// queue is where requests wait. Each is answered, whatever becomes of the
// committer: its caller waits for nothing else.
type queue struct {
	mu      sync.Mutex // guards the next three
	waiting []*request
	taken   []*request    // by the committer; most of them may have been answered
	over    bool          // nobody takes any more
	wake    chan struct{} // has room for one
	quit    chan struct{} // closed by Close
	done    chan struct{} // closed when the committer has ended
}

func newQueue() queue {
	return queue{wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
}

const (
	// maxCommit bounds the memory of one transaction, in records.
	maxCommit = 8192
	// maxRequest is how many records a caller puts into one request: a longer
	// call takes several.
	maxRequest = 2048
	// fill is how full a page is left. Records grow a little while they are
	// active.
	fill = 0.9
)

// commit hands write to the committer and waits until it is durable.
func (s *Store) commit(ctx context.Context, size int, write func(b *batch) error) error {
	return s.submit(ctx, &request{write: write, size: size})
}

// submit hands a request to the committer and waits until it is durable.
func (s *Store) submit(ctx context.Context, r *request) error {
	if err := cmp.Or(s.ready(ctx), s.writable()); err != nil {
		return err
	}
	r.answer = make(chan error, 1)
	if !s.queue.add(r) {
		return s.shutBy()
	}
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// add reports false once the queue has ended.
func (q *queue) add(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return false
	}
	q.waiting = append(q.waiting, r)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// end answers all that wait, and those that the committer may never answer.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	for _, r := range slices.Concat(q.taken, q.waiting) {
		r.tell(err)
	}
	q.taken, q.waiting = nil, nil
}

// run is the committer.
func (s *Store) run() {
	defer close(s.queue.done)
	debug.SetPanicOnFault(true)
	grouped := false
	for {
		select {
		case <-s.queue.quit:
			s.queue.end(s.shutBy())
			return
		case <-s.queue.wake:
		}
		for {
			g := &group{grows: grouped}
			if !s.queue.take(g) {
				break
			}
			if err := s.stillThere(); err != nil {
				answer(g.requests, err)
				continue
			}
			s.commitAll(g)
			grouped = len(g.requests) > 1
		}
	}
}

// stillThere is why the store is shut, and shuts it if its file was removed or
// replaced: a commit into a file that nobody can open again is none.
func (s *Store) stillThere() error {
	if err := s.shutBy(); err != nil {
		return err
	}
	if !stillAt(s.path, s.file) {
		s.shut(fmt.Errorf("%w: %s was removed or replaced while it was open", store.ErrFailed, s.path))
	}
	return s.shutBy()
}

// group is what one transaction is for.
type group struct {
	requests []*request
	size     int  // about how many records
	grows    bool // whoever comes while it is written joins it
}

// take moves from the queue into g what one transaction can hold, and reports
// whether that is anything.
func (q *queue) take(g *group) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.waiting) && (len(g.requests)+n == 0 || g.size+q.waiting[n].size <= maxCommit) {
		g.size += q.waiting[n].size
		n++
	}
	if n == 0 {
		return false
	}
	g.requests = append(g.requests, q.waiting[:n]...)
	q.waiting = append([]*request(nil), q.waiting[n:]...)
	q.taken = g.requests
	return true
}

const (
	// giveWay bounds how long a group grows: on a busy host it would never end.
	giveWay = 300 * time.Microsecond
	// yields is how often in a row nobody may have come before it is complete.
	// Fewer leave behind who is about to come.
	yields = 20
)

// join waits a little for those who are about to come, and takes them into g.
func (q *queue) join(g *group) bool {
	for range yields {
		runtime.Gosched()
		if q.take(g) {
			return true
		}
	}
	return false
}

// answer tells each what became of it.
func answer(rs []*request, err error) {
	for _, r := range rs {
		r.tell(cmp.Or(r.refused, err))
	}
}

// tell answers the caller, who hears the first answer.
func (r *request) tell(err error) {
	select {
	case r.answer <- err:
	default:
	}
}

// commitAll commits a group in one transaction and answers it. A request that
// goes wrong is answered and left out, and the others are tried without it. If
// there is no room for all at once there may be for half of them: what a commit
// replaces is free for the next, unless the first half shuts the store.
func (s *Store) commitAll(g *group) {
	for len(g.requests) > 0 {
		if err := s.shutBy(); err != nil {
			answer(g.requests, err)
			return
		}
		b, bad, err := s.transact(g)
		g.grows = false // it is as large as it gets
		rs := g.requests
		if bad >= 0 {
			answer(rs[bad:bad+1], s.named(err))
			g.requests = slices.Concat(rs[:bad], rs[bad+1:])
			continue
		}
		if errors.Is(err, errNothing) {
			answer(rs, nil)
			return
		}
		if s.committed != nil {
			s.committed(err)
		}
		if err == nil {
			s.accept(b, 0)
		} else {
			err = s.judge(b, err)
		}
		if half := len(rs) / 2; half > 0 && errors.Is(err, store.ErrFull) {
			s.commitAll(&group{requests: rs[:half:half], size: g.size})
			s.commitAll(&group{requests: rs[half:], size: g.size})
			return
		}
		answer(rs, err)
		return
	}
}

// transact writes a group into one transaction and commits it. If one of its
// requests went wrong it says which, and nothing is committed.
func (s *Store) transact(g *group) (b *batch, bad int, err error) {
	bad = -1
	begun := false
	defer func() {
		if err != nil && !begun {
			s.wedge(s.named(err))
		}
	}()
	err = guard(s.path, func() error {
		tx, err := s.db.Begin(true)
		begun = true
		if err != nil {
			return err
		}
		defer s.finish(tx)
		if b, err = s.newBatch(tx, g.size); err != nil {
			return err
		}
		if bad, err = b.write(g); err != nil {
			return err
		}
		bearWitness(tx)
		return tx.Commit()
	})
	return b, bad, err
}

// write puts a group into the transaction, and whoever joins it meanwhile. If one
// of the requests went wrong it says which, or -1.
func (b *batch) write(g *group) (bad int, err error) {
	began := time.Now()
	written := 0
	for from := 0; from < len(g.requests); {
		if err := b.refuseStarts(g.requests[from:]); err != nil {
			return -1, err
		}
		for ; from < len(g.requests); from++ {
			r := g.requests[from]
			if r.refused != nil {
				continue
			}
			if err := r.write(b); err != nil || b.failed != nil {
				return from, cmp.Or(b.failed, err)
			}
			written++
		}
		if !g.grows || time.Since(began) > giveWay || !b.s.queue.join(g) {
			break
		}
	}
	if written == 0 {
		return -1, errNothing
	}
	return -1, nil
}

// errNothing rolls back a transaction in which nothing was written.
var errNothing = errors.New("bolt: nothing to write")

// finish rolls back what was not committed. After a panic of bbolt it may not
// succeed, and then closing the file would wait for ever.
func (s *Store) finish(tx *bbolt.Tx) {
	defer func() {
		if recover() != nil {
			s.stuck = true
		}
	}()
	_ = tx.Rollback() // after a commit it only says so
}

// accept makes a durable commit visible, and as many empty ones after it as
// extra says: the tables first, then the readers.
func (s *Store) accept(b *batch, extra int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = b.id + extra
	for _, c := range b.changes {
		c.apply(s)
	}
	s.seq, s.link, s.pruned = b.seq, b.link, b.pruned
	if b.adopted {
		s.held = nil
	}
	s.publish()
	s.wakeReaders()
}

// wakeReaders and wakeDue need mu held.
func (s *Store) wakeReaders() {
	close(s.verdict)
	s.verdict = make(chan struct{})
}

func (s *Store) wakeDue() {
	close(s.due)
	s.due = make(chan struct{})
}

// batch is one transaction as its requests see it: what the earlier of them
// wrote is in view of the later.
type batch struct {
	writer
	opsAt, tokensAt *bbolt.Cursor // for lookups: a Get makes one of its own, whose stack grows

	s       *Store
	id      int
	active  int   // operations, with those that are asked for
	bytes   int64 // that those take
	seq     uint64
	link    link
	pruned  uint64
	created map[transport.Ref]rowID // active operations that are not in the index yet; nil: none
	changes []change
	adopted bool // the store is held no more
}

// newBatch is for about size records.
func (s *Store) newBatch(tx *bbolt.Tx, size int) (*batch, error) {
	bs, err := in(tx)
	if err != nil {
		return nil, err
	}
	// Keys come in order, so a page that is full stays so; bbolt would leave
	// half of each free for keys that never come.
	bs.ops.FillPercent, bs.events.FillPercent = fill, fill
	// Nobody else changes these, so that mu is needed for the race detector
	// only; reads of the index by find need it in earnest.
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
	join     bool // it puts nothing off, and leaves the due time in memory
	hastened bool // but for making it sooner
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

// putOperation stores a record where old stands, and notes what it changes.
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
