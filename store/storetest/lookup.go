package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

func lookupTests() []test {
	return []test{
		{"by id", byID},
		{"by session", bySession},
		{"by token", byToken},
		{"many sessions", manySessions},
		{"stats", statsCount},
	}
}

func (e *env) want(what string, o store.Operation, err error, want store.Operation) {
	e.Helper()
	if err != nil || !same(o, want) {
		e.Errorf("%s: %+v, %v, want %+v", what, o, err, want)
	}
}

func (e *env) wantNone(what string, o store.Operation, err error) {
	e.Helper()
	if !errors.Is(err, store.ErrNotFound) || o.ID != "" {
		e.Errorf("%s: %+v, %v, want ErrNotFound", what, o, err)
	}
}

func byID(e *env) {
	want := e.enqueue(e.op("s", "1"), e.op("s", "2"))[1]
	o, err := e.Operation(e.ctx, want.ID)
	e.want("by id", o, err, want)
	for _, id := range []store.ID{"", "x", e.op("s", "3").ID, want.ID + "x", want.ID[:35]} {
		o, err := e.Operation(e.ctx, id)
		e.wantNone(fmt.Sprintf("id %q", id), o, err)
	}
}

func bySession(e *env) {
	ref := transport.Ref{StudioID: "s", SessionID: "a"}
	look := func() (store.Operation, error) { return e.BySession(e.ctx, ref) }
	o, err := look()
	e.wantNone("before any operation", o, err)
	e.enqueue(e.op("s", "aa"), e.op("sa", ""), e.op("t", "a"))
	o, err = look()
	e.wantNone("other sessions", o, err)
	first := e.enqueue(e.op("s", "a"))[0]
	o, err = look()
	e.want("active", o, err, first)
	first = e.end(first, fsm.PhaseFailed)
	o, err = look()
	e.want("ended", o, err, first)
	second := e.enqueue(e.op("s", "a"))[0]
	o, err = look()
	e.want("active again", o, err, second)
	second = e.end(second, fsm.PhaseSucceeded)
	o, err = look()
	e.want("the latest", o, err, second)
}

func byToken(e *env) {
	ops := e.enqueue(e.op("s", "a", token("t")), e.op("s", "b"))
	for i, tok := range []string{"t", string(ops[1].ID)} {
		o, err := e.ByToken(e.ctx, tok)
		e.want("token "+tok, o, err, ops[i])
	}
	// If the caller brought a token, the operation's id is no token.
	for _, tok := range []string{"", "u", string(ops[0].ID), string(e.op("s", "c").ID)} {
		o, err := e.ByToken(e.ctx, tok)
		e.wantNone(fmt.Sprintf("token %q", tok), o, err)
	}
	ended := e.end(ops[0], fsm.PhaseFailed)
	o, err := e.ByToken(e.ctx, "t")
	e.want("ended", o, err, ended)
}

func manySessions(e *env) {
	const n = 3000
	ops := make([]store.Operation, n)
	for i := range ops {
		ops[i] = e.op("s", fmt.Sprint(i))
	}
	e.enqueue(ops...)
	for i := 0; i < n; i += 2 {
		ops[i].Version = 1
	}
	var changes []store.Change
	for i := 0; i < n; i += 2 {
		o := ops[i]
		o.Phase, o.FinishedAt = fsm.PhaseCanceled, e.now
		changes = append(changes, store.Change{Operation: o})
	}
	errs, err := e.Apply(e.ctx, changes)
	if err = errors.Join(append(errs, err)...); err != nil {
		e.Fatal(err)
	}
	for i := range ops {
		o, err := e.BySession(e.ctx, ops[i].Ref)
		if err != nil || o.ID != ops[i].ID || o.Active() != (i%2 == 1) {
			e.Fatalf("session %s: %+v, %v", ops[i].Ref, o, err)
		}
	}
}

