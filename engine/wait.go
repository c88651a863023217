package engine

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/rouse-dev/rouse/fsm"
)

// EndError says that an operation ended otherwise than READY.
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

// Wait waits for an operation's end and returns it: nil only for SUCCEEDED, an
// *EndError for any other end, ctx.Err() if ctx ends first (the operation goes
// on), store.ErrNotFound, ErrClosed. Wait runs nothing: without a Run it waits
// for ctx.
//
// Wait returns at once for an operation that has ended before, however long ago:
// SUCCEEDED says that the session was READY at Operation.FinishedAt, not that it
// is READY now. Receipt.Old tells such an end from a new one.
//
// With the id of a later wish (see store.LaterRequest), Wait waits for the operation that
// the wish becomes. If the wish is served, withdrawn or void instead, Wait waits
// for the end of the operation that the request joined.
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
		case sub.add(op.ID): // a later wish: it may have changed before it was added
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

// await waits for news of a subscription, or for tick.
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

// watchEvery is how often Watch looks whether what an operation waits for has
// changed without an event.
const watchEvery = time.Second

// Watch yields an operation's Explanation, and again after each change of its
// phase, its reason or its text, until it has ended or ctx ends. It stops after
// an error.
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
