package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// The workers. Each owns the operations that it was given until it has applied
// or released them: decide, commit, act, in that order.

// send starts the sessions of operations of one lane that were never sent, by
// one call where there are several.
func (r *run) send(l *lane, ops []store.Operation) {
	defer r.finished(&l.sending)
	if r.ask(l, ops) {
		return
	}
	ready, held := ops[:0], []store.Operation(nil)
	for i := range ops {
		switch ok, hold := r.fresh(l, &ops[i]); {
		case ok:
			ready = append(ready, ops[i])
		case hold:
			held = append(held, ops[i])
		}
	}
	r.hold(l, held, len(ready) == 0)
	if len(ready) > 0 {
		r.mark(l, ready)
	}
}

// ask looks once for the date of a provider that remembers no token, before
// anything is sent to it, and reports that it did, or that another worker does;
// the operations' turn comes again once it has. Should their sends' answers be
// lost, nothing else tells whether a startedAt is earlier: a later Run cannot know
// how right our clock is now.
func (r *run) ask(l *lane, ops []store.Operation) bool {
	r.mu.Lock()
	asking := l.asking
	asked := !asking && (l.asked || l.clock.Known || decide.Remembers(transport.TraitsOf(r.e.transport, ops[0].Ref)))
	l.asked, l.asking = true, !asked
	r.mu.Unlock()
	if asked {
		return false
	}
	if !asking {
		r.get(l, &ops[0], false)
		r.mu.Lock()
		l.asking = false
		r.mu.Unlock()
	}
	r.release(ops...)
	return true
}

// fresh reports whether an operation may be sent now. If not, it is dealt with, or
// hold says to put it back: what may have expired by a clock that is not trusted
// is neither sent nor ended.
func (r *run) fresh(l *lane, op *store.Operation) (ok, hold bool) {
	now, s, doubt := r.e.now(), r.expiry(op), r.doubt() > 0
	switch {
	case op.NotBefore.After(now): // the clock went back
		op.DueAt = op.NotBefore
	case !s.Certain, s.Shift > 0 && doubt && !op.NotBefore.IsZero():
		return false, true
	case !s.Passed && (s.Shift == 0 || doubt):
		return true, false
	case op.Sent == store.SentNo: // a wrong time of the request is corrected, or it ends
		r.rule(l, op, decide.CauseExpiry)
		return false, false
	default: // since it was cleared: another look corrects or ends it
		op.DueAt = now
	}
	r.release(*op)
	return false, false
}

// hold puts back what looks expired by a clock in doubt. The worker's call, if it
// has no other use, asks for the provider's date, which may settle it.
func (r *run) hold(l *lane, ops []store.Operation, ask bool) {
	if len(ops) == 0 {
		return
	}
	if ask {
		r.get(l, &ops[0], false)
	}
	wait := decide.LongestSleep
	if left := r.doubt(); left > 0 {
		wait = min(wait, left)
	}
	due := r.e.now().Add(wait)
	for i := range ops {
		ops[i].DueAt = due
	}
	r.release(ops...)
}

// doubt is for how long yet the wall clock is not believed.
func (r *run) doubt() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noticeJump()
	_, left := r.watch.believed(time.Now())
	return left
}

// rule settles an operation by one ruling, without an answer.
func (r *run) rule(l *lane, op *store.Operation, cause decide.Cause) {
	a := r.begin(callFor(op))
	a.At = a.Began
	j := r.decision(l, op, &a)
	j.in.Cause = cause
	r.settle(l, j)
}

// marked is an operation that is marked as sent, and its record before that.
type marked struct{ op, before *store.Operation }