func statsCount(e *env) {
	before, err := e.Stats(e.ctx)
	if err != nil || before.StoreID == "" || before.First != 1 || before.Head != 0 || len(before.Operations) != 0 {
		e.Errorf("of an empty store: %+v, %v", before, err)
	}
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2"), e.op("s", "3"))
	e.end(ops[0], fsm.PhaseCanceled)
	for range 2 {
		got, err := e.Stats(e.ctx)
		if err != nil || got.StoreID != before.StoreID || got.First != 1 || got.Head != 4 || got.Quarantined != 0 ||
			len(got.Operations) != 2 || got.Operations[fsm.PhaseQueued] != 2 || got.Operations[fsm.PhaseCanceled] != 1 {
			e.Errorf("%+v, %v", got, err)
		}
		e.reopen()
	}
}

func listTests() []test {
	return []test{
		{"filters", listFilters},
		{"by age, in pages", listPages},
		{"after an operation", listAfter},
		{"stops when the caller does", listStops},
		{"changes during a listing", listMeanwhile},
	}
}

func (e *env) list(f store.Filter) []store.Operation {
	e.Helper()
	var out []store.Operation
	for o, err := range e.List(e.ctx, f) {
		if err != nil {
			e.Fatalf("List: %v", err)
		}
		out = append(out, o)
	}
	return out
}

func listFilters(e *env) {
	labels := func(kv map[string]string) func(*store.Operation) {
		return func(o *store.Operation) { o.Labels = kv }
	}
	created := func(t time.Time) func(*store.Operation) {
		return func(o *store.Operation) { o.CreatedAt = t }
	}
	ops := e.enqueue(
		e.op("s", "1", created(e.at(-time.Hour))), e.op("s", "2", labels(map[string]string{"show": "x", "shot": "1"})),
		e.op("t", "3", func(o *store.Operation) { o.Lane, o.RequestedBy = "own", "mo" }), e.op("s", "4", token("t-4")), e.op("s", "5", tried))
	ops[3] = e.end(ops[3], fsm.PhaseCanceled)
	for _, c := range []struct {
		name string
		f    store.Filter
		want []int
	}{
		{"all", store.Filter{}, []int{0, 1, 2, 3, 4}},
		{"newest", store.Filter{Newest: true}, []int{4, 3, 2, 1, 0}},
		{"active", store.Filter{Active: true}, []int{0, 1, 2, 4}},
		{"active, newest", store.Filter{Active: true, Newest: true}, []int{4, 2, 1, 0}},
		{"phase", store.Filter{Phases: []fsm.Phase{fsm.PhaseCanceled, fsm.PhaseFailed}}, []int{3}},
		{"phase that is not active", store.Filter{Phases: []fsm.Phase{fsm.PhaseCanceled}, Active: true}, nil},
		{"studio", store.Filter{StudioID: "t"}, []int{2}},
		{"lane", store.Filter{Lane: "own"}, []int{2}},
		{"no such lane", store.Filter{Lane: "t"}, nil},
		{"session", store.Filter{SessionID: "3"}, []int{2}},
		{"session of another studio", store.Filter{StudioID: "s", SessionID: "3"}, nil},
		{"requester", store.Filter{RequestedBy: "mo"}, []int{2}},
		{"no such requester", store.Filter{RequestedBy: "m"}, nil},
		{"token, ended", store.Filter{ClientToken: "t-4"}, []int{3}},
		{"token, but active", store.Filter{ClientToken: "t-4", Active: true}, nil},
		{"token that is an id", store.Filter{ClientToken: string(ops[1].ID), Active: true, Newest: true}, []int{1}},
		{"no such token", store.Filter{ClientToken: "t-5"}, nil},
		{"label", store.Filter{Labels: map[string]string{"show": "x"}}, []int{1}},
		{"labels", store.Filter{Labels: map[string]string{"show": "x", "shot": "2"}}, nil},
		{"since", store.Filter{Since: e.now}, []int{1, 2, 3, 4}},
		{"limit", store.Filter{Limit: 2}, []int{0, 1}},
		{"newest two active of a studio", store.Filter{Limit: 2, Newest: true, Active: true, StudioID: "s"}, []int{4, 1}},
	} {
		var want []store.Operation
		for _, i := range c.want {
			want = append(want, ops[i])
		}
		got := e.list(c.f)
		e.wantOps(c.name, got, want...)
		for i := range min(len(got), len(want)) {
			if !same(got[i], want[i]) {
				e.Errorf("%s: %+v, want %+v", c.name, got[i], want[i])
			}
		}
	}
}

