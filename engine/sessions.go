package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/internal/paging"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Known is a session as it is known.
type SessionStatus struct {
	Session transport.Session
	SeenAt  time.Time // when it was seen so, as far as that is recorded; zero: it was never seen
	Live    bool      // the provider says so now; else it is what operations saw last
	// Err says why the provider gave no answer; nil if Live. Only Engine.Session sets
	// it.
	Err error
	// Active is the session's active operation; nil if there is none. Only
	// Engine.Session sets it.
	Active *Operation
}

// Sessions yields a studio's sessions as the provider lists them, or, where it
// cannot list or cannot be reached, those that operations know, as they were
// last seen. Another error of the provider is yielded, and ends it. A list from a
// provider that was unreachable unblocks its lane.
func (e *Engine) Sessions(ctx context.Context, studioID string) iter.Seq2[SessionStatus, error] {
	return func(yield func(SessionStatus, error) bool) {
		err := e.open()
		if err == nil {
			err = transport.CheckID("studio id", studioID)
		}
		if err != nil {
			yield(SessionStatus{}, fmt.Errorf("engine: sessions: %w", err))
			return
		}
		l, ok := e.transport.(transport.Lister)
		if ok {
			ok, err = e.listLive(ctx, l, studioID, yield)
			if err != nil {
				yield(SessionStatus{}, fmt.Errorf("engine: sessions of studio %s: %w", studioID, err))
				return
			}
		}
		if !ok {
			e.listKnown(ctx, studioID, yield)
		}
	}
}

// listLive yields the sessions that the provider lists, page by page. It reports
// false if the provider gave nothing, so that the stored sessions are shown.
func (e *Engine) listLive(ctx context.Context, l transport.Lister, studioID string, yield func(SessionStatus, error) bool) (bool, error) {
	in := transport.ListInput{StudioID: studioID}
	r := paging.New("List of studio "+studioID, paging.ListCalls)
	for first, more := true, true; more; first = false {
		var page transport.ListOutput
		var err error
		began := e.now()
		more, err = r.Page(ctx, func(ctx context.Context) (string, int64, error) {
			callCtx, done := context.WithTimeout(ctx, e.cfg.Timeout)
			defer done()
			var err error
			page, err = l.List(callCtx, in)
			in.NextToken = page.NextToken
			return page.NextToken, 0, err // each page has its driver's own limit
		})
		if err != nil && !errors.Is(err, paging.ErrEndless) {
			if errors.Is(err, errors.ErrUnsupported) || first && unanswered(err) && ctx.Err() == nil {
				return false, nil
			}
			return true, err
		}
		now := e.now()
		e.reached(studioID, page.Sessions, began, now)
		for _, s := range page.Sessions {
			if !yield(SessionStatus{Session: s, SeenAt: now, Live: true}, nil) {
				return true, nil
			}
		}
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// reached tells the lanes of a studio's sessions that their provider answered a
// call of the host: sessions are what it showed, maybe none. Without a Run it does
// nothing.
func (e *Engine) reached(studioID string, sessions []transport.Session, began, at time.Time) {
	r := e.current()
	if r == nil {
		return
	}
	if len(sessions) == 0 {
		sessions = []transport.Session{{Ref: transport.Ref{StudioID: studioID}}}
	}
	told := map[string]bool{}
	for _, s := range sessions {
		name := transport.TraitsOf(e.transport, s.Ref).Lane
		if told[name] {
			continue
		}
		told[name] = true
		r.mu.Lock()
		l := r.lanes[name]
		r.mu.Unlock()
		if l == nil {
			continue
		}
		a := decide.Answer{Call: decide.CallConfirm, Began: began, At: at, BeganMono: time.Now().Add(began.Sub(at))}
		a.Read(s, nil)
		r.heard(l, &a)
		r.mu.Lock()
		if r.lanes[name] == l { // else it was idle, and is forgotten
			r.ready.put(l, at)
		}
		r.mu.Unlock()
	}
	r.poke()
}

// listKnown yields each session once, by its newest operation.
func (e *Engine) listKnown(ctx context.Context, studioID string, yield func(SessionStatus, error) bool) {
	seen := map[string]bool{}
	for op, err := range e.store.List(ctx, store.Filter{StudioID: studioID, Newest: true}) {
		if err != nil {
			yield(SessionStatus{}, e.storeError(err))
			return
		}
		if seen[op.Ref.SessionID] {
			continue
		}
		seen[op.Ref.SessionID] = true
		if !yield(knownOf(&op), nil) {
			return
		}
	}
}
