package engine

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// decision is what a worker decides about one operation, and from what.
type decision struct {
	in  decide.Input
	out decide.Decision
}

func (d *decision) decide() { d.out = decide.Decide(d.in) }

// decision prepares the decision about one answer, on the record as the worker
// holds it.
func (r *run) decision(l *lane, op *store.Operation, a *decide.Answer) *decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.seen[op.ID]
	return &decision{in: decide.Input{
		Operation: *op, ReadVersion: op.Version, Answer: *a, Lane: *l.stored, Sighting: was,
		Traits:     transport.TraitsOf(r.e.transport, op.Ref),
		ClockFacts: r.facts(l, op, a, &was),
		Timeout:    r.e.cfg.Timeout, BootTimeout: r.e.cfg.BootTimeout, Jitter: jitter,
	}}
}

// facts returns what this run knows about time, for one answer. mu must be held.
func (r *run) facts(l *lane, op *store.Operation, a *decide.Answer, was *decide.Sighting) decide.ClockFacts {
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
	unheard := time.Duration(0)
	if !was.Silent.IsZero() { // the rest of it is the lane's
		unheard = max(0, a.At.Sub(was.Silent)-l.blind(was.Silent, a.At)-decide.SpanSum(r.naps, was.Silent))
	}
	var naps []decide.Span
	if d := op.Deadline(); !d.IsZero() && !a.At.Before(d) {
		naps = slices.Clone(r.naps)
	}
	same := !op.SentAt.Before(r.began) // else it was dated by another Run's clock, and nobody knows how right that was
	setBack := op.SentAt.Before(r.setBack) || op.SentAt.After(a.At) || within(r.ahead, op.SentAt)
	return decide.ClockFacts{
		Up: r.watch.up, Provider: l.clock, Trust: trust,
		Steady: same && !setBack && !op.SentAt.Before(r.steady), SetBack: setBack,
		Began:   a.At.Add(-a.BeganMono.Sub(r.mono)),
		Blind:   idle + l.blind(from, a.At) + decide.SpanSum(r.naps, from) + was.Blind + unheard,
		Unheard: unheard, Asleep: decide.SpanSum(r.naps, pending), Blocked: r.blockedFor(l, a.At), Naps: naps,
	}
}

// settle decides, commits all that was decided at once, and lets the operations
// go; what a look has cleared is sent again. What somebody else changed
// meanwhile is read and decided again. While the store has no space it tries
// on, until the drain is over: then the operations are released as they stand,
// and the record, which says that a send may have happened, makes the next Run
// look.
func (r *run) settle(l *lane, ds ...*decision) {
	for _, d := range ds {
		d.decide()
	}
	var cleared []*decision
	for wait := time.Duration(0); len(ds) > 0; {
		c, err := r.commit(ds)
		cleared = append(cleared, c.cleared...)
		if err != nil {
			wait = decide.Quick.Next(wait)
			if r.trouble(err); r.failure() != nil || !r.sleep(wait) {
				r.letGo(append(c.again, cleared...))
				return
			}
		}
		ds = r.reread(c.again)
	}
	for _, d := range cleared {
		r.resend(l, d)
	}
}

// letGo ends the claims of what could not be stored.
func (r *run) letGo(ds []*decision) {
	ops := make([]store.Operation, 0, len(ds))
	for _, d := range ds {
		ops = append(ops, d.out.Operation)
	}
	r.release(ops...)
}

// committed is what one commit leaves to be done.
type committed struct {
	again   []*decision // to be decided again; after an error, all that was to be written
	cleared []*decision // to be sent again
}

// commit applies what is to be written and releases the rest.
func (r *run) commit(ds []*decision) (c committed, err error) {
	changes := make([]store.Change, 0, len(ds))
	writes := make([]*decision, 0, len(ds)) // one for each change
	var back []store.Operation
	for _, d := range ds {
		switch {
		case d.out.Write:
			changes = append(changes, d.out.Change())
			writes = append(writes, d)
			continue
		case d.out.Resend:
			c.cleared = append(c.cleared, d)
		default:
			back = append(back, d.out.Operation)
		}
		r.recall(d)
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
	for i, d := range writes {
		if errs[i] != nil {
			c.again = append(c.again, d)
			continue
		}
		d.out.Operation.Version++
		r.recall(d)
		r.e.logChange(&d.out.Operation, d.out.From)
		if d.out.Next != nil {
			r.e.logChange(d.out.Next, "")
		}
		if d.out.Moved() {
			r.outlive(&d.out.Operation)
		}
		if d.out.Resend {
			c.cleared = append(c.cleared, d)
		}
	}
	return c, nil
}

// reread gives ds the records as they are now, and has them decide again.
func (r *run) reread(ds []*decision) []*decision {
	out := ds[:0]
	for _, d := range ds {
		op, err := r.e.store.Operation(context.Background(), d.out.Operation.ID)
		if err != nil {
			if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt) { // the next claim sets it aside
				r.trouble(err)
			}
			r.release(d.out.Operation)
			continue
		}
		d.in.Operation = op
		d.decide()
		out = append(out, d)
	}
	return out
}

// recall keeps what looks at an operation have shown so far, while they have
// decided nothing.
func (r *run) recall(d *decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noteRead(&d.out.Operation, &d.in.Answer)
	if d.out.Resend || d.out.Moved() || d.out.Sighting.From.IsZero() && d.out.Sighting.Silent.IsZero() && d.out.Sighting.Blind == 0 {
		delete(r.seen, d.out.Operation.ID)
	} else {
		r.seen[d.out.Operation.ID] = d.out.Sighting
	}
}

// resend sends again what a look has cleared; the claim is still ours. If its
// turn does not come while that look is fresh, it needs another.
func (r *run) resend(l *lane, d *decision) {
	for op := d.out.Operation; ; {
		now, mono := r.e.now(), time.Now()
		stale := mono.Sub(d.in.Answer.BeganMono) > decide.ReadFresh || now.Sub(d.in.Answer.At) > decide.ReadFresh
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
				op.DueAt = now.Add(decide.Quick.Most)
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
		if !r.sleep(min(wait, decide.Quick.Most)) {
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
