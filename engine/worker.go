package engine

// A worker owns the operations that it was given until it has applied a decision
// about each of them, or released them. This file goes through its work from top to
// bottom:
//
//	claim   the dispatcher hands over operations of one lane
//	intent  of a send: commit that it may happen
//	call    ask the provider
//	decide  what each answer means: package decide
//	apply   commit the decisions, which ends the claims

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Claim.

// send starts the sessions of operations of one lane that were never sent, by
// one call where there are several.
func (r *run) send(l *lane, ops []store.Operation) {
	defer r.finished(&l.sending)
	if r.readDate(l, ops) {
		return
	}
	ready, heldBack := ops[:0], []store.Operation(nil)
	for i := range ops {
		switch ok, hold := r.maySend(l, &ops[i]); {
		case ok:
			ready = append(ready, ops[i])
		case hold:
			heldBack = append(heldBack, ops[i])
		}
	}
	r.holdBack(l, heldBack, len(ready) == 0)
	if len(ready) > 0 {
		r.intent(l, ready)
	}
}

// readSessions reads the sessions of operations of one lane, by one call where there
// are several.
func (r *run) readSessions(l *lane, ops []store.Operation) {
	defer r.finished(&l.reading)
	var answers []decide.Answer
	if len(ops) == 1 {
		answers = []decide.Answer{r.get(l, &ops[0], false)}
	} else {
		answers = r.getBatch(l, ops)
	}
	ds := make([]*decision, len(ops))
	for i := range ops {
		ds[i] = r.decision(l, &ops[i], &answers[i])
	}
	r.decide(l, ds...)
}

// trial makes the trial call of a blocked lane: it reads one operation's session.
// An operation that was never sent stays as it is, behind those that wait too,
// unless its session alone cannot be reached.
func (r *run) trial(l *lane, op store.Operation) {
	defer r.finished(&l.reading)
	a := r.get(l, &op, true)
	if op.Sent == store.SentNo && !a.OnlySession {
		op.DueAt = a.At
		r.release(op)
		return
	}
	d := r.decision(l, &op, &a)
	if op.Sent == store.SentNo {
		d.in.Cause = decide.CauseUnreachable
	}
	r.decide(l, d)
}

// overdue ends what has passed its deadline: as EXPIRED if it was never sent,
// as unobservable if its lane has been blocked for ten minutes. Otherwise it is read
// in its turn, and that decides.
func (r *run) overdue(l *lane, op store.Operation) {
	now := r.e.now()
	r.mu.Lock()
	blocked := r.blockedFor(l, now)
	r.mu.Unlock()
	switch {
	case op.Sent == store.SentNo:
		r.unanswered(l, &op, decide.CauseExpiry)
	case blocked >= decide.TrustAfter:
		r.unanswered(l, &op, decide.CauseDeadline)
	default:
		op.DueAt = now
		r.release(op)
	}
}

// unanswered decides about an operation for a cause that is no answer.
func (r *run) unanswered(l *lane, op *store.Operation, cause decide.Cause) {
	a := r.begin(callFor(op))
	a.At = a.Began
	d := r.decision(l, op, &a)
	d.in.Cause = cause
	r.decide(l, d)
}

// finished frees the slot of a call in its lane.
func (r *run) finished(inFlight *int) {
	r.mu.Lock()
	*inFlight--
	r.mu.Unlock()
}

// Intent.

// intended is an operation whose intent is committed, and its record before that.
type intended struct{ op, before *store.Operation }

