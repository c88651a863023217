package engine

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/rouse-dev/rouse/fsm"
)

// EndError says that an operation ended in another phase than SUCCEEDED.
type EndError struct{ Operation Operation }

func (e *EndError) Error() string {
	o := e.Operation
	text := fmt.Sprintf("engine: start of %s ended %s", o.Ref, o.Phase)
	if o.Phase == fsm.PhaseFailed {
		text += " (" + string(o.EndReason) + ")"
	}
	if o.LastError != "" {
		text += ": " + o.LastError
	}
	return text
}

// Wait waits until an operation has ended, and returns it. The error is nil only for
// SUCCEEDED. Any other end is an *EndError. If ctx ends first, Wait returns ctx.Err(),
// and the operation goes on. Other errors are [ErrNotFound], [ErrClosed] and the store's.
// Wait carries nothing out: without a Run it waits until ctx ends.
//
// Wait returns at once for an operation that ended before, however long ago. SUCCEEDED
// then says that the session was READY at Operation.FinishedAt, not that it is READY
// now. Receipt.Old distinguishes such an end from a new one.
//
// With the id of a [LaterRequest], Wait waits for the operation that the request
// becomes. If the request is served, withdrawn or void instead, Wait waits for the end
// of the operation that the request joined.
func (e *Engine) Wait(ctx context.Context, id ID) (Operation, error) {
	if err := e.open(); err != nil {
		return Operation{}, err
	}
	sub, err := e.follower.subscribe(ctx, id)
	if err != nil {
		return Operation{}, e.storeError(err)
	}
	defer sub.cancel()
	for {
		op, err := e.Get(ctx, id)
		switch {
		case err != nil:
			return op, err
		case sub.add(op.ID): // of a later request: the operation may have changed before it was added
			continue
		case op.Phase == fsm.PhaseSucceeded:
			return op, nil
		case op.Phase.Ended():
			return op, &EndError{Operation: op}
		}
		if err := e.await(ctx, sub, nil); err != nil {
			return op, err
		}
	}
}

// await waits until a subscription has news, or for tick.
func (e *Engine) await(ctx context.Context, sub *subscription, tick <-chan time.Time) error {
	select {
	case <-sub.news:
		return e.storeError(sub.failure())
	case <-tick:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.life.Done():
		return ErrClosed
	}
}

// watchEvery is how often Watch explains the operation again without an event: the
// reason for waiting can change without one.
const watchEvery = time.Second

// Watch yields an operation's Explanation, and again after each change of its
// phase, its reason or its text, until it has ended or ctx ends. It yields an error last.
func (e *Engine) Watch(ctx context.Context, id ID) iter.Seq2[Explanation, error] {
	return func(yield func(Explanation, error) bool) {
		if err := e.open(); err != nil {
			yield(Explanation{}, err)
			return
		}
		sub, err := e.follower.subscribe(ctx, id)
		if err != nil {
			yield(Explanation{}, e.storeError(err))
			return
		}
		defer sub.cancel()
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		var last Explanation
		for first := true; ; first = false {
			x, err := e.Explain(ctx, id)
			if err == nil && sub.add(x.Operation.ID) {
				x, err = e.Explain(ctx, id)
			}
			if err == nil && (first || x.differs(last)) {
				last = x
				if !yield(x, nil) || x.Operation.Phase.Ended() {
					return
				}
			}
			if err == nil {
				err = e.await(ctx, sub, tick.C)
			}
			if err != nil {
				if ctx.Err() == nil {
					yield(Explanation{}, err)
				}
				return
			}
		}
	}
}
