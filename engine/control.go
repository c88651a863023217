package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// Cancellation is the result of Cancel.
type Cancellation uint8

// The results of Cancel.
const (
	CancellationNeverSent      Cancellation = iota // it was never sent: it has ended CANCELED
	CancellationOutcomeUnknown                     // it is not sent again; a read of the session decides whether it ends CANCELED or goes on
	CancellationAccepted                           // the provider has accepted the start, and it goes on; a later request is withdrawn
	CancellationAlreadyEnded                       // nothing changed
)

func (c Cancellation) String() string {
	switch c {
	case CancellationNeverSent:
		return "never sent: canceled"
	case CancellationOutcomeUnknown:
		return "sent, outcome unknown: it is not sent again, and a read of the session decides"
	case CancellationAccepted:
		return "accepted by the provider: nothing changed"
	}
	return "ended already: nothing changed"
}

// Cancel withdraws an operation with all requests that joined it, a later request
// included. The feed records by. With the id of a later request, Cancel withdraws that
// request alone and returns CancellationNeverSent. A send may begin at the same time;
// the Cancellation says which came first. Cancel never stops a session. Errors:
// [ErrNotFound], and the store's.
func (e *Engine) Cancel(ctx context.Context, id ID, by string) (Cancellation, error) {
	if err := checkText("by", by, maxName); err != nil {
		return 0, fmt.Errorf("engine: cancel %s: %w", id, err)
	}
	out := CancellationAlreadyEnded
	err := e.change(ctx, id, func(op *Operation, now time.Time) *store.Event {
		pending := op.Later.Pending()
		if op.Active() {
			op.Later = op.Later.Done()
		}
		switch {
		case op.Phase.Ended():
			out = CancellationAlreadyEnded
			return nil
		case op.ID != id: // the id of a later request
			out = CancellationAlreadyEnded
			if pending {
				out = CancellationNeverSent
			}
			return nil
		case op.Sent == store.SentAccepted:
			out = CancellationAccepted
			return nil
		}
		if op.Sent == store.SentUnknown {
			out = CancellationOutcomeUnknown
			if op.CancelAt.IsZero() {
				op.CancelBy, op.CancelAt = by, now
				op.DueAt = later(now, op.LastSentAt.Add(e.cfg.Timeout))
			}
			return nil
		}
		op.CancelBy, op.CancelAt = by, now
		out = CancellationNeverSent
		ev := &store.Event{Operation: op.ID, Ref: op.Ref, From: op.Phase, To: fsm.PhaseCanceled, Reason: store.ReasonCanceled, By: by, At: now}
		op.Phase, op.EndReason, op.FinishedAt = fsm.PhaseCanceled, store.ReasonCanceled, later(now, op.CreatedAt)
		return ev
	})
	return out, err
}

// RetryNow makes an active operation's next step due now, whatever its backoff; a
// not-before stands. If its lane is blocked, the lane's next trial call is due now.
// by is logged. An ended operation is left as it is: see [Engine.Retry]. Errors:
// [ErrNotFound], and the store's.
func (e *Engine) RetryNow(ctx context.Context, id ID, by string) error {
	if err := checkText("by", by, maxName); err != nil {
		return fmt.Errorf("engine: retry operation %s now: %w", id, err)
	}
	lane := ""
	err := e.change(ctx, id, func(op *Operation, now time.Time) *store.Event {
		if op.Active() {
			lane = op.Lane
			op.DueAt, op.Interval = now, 0
			switch op.Sent {
			case store.SentNo:
				op.DueAt = later(now, op.NotBefore)
			case store.SentUnknown: // the request may still be under way
				op.DueAt = later(now, op.LastSentAt.Add(e.cfg.Timeout))
			}
		}
		return nil
	})
	if err == nil && lane != "" {
		e.log.Info("next step brought forward", "id", id, "by", by)
	}
	if r := e.current(); r != nil && lane != "" {
		r.mu.Lock()
		if l := r.lanes[lane]; l != nil {
			r.prompt(l, e.now())
		}
		r.mu.Unlock()
		r.poke()
	}
	return err
}

// change applies f to an operation, and repeats that if another writer changed the
// operation meanwhile. f may leave the operation unchanged.
func (e *Engine) change(ctx context.Context, id ID, f func(op *Operation, now time.Time) *store.Event) error {
	for {
		op, err := e.Get(ctx, id)
		if err != nil {
			return err
		}
		was := op
		ev := f(&op, e.now())
		if ev == nil && op.DueAt.Equal(was.DueAt) && op.CancelAt.Equal(was.CancelAt) && op.Interval == was.Interval && op.Later == was.Later {
			return nil
		}
		c := store.Change{Operation: op}
		if ev != nil {
			c.Events = []store.Event{*ev}
		}
		errs, err := e.store.Apply(ctx, []store.Change{c})
		switch {
		case err != nil:
			return e.storeError(err)
		case errs[0] == nil:
			e.logChange(&op, was.Phase)
			return nil
		case !errors.Is(errs[0], store.ErrFenced):
			return e.storeError(errs[0])
		}
	}
}

