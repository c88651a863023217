package engine

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// judge sets up the judge of one answer, on the record as the worker holds it.
func (r *run) judge(l *lane, op *store.Operation, a *answer) *judge {
	r.mu.Lock()
	defer r.mu.Unlock()
	trust := r.trust(op)
	from, idle := op.AcceptedAt, time.Duration(0)
	watched := r.began.Add(-r.watched)
	if !from.IsZero() && from.Before(watched) { // no Run could poll it before
		idle = watched.Sub(from)
		from = watched
	}
	pending := op.LastSentAt
	if op.Sent == store.SentAccepted {
		pending = op.AcceptedAt
	}
	was := r.seen[op.ID]
	unheard := time.Duration(0)
	if !was.silent.IsZero() { // the rest of it is the lane's
		unheard = max(0, a.at.Sub(was.silent)-l.blind(was.silent, a.at)-since(r.naps, was.silent))
	}
	var naps []span
	if d := op.Deadline(); !d.IsZero() && !a.at.Before(d) {
		naps = slices.Clone(r.naps)
	}
	same := !op.SentAt.Before(r.began) // else it was dated by another Run's clock, and nobody knows how right that was
	setBack := op.SentAt.Before(r.setBack) || op.SentAt.After(a.at) || within(r.ahead, op.SentAt)
	return &judge{
		op: *op, held: op.Version, a: *a, up: r.watch.up, clock: l.clock, cfg: &r.e.cfg, was: was, unheard: unheard, lane: *l.stored,
		steady: same && !setBack && !op.SentAt.Before(r.steady), setBack: setBack, trust: trust,
		began:  a.at.Add(-a.beganMono.Sub(r.mono)),
		traits: transport.TraitsOf(r.e.transport, op.Ref),
		blind:  idle + l.blind(from, a.at) + since(r.naps, from) + was.blind + unheard,
		asleep: since(r.naps, pending), blocked: r.blockedFor(l, a.at), naps: naps,
	}
}

// settle decides, commits all that was decided at once, and lets the operations
// go; what a look has cleared is sent again. What somebody else changed
// meanwhile is read and decided again. While the store has no space it tries
// on, until the drain is over: then the operations are released as they stand,
// and the record, which says that a send may have happened, makes the next Run
// look.
func (r *run) settle(l *lane, judges ...*judge) {
	for _, j := range judges {
		j.decide()
	}
	var cleared []*judge
	for wait := time.Duration(0); len(judges) > 0; {
		c, err := r.commit(judges)
		cleared = append(cleared, c.cleared...)
		if err != nil {
			wait = quick.next(wait)
			if r.trouble(err); r.failure() != nil || !r.sleep(wait) {
				r.letGo(append(c.again, cleared...))
				return
			}
		}
		judges = r.reread(c.again)
	}
	for _, j := range cleared {
		r.resend(l, j)
	}
}

// letGo ends the claims of what could not be stored.
func (r *run) letGo(judges []*judge) {
	ops := make([]store.Operation, 0, len(judges))
	for _, j := range judges {
		ops = append(ops, j.op)
	}
	r.release(ops...)
}

// committed is what one commit leaves to be done.
type committed struct {
	again   []*judge // to be decided again; after an error, all that was to be written
	cleared []*judge // to be sent again
}

// commit applies what is to be written and releases the rest.
func (r *run) commit(judges []*judge) (c committed, err error) {
	changes := make([]store.Change, 0, len(judges))
	writes := make([]*judge, 0, len(judges)) // one for each change
	var back []store.Operation
	for _, j := range judges {
		switch {
		case j.write:
			changes = append(changes, j.change())
			writes = append(writes, j)
			continue
		case j.resend:
			c.cleared = append(c.cleared, j)
		default:
			back = append(back, j.op)
		}
		r.recall(j)
	}
	if len(back) > 0 {
		r.release(back...)
	}
	if len(writes) == 0 {
		return c, nil
	}
	errs, err := r.e.store.Apply(context.Background(), changes) // what is known is stored: no context cuts that off
	if err != nil {
		c.again = writes
		return c, err
	}
	for i, j := range writes {
		if errs[i] != nil {
			c.again = append(c.again, j)
			continue
		}
		j.op.Version++
		r.recall(j)
		r.e.logChange(&j.op, j.from)
		if j.next != nil {
			r.e.logChange(j.next, "")
		}
		if j.event != nil {
			r.outlive(&j.op)
		}
		if j.resend {
			c.cleared = append(c.cleared, j)
		}
	}
	return c, nil
}

// reread gives judges the records as they are now, and has them decide again.
func (r *run) reread(judges []*judge) []*judge {
	out := judges[:0]
	for _, j := range judges {
		op, err := r.e.store.Operation(context.Background(), j.op.ID)
		if err != nil {
			if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt) { // the next claim sets it aside
				r.trouble(err)
			}
			r.release(j.op)
			continue
		}
		j.op = op
		j.decide()
		out = append(out, j)
	}
	return out
}

// recall keeps what looks at an operation have shown so far, while they have
// decided nothing.
func (r *run) recall(j *judge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noteRead(j)
	if j.resend || j.event != nil || j.seen.from.IsZero() && j.seen.silent.IsZero() && j.seen.blind == 0 {
		delete(r.seen, j.op.ID)
	} else {
		r.seen[j.op.ID] = j.seen
	}
}

// freshFor is for how long what a look has shown is acted on, by either clock: the
// monotonic one stands still while the host sleeps. It is several turns of the
// slowest lane.
const freshFor = time.Minute

// resend sends again what a look has cleared; the claim is still ours. If its
// turn does not come while that look is fresh, it needs another.
func (r *run) resend(l *lane, j *judge) {
	for op := j.op; ; {
		now, mono := r.e.now(), time.Now()
		stale := mono.Sub(j.a.beganMono) > freshFor || now.Sub(j.a.at) > freshFor
		r.mu.Lock()
		closed := l.block != nil || r.over.Err() != nil || stale
		paused := l.stored.Paused
		wait := max(l.pace.wait(mono), l.floor(now).Sub(now))
		if !closed && !paused && wait <= 0 {
			l.pace.take(mono)
		}
		r.mu.Unlock()
		switch {
		case paused, closed:
			op.DueAt = now
			if paused { // it needs another look, but not at once
				op.DueAt = now.Add(quick.most)
			}
			r.release(op)
			return
		case wait <= 0:
			switch ok, hold := r.fresh(l, &op); {
			case ok:
				r.mark(l, []store.Operation{op})
			case hold:
				r.hold(l, []store.Operation{op}, true)
			}
			return
		}
		if !r.sleep(min(wait, quick.most)) {
			r.release(op)
			return
		}
	}
}

// sleep waits, and reports false if the drain is over first.
func (r *run) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.calls.Done():
		return false
	}
}

// trouble takes an error of the store: no space passes, anything else ends the
// run.
func (r *run) trouble(err error) {
	if !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrUnknown) {
		r.fail(err)
		return
	}
	r.mu.Lock()
	r.fullAt = time.Now()
	r.mu.Unlock()
	r.e.log.Warn("the store could not be written", "error", err)
}

func (r *run) release(ops ...store.Operation) {
	if err := r.claims.Release(context.Background(), ops); err != nil {
		r.trouble(err)
	}
}

// logChange writes the line of a transition.
func (e *Engine) logChange(op *store.Operation, from fsm.Phase) {
	if op.Phase == from || !e.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	e.log.Info("operation", "id", op.ID, "session", op.Ref.String(), "from", from, "to", op.Phase,
		"state", op.Session, "reason", op.EndReason, "error", op.LastError)
}
