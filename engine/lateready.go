package engine

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// A session whose operation failed at the end of its boot timeout often becomes READY
// later, and then costs money without anyone knowing. So the engine polls it for one more
// boot timeout, and adds a fact to the feed when it is READY. This is in memory only: a
// restart forgets it.

// lateRead is an operation that ended FAILED by timeout.
type lateRead struct {
	op          store.Operation
	next, until time.Time
}

const (
	lateEvery = time.Minute
	lateMost  = 1024 // the most operations that are polled so
)

// addLateRead arranges polls of an operation that timed out.
func (r *run) addLateRead(op *store.Operation) {
	if op.Phase != fsm.PhaseFailed || op.EndReason != store.ReasonTimeout {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.late) < lateMost {
		r.late = append(r.late, lateRead{*op, op.FinishedAt.Add(lateEvery), op.FinishedAt.Add(r.e.cfg.BootTimeout)})
	}
}

// readLate polls the sessions that are due, if their lanes have free slots.
func (r *run) readLate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, mono := r.e.now(), time.Now()
	keep := r.late[:0]
	for _, k := range r.late {
		if k.until.Before(now) {
			continue
		}
		if !k.next.After(now) {
			k.next = now.Add(jitter(lateEvery))
			if l := r.lane(k.op.Lane); l.hasSlot(now, mono) && r.inFlight < maxInFlight {
				l.pace.take(mono)
				l.reading++
				op := k.op
				r.spawn(l, func(l *lane) { r.lateRead(l, op) })
			}
		}
		keep = append(keep, k)
	}
	r.late = keep
}

// lateRead is the worker of one such poll.
func (r *run) lateRead(l *lane, op store.Operation) {
	defer r.finished(&l.reading)
	a := r.get(l, &op, false)
	latest, err := r.e.store.BySession(r.calls, op.Ref)
	if a.Err != nil || a.Session.State == fsm.StateStartInProgress || err != nil {
		return
	}
	r.mu.Lock()
	for i, k := range r.late { // whatever its state, it does not boot
		if k.op.ID == op.ID {
			r.late = append(r.late[:i:i], r.late[i+1:]...)
			break
		}
	}
	r.mu.Unlock()
	if latest.ID == op.ID { // otherwise a newer operation may have caused the state
		r.decide(l, r.decision(l, &op, &a))
	}
}

// nextLate returns when the next such poll is due. Zero means that there is none. mu must
// be held.
func (r *run) nextLate() (next time.Time) {
	for _, k := range r.late {
		next = earliest(next, k.next)
	}
	return next
}
