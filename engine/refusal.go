package engine

import (
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Rulings on errors.

// unsend puts back what stood before this send, which had no effect.
func (j *judge) unsend() {
	b := j.before
	j.unmark()
	j.op.DueAt = b.DueAt
	if j.a.row != throttled && j.a.row != shortage { // offline and credentials cost nothing
		j.op.Attempts = b.Attempts
	}
	j.write = true
}

// sendAgain undoes this send and waits before the next one. The wait grows with
// each send that had no effect. Good answers to other calls, such as the trial
// calls of the lane, do not reset it.
func (j *judge) sendAgain() {
	j.unsend()
	j.backOff(quick)
}

// unmark makes the operation as sent as it was before this send.
func (j *judge) unmark() {
	b := j.before
	j.op.Sent, j.op.SentAt, j.op.LastSentAt = b.Sent, b.SentAt, b.LastSentAt
	j.op.SentProviderTime, j.op.StartedSeen, j.op.SentUp = b.SentProviderTime, b.StartedSeen, b.SentUp
}

// waitLong: the feed says so once for each time that the reason becomes this one.
func (j *judge) waitLong() {
	news := j.op.LastError == "" || j.op.LastKind != j.a.kind
	j.unsend()
	j.backOff(long)
	if news && j.op.Shortages < maxShortages {
		j.op.Shortages++
		j.fact = j.tell(j.op.Phase, shortages[j.a.kind])
		j.fact.Error = bounded(j.op.LastError, 2*maxError)
	}
}

// maxShortages bounds what the feed says of an operation whose refusals alternate.
const maxShortages = 16

var shortages = map[transport.Kind]store.Reason{
	transport.KindCapacity: store.ReasonNoCapacity, transport.KindQuotaExceeded: store.ReasonQuotaExceeded,
}

// lookSoon: the outcome stays unknown, and the next look tells.
func (j *judge) lookSoon() { j.backOff(quick) }

// lookAfterTimeout: the request may still be under way for as long as a call
// may take.
func (j *judge) lookAfterTimeout() {
	if j.a.notSent {
		j.sendAgain()
		return
	}
	j.backOff(quick)
	if end := j.op.LastSentAt.Add(j.cfg.Timeout); j.op.DueAt.Before(end) {
		j.op.DueAt = end
	}
}

// backOff stores the next interval with the error. A shorter pause does not
// shorten an interval that a longer one has reached.
func (j *judge) backOff(p pause) {
	wait := p.next(j.op.Interval)
	j.op.Interval = max(j.op.Interval, wait)
	j.op.DueAt = j.a.at.Add(max(jitter(wait), j.ownWait()))
	j.remember()
}

// ownWait is how long the provider asked to leave this session alone. What it
// asks for the whole lane is the lane's business.
func (j *judge) ownWait() time.Duration {
	if !j.a.only {
		return 0
	}
	return min(j.a.wait, maxRetryAfter)
}

// remember stores the error, for Explain.
func (j *judge) remember() {
	if j.op.LastError == "" || j.op.LastKind != j.a.kind {
		j.op.ErrorSince = j.a.at
	} else {
		j.op.ErrorSince = errorSince(&j.op)
	}
	j.op.LastError, j.op.LastKind, j.op.LastErrorAt = reasonText(j.a), j.a.kind, j.a.at
	j.write = true
}

// errorSince returns since when an operation has had its error. A record of an
// earlier version says only when the error was heard last.
func errorSince(o *store.Operation) time.Time {
	if o.ErrorSince.IsZero() {
		return o.LastErrorAt
	}
	return o.ErrorSince
}

// learn is remember for looks and polls, which write only what is new. A look's
// Conflict is not stored while the send may be under way: see refusedSend.
func (j *judge) learn() {
	switch {
	case j.a.err == nil, j.op.LastError != "" && j.op.LastKind == j.a.kind:
	case j.a.row == conflict && j.a.call == lookCall && j.a.at.Before(j.arrivedBy()):
	default:
		j.remember()
	}
}

func (j *judge) lookLater() {
	if j.a.call == startCall { // the answer shows a session on its way to STOPPED
		j.backOff(quick)
		return
	}
	j.putOff(quick)
	j.learn()
}

// putOff waits for longer after each look that decided nothing.
func (j *judge) putOff(p pause) {
	wait := p.first
	for range j.seen.looks {
		if wait = p.next(wait); wait >= p.most {
			break
		}
	}
	j.seen.looks++
	if j.seen.from.IsZero() {
		j.seen.from = j.a.at
	}
	j.op.DueAt = j.a.at.Add(max(jitter(wait), j.ownWait()))
}

// again looks again later. A trial call and a throttled one leave the operation
// due: its lane decides when. Anything else waits by itself, for a good answer to
// another session unblocks the lane at once, and this session would block it
// again.
func (j *judge) again() {
	if j.a.member || j.a.only || !j.a.probe && j.a.row != throttled {
		j.putOff(quick)
		j.learn()
		return
	}
	j.op.DueAt = j.a.at
}

// avoid puts off an operation that was never sent: a trial call found that its
// session alone cannot be reached.
func (j *judge) avoid() {
	j.putOff(quick)
	j.learn()
	j.seen.due = j.op.DueAt
}

func (j *judge) retryPoll() {
	if j.a.silent() && j.a.alone() { // each such call holds one of the lane's slots until its time is up
		j.putOff(quick)
	} else {
		j.op.DueAt = j.nextPoll()
	}
	j.learn()
}

func (j *judge) retrySlowly() {
	j.putOff(long)
	j.learn()
}

// blindLook: looks are refused. By token it is safe to send again; else it can
// only be hoped that looks are allowed again.
func (j *judge) blindLook() {
	if j.a.row == refused && j.doubtful() { // a session just touched may be missing for a while
		return
	}
	if s := j.standing(); j.remembered() && j.op.CancelAt.IsZero() && s.sure && !s.over {
		j.clear()
		return
	}
	j.retrySlowly()
}

func (j *judge) fail() {
	text := reasonText(j.a)
	if j.a.call == startCall {
		j.unmark()
		if j.op.Sent != store.SentNo {
			text += "; an earlier send may have started it"
		}
	}
	j.failed(reasonOf(j.a.kind), text)
}

func (j *judge) failRefused() {
	if !j.doubtful() {
		j.fail()
	}
}

func reasonOf(k transport.Kind) store.Reason {
	switch k {
	case transport.KindAccessDenied:
		return store.ReasonAccessDenied
	case transport.KindNotFound:
		return store.ReasonNotFound
	}
	return store.ReasonInvalid
}
