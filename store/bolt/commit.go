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

// Group commit: one goroutine, the committer, puts all requests that wait into one
// transaction and answers them when it is durable, so that they share one sync. While
// it writes a group, it takes in the requests that arrive: callers that the last commit
// answered ask again within microseconds, and would otherwise wait for a whole commit.
// No request waits for a timer. At 64 callers the joining is worth a third of the
// throughput; waiting longer for late callers is worth nothing.

// request is what a caller wants to be committed.
type request struct {
	// write puts it into the transaction. It may be called again, in another
	// transaction, if another request in this one went wrong. An error, or a write that
	// failed, refuses this request alone.
	write func(b *batch) error
	size  int // about how many records
	// adds reports whether it adds operations: size records of about so many bytes. Such
	// a request is refused if there is too little space. Nil means that it adds none and
	// may use the reserve.
	adds    func(b *batch) bool
	bytes   int64
	refused error      // why it was left out of the transaction
	answer  chan error // holds one
}

// queue is where requests wait. Each is answered, whatever becomes of the
// committer: its caller waits for nothing else.
type queue struct {
	mu      sync.Mutex // guards the next three
	waiting []*request
	taken   []*request    // by the committer; most of them may have been answered
	over    bool          // the committer takes no more
	wake    chan struct{} // holds one
	quit    chan struct{} // closed by Close
	done    chan struct{} // closed when the committer has ended
}

func newQueue() queue {
	return queue{wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
}

const (
	// maxCommit bounds one transaction, in records: its memory, and how long it grows.
	maxCommit = 8192
	// maxRequest is how many records a caller puts into one request: a longer
	// call takes several.
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

// add puts a request into the queue. It reports false once the queue has ended.
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

// end answers the requests that wait, and those that the committer may never answer.
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

// stillThere returns why the store is closed; nil: it is open. It closes the store if
// the file was removed or replaced: a commit into a file without a name is lost.
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
	grows    bool // requests that arrive while it is written join it
}

// take moves from the queue into g what one transaction can hold. It reports whether
// there was anything.
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

// yields is how often join lets other goroutines run before it finds that no caller
// arrives. A caller that was just answered needs some steps to come back: with one
// yield, throughput at 64 callers was a fifth lower.
const yields = 20

// join takes into g the requests of callers that are about to arrive, and reports
// whether there were any.
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
		r.tell(cmp.Or(r.refused, err))
	}
}

// tell answers the caller. Only the first answer counts.
func (r *request) tell(err error) {
	select {
	case r.answer <- err:
	default:
	}
}

// commitAll commits a group in one transaction and answers it. A request that goes
// wrong is answered and left out, and the others are tried without it. If there is no
// space for all at once, it tries each half: what a commit replaces is free for the
// next.
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

// transact writes a group into one transaction and commits it. If a request went
// wrong, bad is its index and nothing is committed; otherwise bad is -1.
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

// write puts a group into the transaction, with the requests that join it meanwhile.
// If a request went wrong, bad is its index; otherwise it is -1.
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

// finish rolls back what was not committed. If bbolt panics in that, closing the file
// would wait forever.
func (s *Store) finish(tx *bbolt.Tx) {
	defer func() {
		if recover() != nil {
			s.stuck = true
		}
	}()
	_ = tx.Rollback() // after a commit it only says so
}

// accept makes a durable commit visible, and the extra empty ones after it. It updates
// the tables in memory first and then wakes the readers.
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

// wakeReaders and wakeDue need mu held.
func (s *Store) wakeReaders() {
	close(s.verdict)
	s.verdict = make(chan struct{})
}

func (s *Store) wakeDue() {
	close(s.due)
	s.due = make(chan struct{})
}