func listPages(e *env) {
	const n = 1700
	ops := make([]store.Operation, n)
	for i := range ops {
		ops[i] = e.op("s", fmt.Sprint(i))
	}
	ops = e.enqueue(ops...)
	e.wantOps("oldest first", e.list(store.Filter{}), ops...)
	e.wantOps("active, oldest first", e.list(store.Filter{Active: true}), ops...)
	back := make([]store.Operation, n)
	for i, o := range ops {
		back[n-1-i] = o
	}
	e.wantOps("newest first", e.list(store.Filter{Newest: true}), back...)
	e.wantOps("more than a page", e.list(store.Filter{Limit: 1001}), ops[:1001]...)
}

// listAfter pages with the last id of each page, while operations end, are created and are
// pruned.
func listAfter(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2"), e.op("s", "3"), e.op("s", "4"), e.op("s", "5"))
	e.wantOps("after the second", e.list(store.Filter{After: ops[1].ID}), ops[2:]...)
	e.wantOps("after the second, active", e.list(store.Filter{After: ops[1].ID, Active: true, Limit: 2}), ops[2:4]...)
	e.wantOps("after the second, newest first", e.list(store.Filter{After: ops[1].ID, Newest: true}), ops[0])
	e.wantOps("after the second, active, newest first", e.list(store.Filter{After: ops[1].ID, Newest: true, Active: true}), ops[0])
	e.wantOps("after the last", e.list(store.Filter{After: ops[4].ID}))
	e.wantOps("after a token's operation", e.list(store.Filter{After: ops[1].ID, ClientToken: string(ops[1].ID)}))
	e.wantOps("before a token's operation", e.list(store.Filter{After: ops[1].ID, ClientToken: string(ops[2].ID)}), ops[2])
	ops[1] = e.end(ops[1], fsm.PhaseCanceled)
	e.wantOps("after an ended operation, active", e.list(store.Filter{After: ops[1].ID, Active: true}), ops[2:]...)
	if _, err := e.Prune(e.ctx, store.Retention{EndedSince: e.at(time.Hour)}); err != nil {
		e.Fatal(err)
	}
	more := e.enqueue(e.op("s", "6"))
	e.wantOps("after a pruned operation", e.list(store.Filter{After: ops[1].ID}), append(ops[2:], more...)...)
	e.wantOps("after a pruned operation, newest first", e.list(store.Filter{After: ops[1].ID, Newest: true}), ops[0])
	for _, err := range e.List(e.ctx, store.Filter{After: "ws-1"}) {
		if !errors.Is(err, store.ErrNotFound) {
			e.Errorf("after a text that is no id: %v", err)
		}
	}
}

func listStops(e *env) {
	e.enqueue(e.op("s", "1"), e.op("s", "2"), e.op("s", "3"))
	n := 0
	for range e.List(e.ctx, store.Filter{}) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		e.Errorf("%d seen, want 2", n)
	}
}

func listMeanwhile(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2"), e.op("s", "3"))
	seen := map[store.ID]int{}
	for o, err := range e.List(e.ctx, store.Filter{}) {
		if err != nil {
			e.Fatal(err)
		}
		seen[o.ID]++
		if o.ID == ops[0].ID { // a write during a listing must not wait for it
			e.end(ops[1], fsm.PhaseCanceled)
			e.enqueue(e.op("s", "4"))
		}
	}
	for _, o := range ops {
		if seen[o.ID] != 1 {
			e.Errorf("operation of %s was seen %d times", o.Ref, seen[o.ID])
		}
	}
}