// intent commits that sends may have happened, all in one commit, and then sends.
// ops are the records before the intent.
func (r *run) intent(l *lane, ops []store.Operation) {
	changes := make([]store.Change, len(ops))
	r.mu.Lock()
	r.noticeJump()
	now, mono, provider, up := r.watch.wall, r.watch.mono, l.clock, decide.Awake(r.watch.up)
	r.mu.Unlock()
	if up.Boot != 0 { // rounded up, so that no wait since then is cut short
		up.At = up.At.Truncate(time.Millisecond) + time.Millisecond
	}
	for i := range ops {
		op := &changes[i].Operation
		*op = ops[i]
		op.LastSentAt = now
		op.SentUp = up
		if op.SentAt.IsZero() {
			op.SentAt = now
			if provider.Known && 2*provider.Uncertainty <= decide.ClockMargin { // a less certain clock proves nothing about so short a time
				op.SentProviderTime = now.Add(provider.Offset)
			}
		}
		op.Sent = store.SentUnknown
		op.Attempts++
		if !op.LastErrorAt.Before(now) { // dated by a clock that was ahead: it does not answer this send
			op.LastErrorAt = now.Add(-time.Microsecond)
		}
		if ops[i].Sent == store.SentNo && op.Later.Pending() && !op.Later.NotBefore.After(now) {
			op.Later = op.Later.Done() // it arrived during a send that was undone, and this one serves it
		}
	}
	errs, err := r.e.store.Apply(r.calls, changes)
	if err != nil {
		if r.calls.Err() == nil {
			r.trouble(err)
		}
		r.release(ops...)
		return
	}
	sends := make([]intended, 0, len(ops))
	for i := range ops {
		op, before := &changes[i].Operation, &ops[i]
		op.Version++
		switch {
		case errs[i] != nil: // a cancel or a join came first: the next claim sees it
			r.release(*before)
		case r.expiry(op).Passed, time.Since(mono) > decide.IntentFresh: // the commit took too long
			a := r.begin(decide.CallStart)
			a.At = a.Began
			d := r.decision(l, op, &a)
			d.in.Before, d.in.Cause = before, decide.CauseUnsent
			r.decide(l, d)
		default:
			sends = append(sends, intended{op, before})
		}
	}
	if len(sends) > 0 {
		r.call(l, sends)
	}
}

// Call.

// call sends starts by one call of the transport, and decides about each answer.
func (r *run) call(l *lane, sends []intended) {
	ins := make([]transport.StartInput, len(sends))
	calls := make([]decide.Call, len(sends))
	for i, s := range sends {
		ins[i] = transport.StartInput{Ref: s.op.Ref, ClientToken: s.op.ClientToken}
		calls[i] = decide.CallStart
	}
	whole := r.begin(decide.CallStart)
	whole.Ref = onlyRef(sends[0].op.Ref, len(sends))
	ctx, done := context.WithTimeout(r.calls, r.e.cfg.Timeout)
	defer done()
	var results []transport.Result
	var err error
	if len(ins) == 1 {
		results = make([]transport.Result, 1)
		results[0].Session, results[0].Err = r.e.transport.Start(ctx, ins[0])
	} else {
		results, err = r.e.transport.(transport.BatchStarter).BatchStart(ctx, ins)
	}
	answers := r.answeredAll(l, whole, calls, results, err)
	ds := make([]*decision, len(sends))
	for i, s := range sends {
		ds[i] = r.decision(l, s.op, &answers[i])
		ds[i].in.Before, ds[i].in.SentAt = s.before, s.op.LastSentAt
	}
	r.decide(l, ds...)
}

func (r *run) get(l *lane, op *store.Operation, probe bool) decide.Answer {
	a := r.begin(callFor(op))
	a.Ref, a.Trial = op.Ref, probe
	ctx, done := context.WithTimeout(r.calls, r.e.cfg.Timeout)
	defer done()
	s, err := r.e.transport.Get(ctx, op.Ref)
	a.At = r.e.now()
	a.Read(s, err)
	r.answered(l, &a)
	return a
}

// getBatch returns an answer for each operation.
func (r *run) getBatch(l *lane, ops []store.Operation) []decide.Answer {
	refs := make([]transport.Ref, len(ops))
	calls := make([]decide.Call, len(ops))
	for i := range ops {
		refs[i], calls[i] = ops[i].Ref, callFor(&ops[i])
	}
	whole := r.begin(decide.CallPoll)
	whole.Ref = onlyRef(refs[0], len(refs))
	ctx, done := context.WithTimeout(r.calls, r.e.cfg.Timeout)
	defer done()
	results, err := r.e.transport.(transport.BatchGetter).BatchGet(ctx, refs)
	return r.answeredAll(l, whole, calls, results, err)
}

