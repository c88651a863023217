package storetest

import (
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

func pruneTests() []test {
	return []test{
		{"ended operations and the rows that point to them", pruneEnded},
		{"a session's newer operation stays", pruneOlderOnly},
		{"nothing else", pruneNothing},
		{"the feed to a number of events", pruneFeed},
		{"more than one commit can hold", pruneMany},
		{"operations with an impossible end stay", pruneImpossible},
	}
}

func (e *env) prune(k store.Retention) int {
	e.Helper()
	n, err := e.Prune(e.ctx, k)
	if err != nil {
		e.Fatalf("Prune: %v", err)
	}
	return n
}

func pruneEnded(e *env) {
	ops := e.enqueue(e.op("s", "old", token("t")), e.op("s", "kept", token("u")), e.op("s", "active", token("v")), e.op("s", "own"))
	e.end(ops[0], fsm.PhaseFailed)
	e.end(ops[3], fsm.PhaseFailed)
	e.now = e.at(time.Hour)
	e.end(ops[1], fsm.PhaseFailed)
	if n := e.prune(store.Retention{EndedSince: e.now}); n != 2 {
		e.Errorf("%d pruned, want 2", n)
	}
	for range 2 {
		for i, gone := range []bool{true, false, false, true} {
			byID, err := e.Operation(e.ctx, ops[i].ID)
			bySession, serr := e.BySession(e.ctx, ops[i].Ref)
			byToken, terr := e.ByToken(e.ctx, ops[i].ClientToken)
			if gone {
				e.wantNone("id", byID, err)
				e.wantNone("session", bySession, serr)
				e.wantNone("token", byToken, terr)
			} else if err != nil || serr != nil || terr != nil || byID.ID != bySession.ID || byID.ID != byToken.ID {
				e.Errorf("%s: %v, %v, %v", ops[i].Ref, err, serr, terr)
			}
		}
		e.reopen()
	}
	stats, err := e.Stats(e.ctx)
	if err != nil || stats.Operations[fsm.PhaseFailed] != 1 || stats.Operations[fsm.PhaseQueued] != 1 {
		e.Errorf("stats %+v, %v", stats, err)
	}
	if got := e.offer(e.op("s", "elsewhere", token("t")))[0]; !got.Created {
		e.Errorf("a pruned operation's token is taken: %+v", got)
	}
	if n := len(e.feed()); n != 8 {
		e.Errorf("%d events, want 8: the feed must not be pruned", n)
	}
}

func pruneOlderOnly(e *env) {
	e.end(e.enqueue(e.op("s", "a"))[0], fsm.PhaseFailed)
	e.now = e.at(time.Hour)
	newer := e.end(e.enqueue(e.op("s", "a"))[0], fsm.PhaseSucceeded)
	if n := e.prune(store.Retention{EndedSince: e.now}); n != 1 {
		e.Errorf("%d pruned, want 1", n)
	}
	o, err := e.BySession(e.ctx, newer.Ref)
	e.want("by session", o, err, newer)
}

func pruneNothing(e *env) {
	e.end(e.enqueue(e.op("s", "a"))[0], fsm.PhaseFailed)
	if n := e.prune(store.Retention{}); n != 0 {
		e.Errorf("%d pruned by an empty Retention", n)
	}
	if n := e.prune(store.Retention{EndedSince: e.now, Events: 2}); n != 0 {
		e.Errorf("%d pruned, want 0", n)
	}
}

func pruneFeed(e *env) {
	e.fill(5)
	if n := e.prune(store.Retention{Events: 2}); n != 3 {
		e.Errorf("%d pruned, want 3", n)
	}
	for range 2 {
		events := e.feed()
		if len(events) != 2 || events[0].Seq != 4 {
			e.Errorf("events %+v, want 4 and 5", events)
		}
		stats, err := e.Stats(e.ctx)
		if err != nil || stats.First != 4 || stats.Head != 5 || stats.Operations[fsm.PhaseQueued] != 5 {
			e.Errorf("stats %+v, %v", stats, err)
		}
		e.reopen()
	}
	e.fill(1)
	if events := e.feed(); len(events) != 3 || events[2].Seq != 6 {
		e.Errorf("events %+v, want 4 to 6", events)
	}
}

func pruneMany(e *env) {
	const n = 2500
	ops := make([]store.Operation, n)
	for i := range ops {
		ops[i] = e.op("s", fmt.Sprint(i), token(fmt.Sprint("token ", i)))
	}
	ops = e.enqueue(ops...)
	changes := make([]store.Change, n)
	for i, o := range ops {
		o.Phase, o.FinishedAt = fsm.PhaseSucceeded, e.now
		changes[i] = store.Change{Operation: o}
	}
	if _, err := e.Apply(e.ctx, changes); err != nil {
		e.Fatal(err)
	}
	if got := e.prune(store.Retention{EndedSince: e.at(1), Events: 100}); got != 2*n-100 {
		e.Errorf("%d pruned, want %d", got, 2*n-100)
	}
	if left := e.list(store.Filter{}); len(left) != 0 {
		e.Errorf("%d operations left", len(left))
	}
	if left := e.feed(); len(left) != 100 || left[0].Seq != n-99 {
		e.Errorf("%d events left", len(left))
	}
}

func pruneImpossible(e *env) {
	ops := e.enqueue(e.op("s", "1970", token("t")), e.op("s", "old", token("u")))
	e.end(ops[1], fsm.PhaseFailed)
	now := e.now
	e.now = time.Unix(60, 0).UTC()
	e.end(ops[0], fsm.PhaseFailed)
	e.now = now.Add(time.Hour)
	if n := e.prune(store.Retention{EndedSince: e.now, Impossible: now.Add(-time.Hour)}); n != 1 {
		e.Errorf("%d pruned, want 1", n)
	}
	if o, err := e.ByToken(e.ctx, "t"); err != nil || o.ID != ops[0].ID {
		e.Errorf("by its token: %+v, %v", o, err)
	}
	if n := e.prune(store.Retention{EndedSince: e.now}); n != 1 {
		e.Errorf("%d pruned, want 1", n)
	}
}
