package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// historyTests draws histories by the hundred, each of about 30 steps, or of four times as
// many beyond the short scale. rapid keeps a failing history in testdata/rapid and runs it
// first in later runs. If rapid calls one "no longer valid", it passes.
func historyTests() []test {
	return []test{{"drawn at random, against a model", func(e *env) {
		for range scale.Times(e.T, 1, 10, 2000) {
			rapid.Check(e.T, func(t *rapid.T) { runHistory(e.T, t, e.open) })
		}
	}}}
}

// history is one drawn history: the store, the model, and what the calling host would know.
type history struct {
	*rapid.T
	e       *env
	m       *model
	held    []store.Operation       // as claimed
	cursors map[uint64]store.Cursor // of the events that were read
}

func runHistory(outer *testing.T, t *rapid.T, open Opener) {
	h := &history{T: t, m: newModel(), cursors: map[uint64]store.Cursor{}}
	h.e = &env{T: outer, open: open, dir: outer.TempDir(), ctx: outer.Context(), now: start()}
	h.e.begin()
	defer func() { _ = h.e.Close() }()
	steps := map[string]func(*rapid.T){
		"enqueue": h.enqueue, "apply": h.apply, "claim": h.claim, "release": h.release, "pull": h.pull,
		"time": h.time, "reopen": h.reopen, "prune": h.prune, "pause": h.pause, "retry after": h.retryAfter,
		"resume": h.resume, "": h.compare,
	}
	if _, ok := h.e.Store.(Copier); ok {
		steps["copy"] = h.copy
	}
	for range scale.Of(outer, 1, 4, 4) {
		t.Repeat(steps)
	}
}

// Copier is a store that can write a copy of itself into an empty folder, from which the
// Opener opens it. The random history copies such a store now and then.
type Copier interface {
	Copy(ctx context.Context, dir string) error
}

// draw returns a number below n.
func (h *history) draw(t *rapid.T, what string, n int) int {
	return rapid.IntRange(0, n-1).Draw(t, what)
}

