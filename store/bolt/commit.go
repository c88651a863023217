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

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// One goroutine, the committer, makes group commits. It writes all waiting requests in
// one transaction and answers them when it is durable, so that they share one sync.
// Requests that arrive while it writes join its group. Callers that the last commit
// answered return within microseconds, and would otherwise wait for a whole commit. No
// request waits for a timer. At 64 callers, joining raises the throughput by a third, and
// waiting longer for late callers does not raise it.

// request is what a caller wants the committer to commit.
type request struct {
	// write writes the request into the transaction. The committer may call it again in
	// another transaction, if another request in the first one failed. An error, or a write
	// that failed, refuses this request alone.
	write func(b *batch) error
	size  int // the approximate number of records
	// adds reports whether the request creates operations. size is then their number. Such a
	// request is refused if there is too little space. A nil adds means that the request
	// creates none and may use the reserve.
	adds    func(b *batch) bool
	bytes   int64
	refused error      // why the transaction leaves it out
	answer  chan error // has room for one
}

// queue holds the waiting requests. Each must be answered, even if the committer fails,
// because its caller waits for nothing else.
type queue struct {
	mu      sync.Mutex // guards the next three fields
	waiting []*request
	taken   []*request    // by the committer; most of them may have been answered
	over    bool          // the committer takes no more requests
	wake    chan struct{} // has room for one
	quit    chan struct{} // closed by Close
	done    chan struct{} // closed when the committer has ended
}

func newQueue() queue {
	return queue{wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
}

const (
	// maxCommit is the most records of one transaction. It bounds the memory of a group, and
	// the time in which it grows.
	maxCommit = 8192
	// maxRequest is the most records of one request. A longer call takes several requests.
	maxRequest = 2048
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

// add adds a request to the queue. It reports false once the queue has ended.
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

// end answers the waiting requests, and those that the committer may never answer.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	for _, r := range slices.Concat(q.taken, q.waiting) {
		r.reply(err)
	}
	q.taken, q.waiting = nil, nil
}

// run is the committer.
func (s *Store) run() {
	defer close(s.queue.done)
	debug.SetPanicOnFault(true)
	for {
		select {
		case <-s.queue.quit:
			s.queue.end(s.shutBy())
			return
		case <-s.queue.wake:
		}
		for {
			g := &group{grows: true}
			if !s.queue.take(g) {
				break
			}
			if err := s.stillThere(); err != nil {
				answer(g.requests, err)
				continue
			}
			s.commitAll(g)
		}
	}
}

// stillThere returns why the store is closed, or nil if it is open. It closes the store if
// the file was removed or replaced, because a commit into a file without a name is lost.
func (s *Store) stillThere() error {
	if err := s.shutBy(); err != nil {
		return err
	}
	if !stillAt(s.path, s.file) {
		s.shut(fmt.Errorf("%w: %s was removed or replaced while it was open: open it again", store.ErrFailed, s.path))
	}
	return s.shutBy()
}

// group holds the requests of one transaction.
type group struct {
	requests []*request
	size     int  // the approximate number of records
	grows    bool // requests that arrive during the write join the group
}

// take moves as many requests from the queue into g as one transaction can hold. It reports
// whether there were any.
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

// yields is how often join lets other goroutines run before it decides that no caller
// arrives. A caller that was just answered needs some steps until its next request. With one
// yield, the throughput at 64 callers was a fifth lower.
const yields = 20

// join moves requests that arrive now into g, and reports whether there were any.
func (q *queue) join(g *group) bool {
	for range yields {
		runtime.Gosched()
		if q.take(g) {
			return true
		}
	}
	return false
}

// answer answers requests whose transaction has ended with err.
func answer(rs []*request, err error) {
	for _, r := range rs {
		r.reply(cmp.Or(r.refused, err))
	}
}

// reply answers the caller. Only the first answer counts.
func (r *request) reply(err error) {
	select {
	case r.answer <- err:
	default:
	}
}

// commitAll commits a group in one transaction and answers it. A request that fails is
// answered alone, and the rest is tried without it. If there is no space for all requests at
// once, commitAll tries each half, because each commit frees the pages that it replaces.
func (s *Store) commitAll(g *group) {
	for len(g.requests) > 0 {
		if err := s.shutBy(); err != nil {
			answer(g.requests, err)
			return
		}
		b, bad, err := s.transact(g)
		g.grows = false // later requests wait for the next group
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
			err = s.recoverFrom(b, err)
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

// transact writes a group into one transaction and commits it. If a request failed, bad is
// its index and nothing is committed. Otherwise bad is -1.
func (s *Store) transact(g *group) (b *batch, bad int, err error) {
	bad = -1
	begun := false
	defer func() {
		if err != nil && !begun {
			s.wedge(s.named(err))
		}
	}()
	err = format.Guard(s.path, func() error {
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
		format.NoteCommit(tx)
		return tx.Commit()
	})
	return b, bad, err
}

// write writes a group into the transaction, with the requests that join it meanwhile. If a
// request failed, bad is its index. Otherwise it is -1.
func (b *batch) write(g *group) (bad int, err error) {
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
			if err := r.write(b); err != nil || b.Failed != nil {
				return from, cmp.Or(b.Failed, err)
			}
			written++
		}
		if !g.grows || !b.s.queue.join(g) {
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

// finish rolls back a transaction that was not committed. If bbolt panics there, it sets
// stuck, because closing the file would wait forever.
func (s *Store) finish(tx *bbolt.Tx) {
	defer func() {
		if recover() != nil {
			s.stuck = true
		}
	}()
	_ = tx.Rollback() // after a commit it only returns an error
}

// accept makes a durable commit visible, and the extra empty commits that followed. It
// updates the tables in memory first and then wakes the readers.
func (s *Store) accept(b *batch, extra int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = b.id + extra
	for _, c := range b.changes {
		c.apply(s)
	}
	s.seq, s.link, s.pruned = b.seq, b.link, b.pruned
	if b.adopted {
		s.foreign = nil
	}
	s.publish()
	s.wakeReaders()
}

// The callers of wakeReaders and wakeDue hold mu.
func (s *Store) wakeReaders() {
	close(s.verdict)
	s.verdict = make(chan struct{})
}

func (s *Store) wakeDue() {
	close(s.due)
	s.due = make(chan struct{})
}
