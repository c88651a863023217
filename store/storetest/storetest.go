package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Opener opens the store that belongs to dir. It fails t if it cannot: see the package's
// comment.
type Opener func(t *testing.T, dir string) store.Store

// Run runs the whole suite against the stores that open returns. Each test has a dir of
// its own and runs in parallel.
func Run(t *testing.T, open Opener) {
	t.Helper()
	for _, topic := range []struct {
		name  string
		tests []test
	}{
		{"Enqueue", enqueueTests()},
		{"Own", ownTests()},
		{"Claim", claimTests()},
		{"Due", dueTests()},
		{"Apply", applyTests()},
		{"Feed", feedTests()},
		{"Later", laterTests()},
		{"Lookup", lookupTests()},
		{"List", listTests()},
		{"Lanes", laneTests()},
		{"Records", []test{{"kept, replaced and removed", recordsKept}}},
		{"Prune", pruneTests()},
		{"Reopen", reopenTests()},
		{"Concurrent", concurrentTests()},
		{"Foreign", []test{{"not foreign", notForeign}}},
		{"Close", closeTests()},
		{"History", historyTests()},
	} {
		t.Run(topic.name, func(t *testing.T) {
			t.Parallel()
			for _, each := range topic.tests {
				t.Run(each.name, func(t *testing.T) {
					t.Parallel()
					each.run(newEnv(t, open))
				})
			}
		})
	}
}

// test is one rule of the suite.
type test struct {
	name string
	run  func(e *env)
}

// env is a test with its store.
type env struct {
	*testing.T
	store.Store
	store.Claims // of the store's one owner, which is the test
	disown       context.CancelFunc
	open         Opener
	dir          string
	ctx          context.Context
	now          time.Time // the test's clock: the store has none
}

// start returns when the suite's clock begins. No rule depends on it.
func start() time.Time { return time.Date(2031, 5, 6, 7, 8, 9, 123456789, time.UTC) }