// mark commits that sends may have happened, all in one commit, and then sends.
// ops are the records as they stand.
func (r *run) mark(l *lane, ops []store.Operation) {
	changes := make([]store.Change, len(ops))
	r.mu.Lock()
	r.noticeJump()
	now, mono, theirs, up := r.watch.wall, r.watch.mono, l.clock, decide.Awake(r.watch.up)
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
			if theirs.Known && 2*theirs.Uncertainty <= decide.ClockMargin { // else it says too little of so short a time
				op.SentProviderTime = now.Add(theirs.Offset)
			}
		}
		op.Sent = store.SentUnknown
		op.Attempts++
		if !op.LastErrorAt.Before(now) { // by a clock that was ahead: it is not the answer to this send
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
	sends := make([]marked, 0, len(ops))
	for i := range ops {
		op, before := &changes[i].Operation, &ops[i]
		op.Version++
		switch {
		case errs[i] != nil: // a cancel or a join came first: the next claim sees it
			r.release(*before)
		case r.expiry(op).Passed, time.Since(mono) > decide.IntentFresh: // the commit took its time
			a := r.begin(decide.CallStart)
			a.At = a.Began
			j := r.decision(l, op, &a)
			j.in.Before, j.in.Cause = before, decide.CauseUnsent
			r.settle(l, j)
		default:
			sends = append(sends, marked{op, before})
		}
	}
	if len(sends) > 0 {
		r.call(l, sends)
	}
}

// call makes the one wire attempt, and commits what came of it.
func (r *run) call(l *lane, sends []marked) {
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
	answers := r.hearAll(l, whole, calls, results, err)
	judges := make([]*decision, len(sends))
	for i, s := range sends {
		judges[i] = r.decision(l, s.op, &answers[i])
		judges[i].in.Before, judges[i].in.SentAt = s.before, s.op.LastSentAt
	}
	r.settle(l, judges...)
}

func (r *run) begin(c decide.Call) decide.Answer {
	return decide.Answer{Call: c, Began: r.e.now(), BeganMono: time.Now(), Up: r.e.up()}
}

// onlyRef is the session of a call for n of them; zero: there are several.
func onlyRef(ref transport.Ref, n int) transport.Ref {
	if n > 1 {
		return transport.Ref{}
	}
	return ref
}

// heard tells the lane of an answer.
func (r *run) heard(l *lane, a *decide.Answer) {
	mono := time.Now()
	r.mu.Lock()
	r.noticeJump()
	was := l.block
	until := l.heard(*a, a.At, mono)
	if l.clock.Measure(*a) {
		r.watch.confirm(l.clock)
		r.confirmed = r.confirmed || r.watch.doubtSince.IsZero()
	}
	now, keep := l.block, l.unkept(mono)
	paced := l.notePace(a, a.At)
	pace, throttledAt := l.stored.Pace, l.stored.ThrottledAt
	var why WaitReason
	if now != nil {
		why = now.why // of this answer: another may come in before it is logged
	}
	if until.After(l.floor(a.At)) {
		l.stored.RetryAfter, l.stored.RetryAfterHeard = until, a.At
	} else {
		until = time.Time{}
	}
	r.mu.Unlock()
	switch {
	case was == nil && now != nil:
		r.e.log.Warn("lane closed", "lane", l.name, "why", why, "error", a.Text())
	case was != nil && now == nil:
		r.e.log.Info("lane open again", "lane", l.name, "closed_for", a.At.Sub(was.since))
	}
	if keep {
		r.keepBlock(l)
	}
	if paced {
		if err := r.e.store.SetPace(context.Background(), l.name, pace, throttledAt); err != nil {
			r.trouble(err)
		}
	}
	if !until.IsZero() {
		if err := r.e.store.SetRetryAfter(context.Background(), l.name, until, a.At); err != nil {
			r.trouble(err)
		}
	}
}

// look looks at operations of one lane, by one call where there are several.
func (r *run) look(l *lane, ops []store.Operation) {
	defer r.finished(&l.looking)
	var answers []decide.Answer
	if len(ops) == 1 {
		answers = []decide.Answer{r.get(l, &ops[0], false)}
	} else {
		answers = r.getBatch(l, ops)
	}
	judges := make([]*decision, len(ops))
	for i := range ops {
		judges[i] = r.decision(l, &ops[i], &answers[i])
	}
	r.settle(l, judges...)
}

