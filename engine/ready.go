package engine

import (
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Whether an operation may be sent now.

// maySend reports whether an operation may be sent now. If it may not, maySend ends or
// releases it, or returns hold: then the caller holds it back. An operation that may have
// expired by an untrusted clock is neither sent nor ended.
func (r *run) maySend(l *lane, op *store.Operation) (ok, hold bool) {
	now, s, untrusted := r.e.now(), r.expiry(op), r.untrustedFor() > 0
	switch {
	case op.NotBefore.After(now): // the clock went back
		op.DueAt = op.NotBefore
	case !s.Certain, s.Shift > 0 && untrusted && !op.NotBefore.IsZero():
		return false, true
	case !s.Passed && (s.Shift == 0 || untrusted):
		return true, false
	case op.Sent == store.SentNo: // a wrong time of the request is corrected, or it ends
		r.unanswered(l, op, decide.CauseExpiry)
		return false, false
	default: // it expired after it was cleared: another read corrects or ends it
		op.DueAt = now
	}
	r.release(*op)
	return false, false
}

// readDate reads a session once before anything is sent to a provider that remembers no
// token, for the provider's date. It reports whether it did so, or another worker is doing
// so. Then it has released the operations. If the answer to a send is lost, only this
// date shows whether a startedAt is earlier than the send. A later Run cannot know how
// wrong the clock is now.
func (r *run) readDate(l *lane, ops []store.Operation) bool {
	r.mu.Lock()
	asking := l.dateAsking
	asked := !asking && (l.dateAsked || l.clock.Known || decide.Remembers(transport.TraitsOf(r.e.transport, ops[0].Ref)))
	l.dateAsked, l.dateAsking = true, !asked
	r.mu.Unlock()
	if asked {
		return false
	}
	if !asking {
		r.get(l, &ops[0], false)
		r.mu.Lock()
		l.dateAsking = false
		r.mu.Unlock()
	}
	r.release(ops...)
	return true
}

// holdBack releases operations that look expired by an untrusted clock. With ask it first
// reads a session for the provider's date, which may confirm the clock.
func (r *run) holdBack(l *lane, ops []store.Operation, ask bool) {
	if len(ops) == 0 {
		return
	}
	if ask {
		r.get(l, &ops[0], false)
	}
	wait := decide.LongestSleep
	if left := r.untrustedFor(); left > 0 {
		wait = min(wait, left)
	}
	due := r.e.now().Add(wait)
	for i := range ops {
		ops[i].DueAt = due
	}
	r.release(ops...)
}

// untrustedFor returns how much longer the wall clock is untrusted. Zero means that it is
// trusted.
func (r *run) untrustedFor() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noticeJump()
	_, left := r.watch.trusted(time.Now())
	return left
}

// resend sends an operation again that a read has cleared. It is still claimed. If its
// turn does not come before that read is ReadFresh old, it needs another read.
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
			if paused { // it needs another read, but not at once
				op.DueAt = now.Add(decide.Quick.Most)
			}
			r.release(op)
			return
		case wait <= 0:
			switch ok, hold := r.maySend(l, &op); {
			case ok:
				r.intent(l, []store.Operation{op})
			case hold:
				r.holdBack(l, []store.Operation{op}, true)
			}
			return
		}
		if !r.sleep(min(wait, decide.Quick.Most)) {
			r.release(op)
			return
		}
	}
}

// sleep waits for d. It reports false if the drain ends first.
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
