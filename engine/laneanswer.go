package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/transport"
)

// answeredAll returns an answer for each result of one call. The call counts for its
// lane once, by the answer that says most about the lane.
func (r *run) answeredAll(l *lane, whole decide.Answer, calls []decide.Call, results []transport.Result, err error) []decide.Answer {
	n := len(calls)
	if err == nil && len(results) != n {
		err = &transport.Error{Kind: transport.KindUnknown, Message: fmt.Sprintf("a batch of %d got %d results", n, len(results))}
	}
	if err != nil {
		results = slices.Repeat([]transport.Result{{Err: err}}, n)
	}
	failed := err != nil && n > 1
	answers := make([]decide.Answer, n)
	counted := 0
	whole.At = r.e.now() // one time for all, so that what was read together stays together
	for i := range answers {
		answers[i] = whole
		answers[i].Call = calls[i]
		answers[i].Read(results[i].Session, results[i].Err)
		answers[i].OnlySession = answers[i].OnlySession && !failed // one error of a whole batch is not about one session
		if answers[i].Weight() > answers[counted].Weight() {
			counted = i
		}
	}
	for i := range answers {
		answers[i].Member = i != counted && err == nil && !answers[i].Alike(&answers[counted])
	}
	r.answered(l, &answers[counted])
	return answers
}

// answered updates lane, clock and pace by an answer, and stores what changed.
func (r *run) answered(l *lane, a *decide.Answer) {
	mono := time.Now()
	r.mu.Lock()
	r.noticeJump()
	was := l.block
	until := l.answered(*a, a.At, mono)
	if l.clock.Measure(*a) {
		r.watch.confirm(l.clock)
		r.confirmed = r.confirmed || r.watch.untrustedSince.IsZero()
	}
	now, keep := l.block, l.blockUnsaved(mono)
	paced := l.notePace(a, a.At)
	pace, throttledAt := l.stored.Pace, l.stored.ThrottledAt
	var why WaitReason
	if now != nil {
		why = now.reason // of this answer: another may come in before it is logged
	}
	if until.After(l.floor(a.At)) {
		l.stored.RetryAfter, l.stored.RetryAfterHeard = until, a.At
	} else {
		until = time.Time{}
	}
	r.mu.Unlock()
	switch {
	case was == nil && now != nil:
		r.e.log.Warn("lane blocked", "lane", l.name, "why", why, "error", a.Text())
	case was != nil && now == nil:
		r.e.log.Info("lane unblocked", "lane", l.name, "blocked_for", a.At.Sub(was.since))
	}
	if keep {
		r.saveBlock(l)
	}
	if paced {
		if err := r.e.store.SetPace(context.Background(), l.name, pace, throttledAt); err != nil {
			r.trouble(err)
		}
	}
	if !until.IsZero() {
		if err := r.e.store.SetRetryAfter(context.Background(), l.name, until, a.At); err != nil {
			r.trouble(err)
		}
	}
}