// Retry requests again what an ended operation requested. Like Start, it makes a new
// operation with the same session, labels and reason, and stores by as RequestedBy. The
// errors are those of Start, and ErrNotEnded.
func (e *Engine) Retry(ctx context.Context, id ID, by string) (Receipt, error) {
	op, err := e.Get(ctx, id)
	if err != nil {
		return Receipt{}, err
	}
	if op.Active() {
		return Receipt{Operation: op}, fmt.Errorf("%w: %s is %s: wait for its end, or cancel it", ErrNotEnded, id, op.Phase)
	}
	return e.Start(ctx, Request{Ref: op.Ref, Labels: op.Labels, RequestedBy: by, Reason: op.Reason, retryOf: op.ID})
}

// Nudge makes the trial calls of blocked lanes at once, since the network may be back.
// A host calls it when its system reports a new network. Without a Run it does nothing.
func (e *Engine) Nudge() {
	if r := e.current(); r != nil {
		r.nudge()
	}
}

// Pause stops the sends of a lane until Resume, also after a restart. It stores by with
// the lane. Polls go on, and so do the few sends that were about to begin. A lane is by
// default the studio's id. ErrUnknownLane says that no session of the transport can be
// in the lane, no operation is in it, and nothing is stored of it.
func (e *Engine) Pause(ctx context.Context, lane, by string) error {
	return e.setPaused(ctx, lane, true, by)
}

// Resume ends a Pause. The errors are those of Pause.
func (e *Engine) Resume(ctx context.Context, lane, by string) error {
	return e.setPaused(ctx, lane, false, by)
}

func (e *Engine) setPaused(ctx context.Context, lane string, paused bool, by string) error {
	if err := e.open(); err != nil {
		return err
	}
	if lane == "" {
		return fmt.Errorf("engine: %w", invalid("the lane's name is empty"))
	}
	for what, s := range map[string]string{"lane": lane, "by": by} {
		if err := checkText(what, s, maxName); err != nil {
			return fmt.Errorf("engine: %w", err)
		}
	}
	if err := e.checkLane(ctx, lane); err != nil {
		return err
	}
	e.pausing.Lock() // so that the store and the Run apply two calls in the same order
	defer e.pausing.Unlock()
	now := e.now()
	if err := e.store.SetPaused(ctx, lane, paused, by, now); err != nil {
		return e.storeError(err)
	}
	if r := e.current(); r != nil {
		r.mu.Lock()
		s := r.stored[lane]
		if s == nil {
			s = &store.Lane{Name: lane}
			r.stored[lane] = s
		}
		s.Paused, s.PausedBy, s.PausedAt = paused, by, now
		if l := r.lanes[lane]; l != nil {
			r.ready.put(l, now)
		}
		r.mu.Unlock()
		r.poke()
	}
	return nil
}

// Adopt makes a foreign store this machine's own. A store is foreign after its disk was
// cloned or its file copied (see [store.Foreign], and Stats). From then on this engine
// carries out the operations, and the feed says so, and who adopted it. The engine
// confirms what the other machine may have sent. Adopt a store only if the other machine
// does not carry out its operations any more. Adopt leaves any other store as it is.
func (e *Engine) Adopt(ctx context.Context, by string) error {
	if err := e.open(); err != nil {
		return err
	}
	if err := checkText("by", by, maxName); err != nil {
		return fmt.Errorf("engine: adopt: %w", err)
	}
	if s, ok := e.store.(store.Adopter); ok { // else it is never foreign
		if err := s.Adopt(ctx, by, e.now()); err != nil {
			return e.storeError(err)
		}
	}
	e.home.Store(true)
	if r := e.current(); r != nil {
		r.poke()
	}
	return nil
}

// Prune removes ended operations older than Config.Keep, with their tokens, and events
// beyond Config.KeepEvents. It returns how many records it removed. Run prunes once an
// hour. While a Run does not trust the wall clock, Prune keeps every ended operation.
func (e *Engine) Prune(ctx context.Context) (int, error) {
	if err := e.open(); err != nil {
		return 0, err
	}
	now := e.now()
	keep := store.Retention{EndedSince: now.Add(-e.cfg.Keep), Events: e.cfg.KeepEvents}
	if !now.Before(e.earliest) {
		keep.Impossible = e.earliest
	}
	if r := e.current(); r != nil && r.untrustedFor() > 0 {
		keep.EndedSince = time.Time{}
	}
	n, err := e.store.Prune(ctx, keep)
	return n, e.storeError(err)
}