func (h *history) ok(t *rapid.T, what string, err error) {
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func (h *history) offset(t *rapid.T, what string) time.Duration {
	return time.Duration(rapid.IntRange(-5, 20).Draw(t, what)) * time.Minute
}

func (h *history) enqueue(t *rapid.T) {
	ops := make([]store.Operation, 1+h.draw(t, "operations", 3))
	for i := range ops {
		o := h.e.op(fmt.Sprint("s", h.draw(t, "studio", 2)), fmt.Sprint(h.draw(t, "session", 3)))
		switch h.draw(t, "token", 4) {
		case 0:
			o.ClientToken = fmt.Sprint("t", h.draw(t, "which", 3))
		case 1:
			if n := len(h.m.ops); n > 0 {
				holder := &h.m.ops[h.draw(t, "whose", n)].op
				o.ClientToken = holder.ClientToken
				if holder.Later != nil && h.draw(t, "its later request's", 2) == 0 {
					o.ClientToken = string(holder.Later.ID)
				}
			}
		}
		o.NotBefore = h.e.at(max(0, h.offset(t, "not-before")))
		o.DueAt = o.NotBefore
		o.ExpiresAt = h.e.at(2 * h.offset(t, "expiry"))
		ops[i] = o
	}
	got, err := h.e.Enqueue(h.e.ctx, ops)
	h.ok(t, "Enqueue", err)
	for i, o := range ops {
		want := h.m.enqueue(o)
		if got[i].ID != want.ID || got[i].Created != want.Created || got[i].Old != want.Old || !same(got[i].Operation, want.Operation) || fmt.Sprint(got[i].Err) != fmt.Sprint(want.Err) {
			t.Fatalf("enqueued %+v, want %+v", got[i], want)
		}
	}
}

// ends are the phases in which an operation ends.
var ends = [...]fsm.Phase{fsm.PhaseSucceeded, fsm.PhaseFailed, fsm.PhaseCanceled, fsm.PhaseExpired}

// change draws a change of an operation.
func (h *history) change(t *rapid.T, o store.Operation) store.Change {
	from := o.Phase
	switch h.draw(t, "change", 7) {
	case 0: // a send
		o.Sent, o.DueAt = store.SentUnknown, h.e.now
	case 1: // a poll
		o.DueAt = h.e.at(h.offset(t, "due"))
	case 2: // accepted
		if o.Active() {
			o.Phase, o.Sent, o.BootDeadline = fsm.PhaseStarting, store.SentAccepted, h.e.at(time.Hour)
		}
	case 3, 4: // an end
		if o.Active() {
			o.Phase, o.FinishedAt = ends[h.draw(t, "end", len(ends))], h.e.now
		}
	case 5: // a failure
		o.LastError = fmt.Sprint("error ", h.draw(t, "error", 9))
	case 6: // a request to cancel
		o.CancelAt, o.CancelBy, o.DueAt = h.e.now, "mo", h.e.now
	}
	c := store.Change{Release: h.draw(t, "release", 2) == 0}
	if w := o.Later; w.Pending() && h.draw(t, "later request", 2) == 0 { // it is over, or becomes an operation
		o.Later = w.Done()
		if o.Phase != from && o.Phase.Ended() {
			c.Next = w.Operation(&o, o.Lane, h.e.now)
		}
	}
	c.Operation = o
	if o.Phase != from || h.draw(t, "fact", 4) == 0 {
		c.Events = []store.Event{{Operation: o.ID, Ref: o.Ref, From: from, To: o.Phase, At: h.e.now}}
	}
	if h.draw(t, "second", 4) == 0 {
		c.Events = append(c.Events, store.Event{Operation: o.ID, Ref: o.Ref, From: o.Phase, To: o.Phase, Reason: store.ReasonLateReady, At: h.e.now})
	}
	return c
}

func (h *history) apply(t *rapid.T) {
	if len(h.m.ops) == 0 {
		return
	}
	changes := make([]store.Change, 1+h.draw(t, "changes", 3))
	for i := range changes {
		r := h.m.ops[h.draw(t, "operation", len(h.m.ops))]
		changes[i] = h.change(t, r.op)
		// Only the claimer may end a claim by a change.
		changes[i].Release = changes[i].Release && r.held
		if h.draw(t, "stale", 8) == 0 {
			changes[i].Operation.Version--
		}
	}
	errs, err := h.e.Apply(h.e.ctx, changes)
	h.ok(t, "Apply", err)
	for i, c := range changes {
		if want := h.m.apply(c); !errors.Is(errs[i], want) || (errs[i] == nil) != (want == nil) {
			t.Fatalf("change %d: %v, want %v", i, errs[i], want)
		}
		if r := h.m.get(c.Operation.ID); r == nil || !r.held {
			h.forget(c.Operation.ID)
		}
	}
}

// forget drops the claims that a change has ended. The claimer must not release them,
// because another worker may have them by then.
func (h *history) forget(id store.ID) {
	h.held = slices.DeleteFunc(h.held, func(o store.Operation) bool { return o.ID == id })
}

func (h *history) claim(t *rapid.T) {
	q := store.ClaimRequest{Now: h.e.now, Overdue: h.draw(t, "overdue", 3)}
	for i := range 2 {
		if h.draw(t, "lane", 3) > 0 {
			q.Lanes = append(q.Lanes, store.LaneSlots{Lane: fmt.Sprint("s", i), Sends: h.draw(t, "sends", 3), Reads: h.draw(t, "reads", 3)})
		}
	}
	got, err := h.e.Claim(h.e.ctx, q)
	h.ok(t, "Claim", err)
	want := h.m.claim(q)
	h.sameOps(t, "overdue", got.Overdue, want.Overdue)
	h.sameOps(t, "claimed", got.Operations, want.Operations)
	if !got.Deadline.Equal(want.Deadline) {
		t.Fatalf("deadline %s, want %s", got.Deadline, want.Deadline)
	}
	for i := range want.Lanes {
		if !sameDue(got.Lanes[i], want.Lanes[i]) {
			t.Fatalf("remaining %v, want %v", got.Lanes[i], want.Lanes[i])
		}
	}
	h.held = append(append(h.held, got.Overdue...), got.Operations...)
}

func (h *history) sameOps(t *rapid.T, what string, got, want []store.Operation) {
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, sessions(got), sessions(want))
	}
	for i := range got {
		if !same(got[i], want[i]) {
			t.Fatalf("%s: %+v, want %+v", what, got[i], want[i])
		}
	}
}