func newEnv(t *testing.T, open Opener) *env {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	e := &env{T: t, open: open, dir: t.TempDir(), ctx: ctx, now: start()}
	e.begin()
	t.Cleanup(func() {
		cancel()
		e.sound()
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e
}

// sound checks, after each test, what must hold in every store at all times.
func (e *env) sound() {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	active := map[transport.Ref]store.ID{}
	var seq uint64
	for after := store.Cursor(""); ; {
		events, err := e.Events(ctx, after, 100)
		if errors.Is(err, store.ErrClosed) {
			return // the test closed the store
		}
		if err != nil {
			e.Errorf("afterwards: Events after %q: %v", after, err)
		}
		if len(events) == 0 {
			break
		}
		for _, ev := range events {
			if seq != 0 && ev.Seq != seq+1 {
				e.Errorf("afterwards: event %d follows event %d", ev.Seq, seq)
			}
			seq, after = ev.Seq, ev.Cursor
		}
	}
	for o, err := range e.List(ctx, store.Filter{Active: true}) {
		if err != nil {
			e.Fatalf("afterwards: List: %v", err)
		}
		if other, ok := active[o.Ref]; ok {
			e.Errorf("afterwards: session %s has two active operations, %s and %s", o.Ref, other, o.ID)
		}
		active[o.Ref] = o.ID
	}
}

// reopen closes the store and opens it again.
func (e *env) reopen() {
	e.Helper()
	if err := e.Close(); err != nil {
		e.Fatalf("Close: %v", err)
	}
	e.begin()
}

// begin opens the store and owns it.
func (e *env) begin() {
	e.Helper()
	e.Store = e.open(e.T, e.dir)
	e.own()
}

// own begins an ownership of the store.
func (e *env) own() {
	e.Helper()
	var ctx context.Context
	ctx, e.disown = context.WithCancel(e.ctx)
	var err error
	if e.Claims, err = e.Own(ctx); err != nil {
		e.Fatalf("Own: %v", err)
	}
}

// op returns a plain request for a session, due now. Its lane is its studio.
func (e *env) op(studio, session string, change ...func(*store.Operation)) store.Operation {
	e.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		e.Fatal(err)
	}
	o := store.Operation{
		ID: store.ID(id.String()), ClientToken: id.String(),
		Ref: transport.Ref{StudioID: studio, SessionID: session}, Lane: studio,
		Phase: fsm.PhaseQueued, CreatedAt: e.now, NotBefore: e.now, DueAt: e.now, ExpiresAt: e.now.Add(24 * time.Hour),
	}
	for _, c := range change {
		c(&o)
	}
	return o
}

func token(t string) func(*store.Operation) {
	return func(o *store.Operation) { o.ClientToken = t }
}

func dueAt(t time.Time) func(*store.Operation) {
	return func(o *store.Operation) { o.DueAt = t }
}

func notBefore(t time.Time) func(*store.Operation) {
	return func(o *store.Operation) { o.NotBefore, o.DueAt = t, t }
}

func expires(t time.Time) func(*store.Operation) {
	return func(o *store.Operation) { o.ExpiresAt = t }
}

// enqueue stores operations. Each must be created.
func (e *env) enqueue(ops ...store.Operation) []store.Operation {
	e.Helper()
	out := make([]store.Operation, len(ops))
	for i, r := range e.offer(ops...) {
		if r.Err != nil || !r.Created {
			e.Fatalf("Enqueue %s: created %v, %v", ops[i].Ref, r.Created, r.Err)
		}
		out[i] = r.Operation
	}
	return out
}

// offer enqueues operations and returns the receipts, whatever they say.
func (e *env) offer(ops ...store.Operation) []store.Receipt {
	e.Helper()
	rs, err := e.Enqueue(e.ctx, ops)
	if err != nil || len(rs) != len(ops) {
		e.Fatalf("Enqueue of %d: %d results, %v", len(ops), len(rs), err)
	}
	return rs
}

// apply stores a change, which must succeed. It returns the operation with its new version.
func (e *env) apply(o store.Operation, event *store.Event, release bool) store.Operation {
	e.Helper()
	c := store.Change{Operation: o, Release: release}
	if event != nil {
		c.Events = []store.Event{*event}
	}
	errs, err := e.Apply(e.ctx, []store.Change{c})
	if err != nil || len(errs) != 1 || errs[0] != nil {
		e.Fatalf("Apply %s: %v, %v", o.ID, errs, err)
	}
	o.Version++
	return o
}

// end stores an end, with its event.
func (e *env) end(o store.Operation, p fsm.Phase) store.Operation {
	e.Helper()
	from := o.Phase
	o.Phase, o.FinishedAt = p, e.now
	return e.apply(o, &store.Event{Operation: o.ID, Ref: o.Ref, From: from, To: p, At: e.now}, true)
}

// claim claims from one lane.
func (e *env) claim(lane string, sends, reads int) []store.Operation {
	e.Helper()
	return e.claimed(store.ClaimRequest{Now: e.now, Lanes: []store.LaneSlots{{Lane: lane, Sends: sends, Reads: reads}}}).Operations
}

func (e *env) claimed(r store.ClaimRequest) store.Claimed {
	e.Helper()
	c, err := e.Claim(e.ctx, r)
	if err != nil {
		e.Fatalf("Claim: %v", err)
	}
	if len(c.Lanes) != len(r.Lanes) {
		e.Fatalf("Claim of %d lanes answers for %d", len(r.Lanes), len(c.Lanes))
	}
	return c
}

// read looks up an operation, which must be stored.
func (e *env) read(id store.ID) store.Operation {
	e.Helper()
	o, err := e.Operation(e.ctx, id)
	if err != nil {
		e.Fatalf("Operation %s: %v", id, err)
	}
	return o
}

// feed reads all events.
func (e *env) feed() []store.Event {
	e.Helper()
	var all []store.Event
	for after := store.Cursor(""); ; {
		events, err := e.Events(e.ctx, after, 7)
		if err != nil {
			e.Fatalf("Events after %q: %v", after, err)
		}
		if len(events) == 0 {
			return all
		}
		all = append(all, events...)
		after = events[len(events)-1].Cursor
	}
}

// wantOps fails unless got are these operations, in this order.
func (e *env) wantOps(what string, got []store.Operation, want ...store.Operation) {
	e.Helper()
	g, w := sessions(got), sessions(want)
	if !reflect.DeepEqual(g, w) {
		e.Errorf("%s: %v, want %v", what, g, w)
	}
}

func sessions(ops []store.Operation) []string {
	out := []string{}
	for _, o := range ops {
		out = append(out, o.Ref.String())
	}
	return out
}

// same reports whether two records are equal.
func same(a, b store.Operation) bool {
	if len(a.Labels) == 0 {
		a.Labels = nil
	}
	if len(b.Labels) == 0 {
		b.Labels = nil
	}
	return reflect.DeepEqual(a, b)
}

// brief returns a context that ends soon, for calls that must still wait.
func (e *env) brief() context.Context {
	ctx, cancel := context.WithTimeout(e.ctx, 20*time.Millisecond)
	e.Cleanup(cancel)
	return ctx
}
