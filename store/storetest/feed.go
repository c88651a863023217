package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

func feedTests() []test {
	return []test{
		{"dense, and the same from every cursor", feedDense},
		{"empty", feedEmpty},
		{"the head", feedHead},
		{"await", await},
		{"await an event that is there", awaitPast},
		{"continues after a reopening", feedReopened},
		{"no cursor", noCursor},
		{"another feed's cursor", forkedCursor},
		{"a pruned cursor", prunedCursor},
	}
}

func (e *env) fill(n int) {
	e.Helper()
	ops := make([]store.Operation, n)
	for i := range ops {
		ops[i] = e.op("feed", fmt.Sprint(len(e.feed()), "-", i))
	}
	e.enqueue(ops...)
}

func feedDense(e *env) {
	e.fill(25)
	all := e.feed()
	if len(all) != 25 {
		e.Fatalf("%d events, want 25", len(all))
	}
	cursors := map[store.Cursor]bool{"": true}
	for i, ev := range all {
		if ev.Seq != uint64(i+1) || cursors[ev.Cursor] {
			e.Fatalf("event %d has sequence %d and cursor %q", i+1, ev.Seq, ev.Cursor)
		}
		cursors[ev.Cursor] = true
		rest, err := e.Events(e.ctx, ev.Cursor, 1)
		if err != nil || len(rest) != min(1, len(all)-i-1) || len(rest) == 1 && rest[0] != all[i+1] {
			e.Errorf("after %d: %+v, %v, want the next", ev.Seq, rest, err)
		}
	}
	if got, err := e.Events(e.ctx, "", 3); err != nil || len(got) == 0 || len(got) > 3 {
		e.Errorf("at most 3: %d, %v", len(got), err)
	}
}

func feedEmpty(e *env) {
	if got, err := e.Events(e.ctx, "", 9); err != nil || len(got) != 0 {
		e.Errorf("%v, %v", got, err)
	}
	head, err := e.Head(e.ctx)
	if err != nil {
		e.Fatal(err)
	}
	e.fill(1)
	for _, after := range []store.Cursor{"", head} {
		if got, err := e.Events(e.ctx, after, 9); err != nil || len(got) != 1 {
			e.Errorf("after the head of the empty feed, %q: %v, %v", after, got, err)
		}
	}
}

func feedHead(e *env) {
	e.fill(3)
	all := e.feed()
	head, err := e.Head(e.ctx)
	if err != nil || head != all[2].Cursor {
		e.Errorf("head %q, %v, want %q", head, err, all[2].Cursor)
	}
	if got, err := e.Events(e.ctx, head, 9); err != nil || len(got) != 0 {
		e.Errorf("after the head: %v, %v", got, err)
	}
}

func await(e *env) {
	for _, after := range []func() store.Cursor{
		func() store.Cursor { return "" },
		func() store.Cursor { c, _ := e.Head(e.ctx); return c },
	} {
		c := after()
		if err := e.Await(e.brief(), c); !errors.Is(err, context.DeadlineExceeded) {
			e.Errorf("Await(%q) = %v, want it to wait", c, err)
		}
		done := make(chan error, 1)
		go func() { done <- e.Await(e.ctx, c) }()
		e.fill(1)
		if err := <-done; err != nil {
			e.Errorf("Await(%q): %v", c, err)
		}
		if got, err := e.Events(e.ctx, c, 9); err != nil || len(got) != 1 {
			e.Errorf("after Await(%q): %v, %v", c, got, err)
		}
	}
}

func awaitPast(e *env) {
	e.fill(2)
	for _, c := range []store.Cursor{"", e.feed()[0].Cursor} {
		if err := e.Await(e.ctx, c); err != nil {
			e.Errorf("Await(%q): %v", c, err)
		}
	}
	head, err := e.Head(e.ctx)
	if err != nil {
		e.Fatal(err)
	}
	o := e.read(e.feed()[0].Operation)
	o.LastError = "no event"
	e.apply(o, nil, false)
	if err := e.Await(e.brief(), head); !errors.Is(err, context.DeadlineExceeded) {
		e.Errorf("Await(head) = %v, want it to wait", err)
	}
}

func feedReopened(e *env) {
	e.fill(3)
	before := e.feed()
	e.reopen()
	e.fill(2)
	after := e.feed()
	if len(after) != 5 {
		e.Fatalf("%d events, want 5", len(after))
	}
	for i := range before {
		if after[i] != before[i] {
			e.Errorf("event %d was %+v and is %+v", i+1, before[i], after[i])
		}
	}
	if got, err := e.Events(e.ctx, before[2].Cursor, 9); err != nil || len(got) != 2 || got[0] != after[3] {
		e.Errorf("after an old cursor: %+v, %v", got, err)
	}
}

func (e *env) cursorError(c store.Cursor) *store.CursorError {
	e.Helper()
	_, err := e.Events(e.ctx, c, 9)
	var ce *store.CursorError
	if !errors.As(err, &ce) {
		e.Fatalf("Events(%q): %v, want a *CursorError", c, err)
	}
	if awaited := e.Await(e.brief(), c); !errors.As(awaited, &ce) {
		e.Errorf("Await(%q): %v, want a *CursorError", c, awaited)
	}
	if ce.After != c {
		e.Errorf("the error is of %q, want %q", ce.After, c)
	}
	return ce
}

func noCursor(e *env) {
	e.fill(2)
	head, err := e.Head(e.ctx)
	if err != nil {
		e.Fatal(err)
	}
	last := "A"
	if strings.HasSuffix(string(head), "A") {
		last = "B"
	}
	for _, c := range []store.Cursor{"1", "nonsense", " ", head + "A", head[1:], head[:len(head)-1] + store.Cursor(last)} {
		if ce := e.cursorError(c); ce.Pruned || ce.Forked {
			e.Errorf("%q: %v", c, ce)
		}
	}
}

func forkedCursor(e *env) {
	other := newEnv(e.T, e.open)
	e.fill(2)
	other.fill(2)
	for _, ev := range other.feed() {
		if ce := e.cursorError(ev.Cursor); !ce.Forked || ce.Pruned {
			e.Errorf("another feed's cursor of event %d: %+v", ev.Seq, ce)
		}
	}
}

func prunedCursor(e *env) {
	e.fill(10)
	all := e.feed()
	n, err := e.Prune(e.ctx, store.Retention{Events: 4})
	if err != nil || n != 6 {
		e.Fatalf("pruned %d, %v, want 6", n, err)
	}
	if ce := e.cursorError(all[4].Cursor); !ce.Pruned || ce.Forked || ce.First != 7 || ce.Head != 10 {
		e.Errorf("a pruned cursor: %+v", ce)
	}
	for _, c := range []store.Cursor{"", all[5].Cursor} {
		got, err := e.Events(e.ctx, c, 99)
		if err != nil || len(got) != 4 || got[0] != all[6] {
			e.Errorf("after %q: %+v, %v, want events 7 to 10", c, got, err)
		}
	}
	e.end(e.read(all[9].Operation), fsm.PhaseCanceled)
	if got, err := e.Events(e.ctx, all[9].Cursor, 9); err != nil || len(got) != 1 || got[0].Seq != 11 {
		e.Errorf("after pruning: %+v, %v", got, err)
	}
}