func (h *history) release(t *rapid.T) {
	if len(h.held) == 0 {
		return
	}
	i := h.draw(t, "held", len(h.held))
	o := h.held[i]
	h.held = append(h.held[:i:i], h.held[i+1:]...)
	o.DueAt = h.e.at(h.offset(t, "due"))
	h.ok(t, "Release", h.e.Release(h.e.ctx, []store.Operation{o}))
	h.m.release(o)
}

func (h *history) pull(t *rapid.T) {
	h.ok(t, "BringForward", h.e.BringForward(h.e.ctx, h.e.now))
	h.m.pull(h.e.now)
}

func (h *history) time(t *rapid.T) {
	h.e.now = h.e.at(time.Duration(rapid.IntRange(0, 3600).Draw(t, "seconds")) * time.Second)
}

func (h *history) reopen(t *rapid.T) {
	h.ok(t, "Close", h.e.Close())
	h.e.begin()
	h.m.reopen()
	h.held = nil
}

func (h *history) prune(t *rapid.T) {
	k := store.Retention{EndedSince: h.e.at(h.offset(t, "since")), Events: h.draw(t, "events", 20)}
	got, err := h.e.Prune(h.e.ctx, k)
	h.ok(t, "Prune", err)
	if want := h.m.prune(k); got != want {
		t.Fatalf("%d pruned, want %d", got, want)
	}
}

func (h *history) pause(t *rapid.T) {
	l := store.Lane{Name: fmt.Sprint("s", h.draw(t, "lane", 2)), Paused: h.draw(t, "paused", 2) == 0, PausedBy: "mo", PausedAt: h.e.now}
	h.ok(t, "SetPaused", h.e.SetPaused(h.e.ctx, l.Name, l.Paused, l.PausedBy, l.PausedAt))
	was := h.m.lanes[l.Name]
	l.RetryAfter, l.RetryAfterHeard, l.Block = was.RetryAfter, was.RetryAfterHeard, was.Block
	h.m.lanes[l.Name] = l
}

func (h *history) retryAfter(t *rapid.T) {
	name := fmt.Sprint("s", h.draw(t, "lane", 2))
	l := h.m.lanes[name]
	l.Name, l.RetryAfter, l.RetryAfterHeard = name, h.e.at(h.offset(t, "until")), h.e.now
	h.ok(t, "SetRetryAfter", h.e.SetRetryAfter(h.e.ctx, name, l.RetryAfter, l.RetryAfterHeard))
	h.m.lanes[name] = l
}

// resume reads on from an event that was read at any earlier time.
func (h *history) resume(t *rapid.T) {
	head := h.m.pruned + len(h.m.events)
	if head == 0 {
		return
	}
	seq := 1 + h.draw(t, "event", head)
	after, ok := h.cursors[uint64(seq)] //nolint:gosec // small
	if !ok {
		return // it was pruned before the copy was taken
	}
	got, err := h.e.Events(h.e.ctx, after, 3)
	if seq < h.m.pruned {
		var gone *store.CursorError
		if !errors.As(err, &gone) || !gone.Pruned {
			t.Fatalf("after event %d of a feed that begins with %d: %v, %v", seq, h.m.pruned+1, got, err)
		}
		return
	}
	h.ok(t, "Events", err)
	want := h.m.events[seq-h.m.pruned:]
	want = want[:min(3, len(want))]
	if len(got) != len(want) {
		t.Fatalf("after event %d: %d events, want %d", seq, len(got), len(want))
	}
	for i, ev := range got {
		if ev.Cursor = ""; ev != want[i] {
			t.Fatalf("after event %d: %+v, want %+v", seq, ev, want[i])
		}
	}
}

// copy makes the store write a copy of itself, and continues with one of the two.
func (h *history) copy(t *rapid.T) {
	dir := h.e.TempDir()
	h.ok(t, "Copy", h.e.Store.(Copier).Copy(h.e.ctx, dir))
	h.compare(t) // the original must be unchanged
	if h.draw(t, "go on with", 2) == 0 {
		return
	}
	h.ok(t, "Close", h.e.Close())
	h.e.dir = dir
	h.e.begin()
	h.m.copied()
	for _, c := range h.cursors {
		var forked *store.CursorError
		if _, err := h.e.Events(h.e.ctx, c, 1); !errors.As(err, &forked) || !forked.Forked {
			t.Fatalf("a cursor of the original in the copy: %v", err)
		}
	}
	h.held, h.cursors = nil, map[uint64]store.Cursor{}
}

