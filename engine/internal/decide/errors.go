package decide

import (
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// What is decided about refusals and failures.

// unsend restores what the record had before this send, which had no effect.
func (d *decision) unsend() {
	b := d.Before
	d.undoIntent()
	d.op.DueAt = b.DueAt
	if d.Answer.row != throttled && d.Answer.row != shortage { // offline and credentials cost nothing
		d.op.Attempts = b.Attempts
	}
	d.write = true
}

// sendAgain undoes this send and waits before the next one. The wait grows with
// each send that had no effect. Good answers to other calls, such as the trial
// calls of the lane, do not reset it.
func (d *decision) sendAgain() {
	d.unsend()
	d.backOff(Quick)
}

// undoIntent restores what the record said about sends before this send.
func (d *decision) undoIntent() {
	b := d.Before
	d.op.Sent, d.op.SentAt, d.op.LastSentAt = b.Sent, b.SentAt, b.LastSentAt
	d.op.SentProviderTime, d.op.StartedSeen, d.op.SentUp = b.SentProviderTime, b.StartedSeen, b.SentUp
}

// waitLong undoes this send and waits for capacity or quota. The feed reports the shortage
// whenever it is a new reason to wait.
func (d *decision) waitLong() {
	news := d.op.LastError == "" || d.op.LastKind != d.Answer.Kind
	d.unsend()
	d.backOff(Long)
	if news && d.op.Shortages < MaxShortages {
		d.op.Shortages++
		d.fact = d.newEvent(d.op.Phase, shortages[d.Answer.Kind])
		d.fact.Error = Bounded(d.op.LastError, 2*MaxError)
	}
}

// MaxShortages is the most shortages that the feed reports of one operation.
const MaxShortages = 16

var shortages = map[transport.Kind]store.Reason{
	transport.KindCapacity: store.ReasonNoCapacity, transport.KindQuotaExceeded: store.ReasonQuotaExceeded,
}

// confirmSoon leaves the outcome unknown. The next read decides.
func (d *decision) confirmSoon() { d.backOff(Quick) }

// confirmAfterTimeout leaves the outcome unknown, and puts off the read: the request may
// still be under way for as long as a call may take.
func (d *decision) confirmAfterTimeout() {
	if d.Answer.NotSent {
		d.sendAgain()
		return
	}
	d.backOff(Quick)
	if end := d.op.LastSentAt.Add(d.Timeout); d.op.DueAt.Before(end) {
		d.op.DueAt = end
	}
}

// backOff stores the next interval with the error. A shorter pause does not
// shorten an interval that a longer one has reached.
func (d *decision) backOff(p Backoff) {
	wait := p.Next(d.op.Interval)
	d.op.Interval = max(d.op.Interval, wait)
	d.op.DueAt = d.Answer.At.Add(max(d.Jitter(wait), d.ownWait()))
	d.storeError()
}

// ownWait returns the wait that the provider asked for, if it asked for this session
// alone. The lane keeps a wait for all of its sessions.
func (d *decision) ownWait() time.Duration {
	if !d.Answer.OnlySession {
		return 0
	}
	return min(d.Answer.RetryAfter, MaxRetryAfter)
}

// storeError stores the error, for Explain.
func (d *decision) storeError() {
	if d.op.LastError == "" || d.op.LastKind != d.Answer.Kind {
		d.op.ErrorSince = d.Answer.At
	} else {
		d.op.ErrorSince = ErrorSince(&d.op)
	}
	d.op.LastError, d.op.LastKind, d.op.LastErrorAt = d.Answer.Text(), d.Answer.Kind, d.Answer.At
	d.write = true
}

// ErrorSince returns since when an operation has had its error. A record of an earlier
// version has only the time of the last such answer.
func ErrorSince(o *store.Operation) time.Time {
	if o.ErrorSince.IsZero() {
		return o.LastErrorAt
	}
	return o.ErrorSince
}

// storeNewError stores the error of a read if it is new. A Conflict in answer to a read is
// not stored while the send may be under way: see refusedSend.
func (d *decision) storeNewError() {
	switch {
	case d.Answer.Err == nil, d.op.LastError != "" && d.op.LastKind == d.Answer.Kind:
	case d.Answer.row == conflict && d.Answer.Call == CallConfirm && d.Answer.At.Before(d.arrivedBy()):
	default:
		d.storeError()
	}
}

func (d *decision) readLater() {
	if d.Answer.Call == CallStart { // the answer shows a session on its way to STOPPED
		d.backOff(Quick)
		return
	}
	d.putOff(Quick)
	d.storeNewError()
}

// putOff waits longer after each read that decided nothing.
func (d *decision) putOff(p Backoff) {
	wait := p.First
	for range d.seen.Reads {
		if wait = p.Next(wait); wait >= p.Most {
			break
		}
	}
	d.seen.Reads++
	if d.seen.From.IsZero() {
		d.seen.From = d.Answer.At
	}
	d.op.DueAt = d.Answer.At.Add(max(d.Jitter(wait), d.ownWait()))
}

// again arranges another read. After a trial call or a throttled call the operation stays
// due, and its lane decides when. After any other failure the operation has a backoff of
// its own. Otherwise a good answer about another session could unblock the lane, and a
// read of this session could block it again, over and over.
func (d *decision) again() {
	if d.Answer.Member || d.Answer.OnlySession || !d.Answer.Trial && d.Answer.row != throttled {
		d.putOff(Quick)
		d.storeNewError()
		return
	}
	d.op.DueAt = d.Answer.At
}

// avoid puts off an operation that was never sent: a trial call found that its
// session alone cannot be reached.
func (d *decision) avoid() {
	d.putOff(Quick)
	d.storeNewError()
	d.seen.Due = d.op.DueAt
}

func (d *decision) retryPoll() {
	if d.Answer.Silent() && d.Answer.ofOneSession() { // each such call holds one of the lane's slots until its time is up
		d.putOff(Quick)
	} else {
		d.op.DueAt = d.nextPoll()
	}
	d.storeNewError()
}

func (d *decision) pollSlowly() {
	d.putOff(Long)
	d.storeNewError()
}

// confirmRefused decides when reads are refused. With a token that the provider
// remembers it is safe to send again. Otherwise the operation waits for reads to be
// allowed again.
func (d *decision) confirmRefused() {
	if d.Answer.row == refused && d.mayBeStale() { // a session just touched may be missing for a while
		return
	}
	if s := d.expiry(); d.remembered() && d.op.CancelAt.IsZero() && s.Certain && !s.Passed {
		d.clear()
		return
	}
	d.pollSlowly()
}

func (d *decision) fail() {
	text := d.Answer.Text()
	if d.Answer.Call == CallStart {
		d.undoIntent()
		if d.op.Sent != store.SentNo {
			text += "; an earlier send may have started it"
		}
	}
	d.failed(reasonOf(d.Answer.Kind), text)
}

func (d *decision) failRefused() {
	if !d.mayBeStale() {
		d.fail()
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