func (r *run) begin(c decide.Call) decide.Answer {
	return decide.Answer{Call: c, Began: r.e.now(), BeganMono: time.Now(), Up: r.e.up()}
}

func callFor(op *store.Operation) decide.Call {
	if op.Sent == store.SentAccepted {
		return decide.CallPoll
	}
	return decide.CallConfirm
}

// onlyRef returns the session of a call for n sessions, or zero if n is more than one.
func onlyRef(ref transport.Ref, n int) transport.Ref {
	if n > 1 {
		return transport.Ref{}
	}
	return ref
}

// Decide.

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
	r.noticeJump()
	was := r.sightings[op.ID]
	return &decision{in: decide.Input{
		Operation: *op, ReadVersion: op.Version, Answer: *a, Lane: *l.stored, Sighting: was,
		Traits:     transport.TraitsOf(r.e.transport, op.Ref),
		ClockFacts: r.facts(l, op, a, &was),
		Timeout:    r.e.cfg.Timeout, BootTimeout: r.e.cfg.BootTimeout, Jitter: jitter,
	}}
}

// decide decides, and applies what was decided.
func (r *run) decide(l *lane, ds ...*decision) {
	for _, d := range ds {
		d.decide()
	}
	r.apply(l, ds)
}

// Apply.

// apply commits decisions all at once and ends their claims. It sends again what a
// confirm has cleared. If a record changed meanwhile, apply reads the record and decides
// again. While the store has no space it keeps trying until the drain is over. Then
// it releases the operations as they are: the records say that a send may have
// happened, so the next run reads their sessions.
func (r *run) apply(l *lane, ds []*decision) {
	var cleared []*decision
	for wait := time.Duration(0); len(ds) > 0; {
		c, err := r.commit(ds)
		cleared = append(cleared, c.cleared...)
		if err != nil {
			wait = decide.Quick.Next(wait)
			if r.trouble(err); r.failure() != nil || !r.sleep(wait) {
				r.giveBack(append(c.again, cleared...))
				return
			}
		}
		ds = r.reread(c.again)
	}
	for _, d := range cleared {
		r.resend(l, d)
	}
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
		r.noteSighting(d)
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
		r.noteSighting(d)
		r.e.logChange(&d.out.Operation, d.out.From)
		if d.out.Next != nil {
			r.e.logChange(d.out.Next, "")
		}
		if d.out.Moved() {
			r.addLateRead(&d.out.Operation)
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

// noteSighting counts the reads that decided nothing about an operation. A decision
// ends the count.
func (r *run) noteSighting(d *decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noteRead(&d.out.Operation, &d.in.Answer)
	if d.out.Resend || d.out.Moved() || d.out.Sighting.From.IsZero() && d.out.Sighting.Silent.IsZero() && d.out.Sighting.SilentBefore == 0 {
		delete(r.sightings, d.out.Operation.ID)
	} else {
		r.sightings[d.out.Operation.ID] = d.out.Sighting
	}
}

// giveBack releases the operations whose decisions could not be stored.
func (r *run) giveBack(ds []*decision) {
	ops := make([]store.Operation, 0, len(ds))
	for _, d := range ds {
		ops = append(ops, d.out.Operation)
	}
	r.release(ops...)
}

func (r *run) release(ops ...store.Operation) {
	if err := r.claims.Release(context.Background(), ops); err != nil {
		r.trouble(err)
	}
}

// trouble handles an error of the store. The run goes on if the store has no space or
// does not know the outcome of a commit. Any other error ends the run.
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

// logChange logs a change of phase.
func (e *Engine) logChange(op *store.Operation, from fsm.Phase) {
	if op.Phase == from || !e.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	e.log.Info("operation", "id", op.ID, "session", op.Ref.String(), "from", from, "to", op.Phase,
		"state", op.Session, "reason", op.EndReason, "error", op.LastError)
}
