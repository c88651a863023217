package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/internal/paging"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// SessionStatus is what is known of a session.
type SessionStatus struct {
	Session transport.Session
	SeenAt  time.Time // when the session was read, as far as that is stored; zero: it was never read
	Live    bool      // the provider says so now; false: Session is what operations saw last
	// Err says why the provider gave no answer; nil if Live. Only [Engine.Session]
	// sets it.
	Err error
	// Active is the session's active operation; nil if there is none. Only
	// [Engine.Session] sets it.
	Active *Operation
}

// SessionPage is a part of a studio's sessions.
type SessionPage struct {
	Sessions []SessionStatus
	Next     string // the token of the next page; "" after the last one
}

// Sessions yields a studio's sessions as the provider lists them. If the provider
// cannot list or cannot be reached, it yields the sessions that operations know, as
// they were last seen. It yields any other error of the provider, and stops. A list
// from a provider that was unreachable unblocks its lane.
func (e *Engine) Sessions(ctx context.Context, studioID string) iter.Seq2[SessionStatus, error] {
	return func(yield func(SessionStatus, error) bool) {
		live, err := e.lister(studioID)
		if err == nil && live != nil {
			var listed bool
			listed, err = e.listLive(ctx, live, studioID, yield)
			if err == nil && listed {
				return
			}
		}
		if err != nil {
			yield(SessionStatus{}, sessionsError(studioID, err))
			return
		}
		for page := (SessionPage{Next: storedToken}); page.Next != ""; {
			page, err = e.storedPage(ctx, studioID, page.Next)
			if err != nil {
				yield(SessionStatus{}, err)
				return
			}
			for _, s := range page.Sessions {
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}

// SessionsPage returns one page of what [Engine.Sessions] yields. The token is
// SessionPage.Next of the page before, or "" for the first page. All pages are from the
// provider, or all are from the store. A page from the store has up to 500 sessions. A
// session whose operations change between two pages may be in neither or in both.
func (e *Engine) SessionsPage(ctx context.Context, studioID, token string) (SessionPage, error) {
	live, err := e.lister(studioID)
	if err != nil {
		return SessionPage{}, sessionsError(studioID, err)
	}
	text, isLive := strings.CutPrefix(token, liveToken)
	switch {
	case strings.HasPrefix(token, storedToken), token == "" && live == nil:
		return e.storedPage(ctx, studioID, cmp.Or(token, storedToken))
	case token != "" && !isLive || live == nil:
		return SessionPage{}, sessionsError(studioID, invalid("%.80q is not the token of a page of sessions", token))
	}
	in := transport.ListInput{StudioID: studioID, NextToken: text}
	out, at, err := e.livePage(ctx, live, in)
	switch {
	case err != nil && token == "" && unlisted(ctx, err):
		return e.storedPage(ctx, studioID, storedToken)
	case err != nil:
		return SessionPage{}, sessionsError(studioID, err)
	}
	var page SessionPage
	for _, s := range out.Sessions {
		page.Sessions = append(page.Sessions, SessionStatus{Session: s, SeenAt: at, Live: true})
	}
	if out.NextToken != "" {
		page.Next = liveToken + out.NextToken
	}
	return page, nil
}

// The beginnings of the tokens of pages.
const (
	liveToken   = "live:"   // the provider's token follows
	storedToken = "stored:" // the id of an operation follows
)

// storedSessions is the most sessions of a page from the store.
const storedSessions = 500

func sessionsError(studioID string, err error) error {
	if errors.Is(err, ErrClosed) {
		return fmt.Errorf("engine: sessions: %w", err)
	}
	return fmt.Errorf("engine: sessions of studio %.80s: %w", studioID, err)
}

// lister returns the transport as a Lister, or nil if it cannot list.
func (e *Engine) lister(studioID string) (transport.Lister, error) {
	if err := e.open(); err != nil {
		return nil, err
	}
	if err := transport.CheckID("studio id", studioID); err != nil {
		return nil, err
	}
	l, _ := e.transport.(transport.Lister)
	return l, nil
}

// unlisted reports whether the stored sessions are shown after an error of the provider.
func unlisted(ctx context.Context, err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || unanswered(err) && ctx.Err() == nil
}

// livePage asks the provider for one page, and returns when it was read.
func (e *Engine) livePage(ctx context.Context, l transport.Lister, in transport.ListInput) (transport.ListOutput, time.Time, error) {
	callCtx, done := context.WithTimeout(ctx, e.cfg.Timeout)
	defer done()
	began := e.now()
	out, err := l.List(callCtx, in)
	now := e.now()
	if err == nil {
		e.reached(in.StudioID, out.Sessions, began, now)
	}
	return out, now, err
}

// listLive yields the sessions that the provider lists, page by page. It reports
// false if the provider gave no list, so that the stored sessions are shown.
func (e *Engine) listLive(ctx context.Context, l transport.Lister, studioID string, yield func(SessionStatus, error) bool) (bool, error) {
	in := transport.ListInput{StudioID: studioID}
	r := paging.New("List of studio "+studioID, paging.ListCalls)
	for first, more := true, true; more; first = false {
		var page transport.ListOutput
		var at time.Time
		var err error
		more, err = r.Page(ctx, func(ctx context.Context) (string, int64, error) {
			var err error
			page, at, err = e.livePage(ctx, l, in)
			in.NextToken = page.NextToken
			return page.NextToken, 0, err // each page has its driver's own limit
		})
		if err != nil && !errors.Is(err, paging.ErrEndless) {
			if errors.Is(err, errors.ErrUnsupported) || first && unlisted(ctx, err) {
				return false, nil
			}
			return true, err
		}
		for _, s := range page.Sessions {
			if !yield(SessionStatus{Session: s, SeenAt: at, Live: true}, nil) {
				return true, nil
			}
		}
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// reached gives the lanes of a studio's sessions an answer that their provider gave to a
// call of the host. The argument sessions has what it showed, and may be empty. Without a
// Run it does nothing.
func (e *Engine) reached(studioID string, sessions []transport.Session, began, at time.Time) {
	r := e.current()
	if r == nil {
		return
	}
	if len(sessions) == 0 {
		sessions = []transport.Session{{Ref: transport.Ref{StudioID: studioID}}}
	}
	done := map[string]bool{}
	for _, s := range sessions {
		name := transport.TraitsOf(e.transport, s.Ref).Lane
		if done[name] {
			continue
		}
		done[name] = true
		r.mu.Lock()
		l := r.lanes[name]
		r.mu.Unlock()
		if l == nil {
			continue
		}
		a := decide.Answer{Call: decide.CallConfirm, Began: began, At: at, BeganMono: time.Now().Add(began.Sub(at))}
		a.Read(s, nil)
		r.answered(l, &a)
		r.mu.Lock()
		if r.lanes[name] == l { // otherwise it was idle, and was forgotten
			r.ready.put(l, at)
		}
		r.mu.Unlock()
	}
	r.poke()
}

// storedPage returns each session once, as its active or else latest operation saw
// it, beginning behind the operation that the token names.
func (e *Engine) storedPage(ctx context.Context, studioID, token string) (SessionPage, error) {
	var page SessionPage
	after := ID(strings.TrimPrefix(token, storedToken))
	for op, err := range e.store.List(ctx, store.Filter{StudioID: studioID, Newest: true, After: after}) {
		switch {
		case errors.Is(err, store.ErrNotFound):
			return SessionPage{}, sessionsError(studioID, invalid("%.80q is not the token of a page of sessions", token))
		case err != nil:
			return SessionPage{}, e.storeError(err)
		}
		if len(page.Sessions) == storedSessions {
			page.Next = storedToken + string(after)
			return page, nil
		}
		after = op.ID
		latest, err := e.store.BySession(ctx, op.Ref)
		switch {
		case errors.Is(err, store.ErrNotFound): // it was pruned meanwhile
		case err != nil:
			return SessionPage{}, e.storeError(err)
		case latest.ID == op.ID:
			page.Sessions = append(page.Sessions, knownOf(&op))
		}
	}
	return page, nil
}
