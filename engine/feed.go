package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
)

// eventPage is how many events are read at a time.
const eventPage = 256

// Get returns an operation, or store.ErrNotFound. For the id of a later request it
// returns the operation that the request joined. A later request can become an operation
// of its own: see store.LaterRequest.
func (e *Engine) Get(ctx context.Context, id ID) (Operation, error) {
	if err := e.open(); err != nil {
		return Operation{}, err
	}
	op, err := e.store.Operation(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("engine: operation %s: %w", decide.Bounded(string(id), 80), err)
	}
	return op, e.storeError(err)
}

// Find returns the active operation of a session, or else its latest operation.
// store.ErrNotFound says that the session has none.
func (e *Engine) Find(ctx context.Context, ref Ref) (Operation, error) {
	if err := e.open(); err != nil {
		return Operation{}, err
	}
	op, err := e.store.BySession(ctx, ref.Trim())
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("engine: session %s: %w", decide.Bounded(ref.String(), 300), err)
	}
	return op, e.storeError(err)
}

// List yields the operations that match f, the oldest first. An operation that changes
// during the listing may be yielded as it was or as it is. It may be left out if it has
// ceased to fit. For pages, set f.Limit, and f.After to the id of the last operation of
// the page before. It stops after an error; ErrNotFound says that f.After is no id.
func (e *Engine) List(ctx context.Context, f Filter) iter.Seq2[Operation, error] {
	return func(yield func(Operation, error) bool) {
		if err := e.open(); err != nil {
			yield(Operation{}, err)
			return
		}
		for op, err := range e.store.List(ctx, f) {
			if !yield(op, e.storeError(err)) || err != nil {
				return
			}
		}
	}
}

// Head returns the cursor of the newest event, or of the place before the first event
// if there is none. Following it begins with what is committed from now on. A host
// that follows an older cursor has caught up when it meets an event with the cursor
// that Head returned before. The error is the store's.
func (e *Engine) Head(ctx context.Context) (Cursor, error) {
	if err := e.open(); err != nil {
		return "", err
	}
	at, err := e.store.Head(ctx)
	return at, e.storeError(err)
}

// Events yields the events after a cursor up to the head, and stops. "" begins with the
// oldest event of the feed. A *store.CursorError says that the feed cannot go on from the
// cursor without skipping events. If ctx ends first, Events yields ctx's error: there may
// be more events.
func (e *Engine) Events(ctx context.Context, after Cursor) iter.Seq2[Event, error] {
	return e.read(ctx, after, func(store.Cursor) (bool, error) { return false, nil })
}

// Follow yields the events after a cursor, and then each event as it is committed. When
// ctx ends, Follow stops without an error. To notice when Follow has caught up, read
// Events first and follow from its last cursor, or see Head. Store Event.Cursor with the
// result of your work on the event, and go on from there after a restart.
func (e *Engine) Follow(ctx context.Context, after Cursor) iter.Seq2[Event, error] {
	all := e.read(ctx, after, func(head store.Cursor) (bool, error) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		defer context.AfterFunc(e.life, stop)()
		err := e.store.Await(ctx, head)
		if e.open() != nil {
			return false, ErrClosed
		}
		return err == nil, err
	})
	return func(yield func(Event, error) bool) {
		for ev, err := range all {
			if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) || !yield(ev, err) {
				return
			}
		}
	}
}

// read yields the feed page by page. At its head, more waits and reports whether to go
// on.
func (e *Engine) read(ctx context.Context, after Cursor, more func(Cursor) (bool, error)) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		at := after
		for {
			if err := e.open(); err != nil {
				yield(Event{}, err)
				return
			}
			page, err := e.store.Events(ctx, at, eventPage)
			for _, ev := range page {
				if !yield(ev, nil) {
					return
				}
				at = ev.Cursor
			}
			goOn := err == nil && len(page) > 0
			if err == nil && len(page) < eventPage {
				goOn, err = more(at)
			}
			if err != nil {
				yield(Event{}, e.storeError(err))
			}
			if !goOn {
				return
			}
		}
	}
}

// storeError returns ErrClosed for the store's ErrClosed if the engine is closed, and
// any other error as it is.
func (e *Engine) storeError(err error) error {
	if err != nil && errors.Is(err, store.ErrClosed) && e.open() != nil {
		return ErrClosed
	}
	return err
}