// compare compares everything that the store returns. It runs after every step.
func (h *history) compare(t *rapid.T) {
	var all, want []store.Operation
	for o, err := range h.e.List(h.e.ctx, store.Filter{}) {
		h.ok(t, "List", err)
		all = append(all, o)
	}
	for _, r := range h.m.ops {
		want = append(want, r.op)
		o, err := h.e.ByToken(h.e.ctx, r.op.ClientToken)
		h.ok(t, "ByToken", err)
		h.sameOps(t, "by token", []store.Operation{o}, []store.Operation{r.op})
		if r.op.Later != nil {
			h.compareLater(t, r.op.Later.ID)
		}
	}
	h.sameOps(t, "all", all, want)
	h.compareSessions(t)
	events, err := h.e.Events(h.e.ctx, "", 100)
	h.ok(t, "Events", err)
	for len(events) > 0 && len(events) < len(h.m.events) {
		more, err := h.e.Events(h.e.ctx, events[len(events)-1].Cursor, 100)
		h.ok(t, "Events", err)
		events = append(events, more...)
	}
	if len(events) != len(h.m.events) {
		t.Fatalf("%d events, want %d", len(events), len(h.m.events))
	}
	for i, ev := range events {
		if was, ok := h.cursors[ev.Seq]; ok && was != ev.Cursor {
			t.Fatalf("the cursor of event %d was %q and is %q", ev.Seq, was, ev.Cursor)
		}
		h.cursors[ev.Seq] = ev.Cursor
		if ev.Cursor = ""; ev != h.m.events[i] {
			t.Fatalf("event %+v, want %+v", ev, h.m.events[i])
		}
	}
	stats, err := h.e.Stats(h.e.ctx)
	h.ok(t, "Stats", err)
	if !maps.Equal(stats.Operations, h.m.counts()) || stats.First != uint64(h.m.pruned+1) || stats.Head != uint64(h.m.pruned+len(h.m.events)) { //nolint:gosec // small
		t.Fatalf("stats %+v, want %v, %d pruned and %d events", stats, h.m.counts(), h.m.pruned, len(h.m.events))
	}
	lanes, err := h.e.Lanes(h.e.ctx)
	h.ok(t, "Lanes", err)
	if len(lanes) != len(h.m.lanes) {
		t.Fatalf("%d lanes, want %d", len(lanes), len(h.m.lanes))
	}
	for _, l := range lanes {
		if l != h.m.lanes[l.Name] {
			t.Fatalf("lane %+v, want %+v", l, h.m.lanes[l.Name])
		}
	}
}

// compareLater looks up the id of a later request. It finds the operation that the request
// has become, or else the operation that it joined.
func (h *history) compareLater(t *rapid.T, id store.ID) {
	want := h.m.byToken(string(id))
	o, err := h.e.ByToken(h.e.ctx, string(id))
	h.ok(t, "ByToken of a later request", err)
	h.sameOps(t, "a later request by token", []store.Operation{o}, []store.Operation{*want})
	o, err = h.e.Operation(h.e.ctx, id)
	h.ok(t, "Operation of a later request", err)
	h.sameOps(t, "a later request by id", []store.Operation{o}, []store.Operation{*want})
}

func (h *history) compareSessions(t *rapid.T) {
	for studio := range 2 {
		for session := range 3 {
			ref := transport.Ref{StudioID: fmt.Sprint("s", studio), SessionID: fmt.Sprint(session)}
			want := h.m.bySession(ref)
			got, err := h.e.BySession(h.e.ctx, ref)
			if want == nil {
				if !errors.Is(err, store.ErrNotFound) {
					t.Fatalf("session %s: %+v, %v, want ErrNotFound", ref, got, err)
				}
				continue
			}
			h.ok(t, "BySession", err)
			h.sameOps(t, "by session", []store.Operation{got}, []store.Operation{*want})
		}
	}
}
