package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/transport"
)

// hearAll makes answers of the results of one call. The lane counts the call once: by
// a member that was answered, else by the failure.
func (r *run) hearAll(l *lane, whole decide.Answer, calls []decide.Call, results []transport.Result, err error) []decide.Answer {
	n := len(calls)
	if err == nil && len(results) != n {
		err = &transport.Error{Kind: transport.KindUnknown, Message: fmt.Sprintf("a batch of %d got %d results", n, len(results))}
	}
	if err != nil {
		results = slices.Repeat([]transport.Result{{Err: err}}, n)
	}
	failed := err != nil && n > 1
	answers := make([]decide.Answer, n)
	voice := 0
	whole.At = r.e.now() // one time for all, so that what was read together stays together
	for i := range answers {
		answers[i] = whole
		answers[i].Call = calls[i]
		answers[i].Read(results[i].Session, results[i].Err)
		answers[i].OnlySession = answers[i].OnlySession && !failed // one error of a whole batch is not about one session
		if answers[i].Weight() > answers[voice].Weight() {
			voice = i
		}
	}
	for i := range answers {
		answers[i].Member = i != voice && err == nil && !answers[i].Alike(&answers[voice])
	}
	r.heard(l, &answers[voice])
	return answers
}

// heard updates lane, clock and pace by an answer, and stores what changed.
func (r *run) heard(l *lane, a *decide.Answer) {
	mono := time.Now()
	r.mu.Lock()
	r.noticeJump()
	was := l.block
	until := l.answered(*a, a.At, mono)
	if l.clock.Measure(*a) {
		r.watch.confirm(l.clock)
		r.confirmed = r.confirmed || r.watch.doubtSince.IsZero()
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