func callFor(op *store.Operation) decide.Call {
	if op.Sent == store.SentAccepted {
		return decide.CallPoll
	}
	return decide.CallConfirm
}

func (r *run) get(l *lane, op *store.Operation, probe bool) decide.Answer {
	a := r.begin(callFor(op))
	a.Ref, a.Trial = op.Ref, probe
	ctx, done := context.WithTimeout(r.calls, r.e.cfg.Timeout)
	defer done()
	s, err := r.e.transport.Get(ctx, op.Ref)
	a.At = r.e.now()
	a.Read(s, err)
	r.heard(l, &a)
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
	return r.hearAll(l, whole, calls, results, err)
}

// hearAll makes answers of a call's results. The lane hears of the call once: by
// a member that was answered, else by the failure.
func (r *run) hearAll(l *lane, whole decide.Answer, calls []decide.Call, results []transport.Result, err error) []decide.Answer {
	n := len(calls)
	if err == nil && len(results) != n {
		err = &transport.Error{Kind: transport.KindUnknown, Message: fmt.Sprintf("a batch of %d got %d results", n, len(results))}
	}
	if err != nil {
		results = slices.Repeat([]transport.Result{{Err: err}}, n)
	}
	failed := err != nil && n > 1
	answers := make([]decide.Answer, n)
	voice := 0
	whole.At = r.e.now() // of all, so that what was looked at together stays together
	for i := range answers {
		answers[i] = whole
		answers[i].Call = calls[i]
		answers[i].Read(results[i].Session, results[i].Err)
		answers[i].OnlySession = answers[i].OnlySession && !failed // one error of a whole batch is not about one session
		if answers[i].Weight() > answers[voice].Weight() {
			voice = i
		}
	}
	for i := range answers {
		answers[i].Member = i != voice && err == nil && !answers[i].Alike(&answers[voice])
	}
	r.heard(l, &answers[voice])
	return answers
}

// probe makes the trial call of a blocked lane, a look at one operation's session.
// An operation that was never sent stays as it is, behind those that wait too,
// unless its session alone cannot be reached.
func (r *run) probe(l *lane, op store.Operation) {
	defer r.finished(&l.looking)
	a := r.get(l, &op, true)
	if op.Sent == store.SentNo && !a.OnlySession {
		op.DueAt = a.At
		r.release(op)
		return
	}
	j := r.decision(l, &op, &a)
	if op.Sent == store.SentNo {
		j.in.Cause = decide.CauseUnreachable
	}
	r.settle(l, j)
}

// overdue ends what has passed its deadline: as EXPIRED if it was never sent,
// as unobservable if its lane has been blocked for ten minutes. Else it is looked
// at in its turn, and that decides.
func (r *run) overdue(l *lane, op store.Operation) {
	now := r.e.now()
	r.mu.Lock()
	blocked := r.blockedFor(l, now)
	r.mu.Unlock()
	switch {
	case op.Sent == store.SentNo:
		r.rule(l, &op, decide.CauseExpiry)
	case blocked >= decide.TrustAfter:
		r.rule(l, &op, decide.CauseDeadline)
	default:
		op.DueAt = now
		r.release(op)
	}
}

// blockedFor returns how long this Run, while the machine was awake, has found the
// lane blocked. Zero means that it is not. mu must be held.
func (r *run) blockedFor(l *lane, now time.Time) time.Duration {
	if l.block == nil {
		return 0
	}
	return now.Sub(l.block.since) - decide.SpanSum(r.naps, l.block.since)
}

// finished ends a call's place in its lane.
func (r *run) finished(inFlight *int) {
	r.mu.Lock()
	*inFlight--
	r.mu.Unlock()
}
