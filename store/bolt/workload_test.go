package bolt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/driver"
	"github.com/rouse-dev/rouse/transport"
)

// A workload is a script of calls that is the same in every run: its ids and times are its
// own. So the content of the file after each step is known exactly, and a file that met a
// fault can be compared with it.

// step is one call, of one commit. It can be made again after an error, as by a caller that
// does not know the outcome.
type step struct {
	name string
	// do reports whether the store answers that this call stored something.
	do func(ctx context.Context, s *Store) (stored bool, err error)
}

// workload is a script with the content of the file before and after each step.
type workload struct {
	steps  []step
	states []state // one more than steps
}

// state is the content of a store without its id.
type state struct {
	sum [sha256.Size]byte // over every pair in the file
	ops map[store.ID]store.Operation
}

// author writes a workload, and notes the expected result of each step.
type author struct {
	*rand.Rand
	most   int // changes in a step
	steps  []step
	now    time.Time
	ids    int
	ops    map[store.ID]store.Operation
	active []store.ID
	events int      // of all steps
	pruned int      // the pruned ones of those
	ledger []ledger // one for each step
}

// ledger is what the author expects after a step.
type ledger struct {
	ops    map[store.ID]store.Operation
	events int // of all steps
}

// newScript writes a script of n steps, each of up to most changes.
func newScript(seed uint64, n, most int) *author {
	a := &author{Rand: scale.Rand(seed), most: most, now: testTime(), ops: map[store.ID]store.Operation{}}
	for len(a.steps) < n {
		a.now = a.now.Add(time.Minute)
		a.write()
	}
	return a
}

// newWorkload writes a script of n steps, each of up to three changes, and runs it
// once, without a fault.
func newWorkload(t testing.TB, seed uint64, n int) *workload {
	t.Helper()
	return run(t, newScript(seed, n, 3))
}

// run runs a script once, without a fault.
func run(t testing.TB, a *author) *workload {
	t.Helper()
	w := &workload{steps: a.steps}
	s := openTest(t, quickPath(t), Config{noSync: true})
	w.states = append(w.states, stateOf(t, s))
	for k, st := range w.steps {
		if _, err := st.do(t.Context(), s); err != nil {
			t.Fatalf("step %d (%s) without a fault: %v", k, st.name, err)
		}
		now := stateOf(t, s)
		for id, want := range a.ledger[k].ops {
			if got := now.ops[id]; got.Phase != want.Phase || got.Version != want.Version || got.Sent != want.Sent || got.Ref != want.Ref {
				t.Fatalf("step %d (%s): %+v, want %+v", k, st.name, got, want)
			}
		}
		if len(now.ops) != len(a.ledger[k].ops) || s.seq != uint64(a.ledger[k].events) { //nolint:gosec // small
			t.Fatalf("step %d (%s): %d operations and event %d, want %d and %d", k, st.name, len(now.ops), s.seq, len(a.ledger[k].ops), a.ledger[k].events)
		}
		w.states = append(w.states, now)
	}
	clean(t, s)
	return w
}

// write adds a step, of a kind that is possible.
func (a *author) write() {
	switch p := a.IntN(100); {
	case p < 40 || len(a.active) == 0:
		a.start(1 + a.IntN(3))
	case p < 48:
		a.join()
	case p < 85:
		a.move(1 + a.IntN(a.most))
	case p < 90:
		a.lane()
	case p < 95:
		a.prune()
	default:
		a.pruneFeed()
	}
}

func (a *author) add(name string, do func(ctx context.Context, s *Store) (bool, error)) {
	a.steps = append(a.steps, step{name, do})
	a.ledger = append(a.ledger, ledger{maps.Clone(a.ops), a.events})
}

// enqueue adds a step that enqueues ops. made says that the first call creates them.
func (a *author) enqueue(name string, ops []store.Operation, made bool) {
	a.add(name, func(ctx context.Context, s *Store) (bool, error) {
		rs, err := s.Enqueue(ctx, ops)
		if err != nil {
			return false, err
		}
		stored := made
		for i, r := range rs {
			if err = errors.Join(err, r.Err); r.Operation.ID != ops[i].ID && made {
				err = errors.Join(err, fmt.Errorf("token %s leads to operation %s", ops[i].ClientToken, r.Operation.ID))
			}
			stored = stored && r.Created
		}
		return stored, err
	})
}

func (a *author) start(n int) {
	var ops []store.Operation
	for range n {
		a.ids++
		id := store.ID(fmt.Sprintf("019a0000-0000-7000-8000-%012x", a.ids))
		o := store.Operation{
			ID: id, ClientToken: string(id), Ref: transport.Ref{StudioID: fmt.Sprint("s", a.IntN(3)), SessionID: numbered(a.ids)},
			Phase: fsm.PhaseQueued, CreatedAt: a.now, NotBefore: a.now, DueAt: a.now, ExpiresAt: a.now.Add(24 * time.Hour),
			RequestedBy: "mo", Reason: "dailies of the second unit, which must be ready by ten"[:a.IntN(49)],
		}
		o.Lane = o.Ref.StudioID
		if a.IntN(3) == 0 {
			o.ClientToken = fmt.Sprint("token-", a.IntN(1<<30), "-", a.ids)
		}
		ops = append(ops, o)
		o.Version = 1
		a.ops[id], a.active = o, append(a.active, id)
		a.events++
	}
	a.enqueue("start", ops, true)
}

// join requests an active operation again, with a later expiry.
func (a *author) join() {
	o := a.ops[a.active[a.IntN(len(a.active))]]
	was := o
	o.ExpiresAt = o.ExpiresAt.Add(time.Hour)
	again := o
	a.ids++
	again.ID = store.ID(fmt.Sprintf("019a0000-0000-7000-8000-%012x", a.ids))
	if a.ids%2 == 0 { // by a new request, which a sent operation keeps as a later request
		again.ClientToken, again.CreatedAt = string(again.ID), a.now
		got, _ := driver.Decide(again, nil, &was)
		a.ops[o.ID] = got.Operation
		a.enqueue("join by a new request", []store.Operation{again}, false)
		return
	}
	o.Version++
	a.ops[o.ID] = o
	a.enqueue("join", []store.Operation{again}, false)
}

// move takes up to n active operations one step on.
func (a *author) move(n int) {
	var changes []store.Change
	for _, i := range a.Perm(len(a.active))[:min(n, len(a.active))] {
		o := a.ops[a.active[i]]
		from := o.Phase
		switch {
		case o.Sent == store.SentNo && a.IntN(4) > 0:
			o.Sent, o.SentAt, o.LastSentAt, o.Attempts = store.SentUnknown, a.now, a.now, 1
		case o.Phase == fsm.PhaseQueued && a.IntN(4) > 0:
			o.Phase, o.Sent, o.AcceptedAt, o.BootDeadline = fsm.PhaseStarting, store.SentAccepted, a.now, a.now.Add(time.Hour)
		default:
			o.Phase, o.FinishedAt = []fsm.Phase{fsm.PhaseSucceeded, fsm.PhaseFailed, fsm.PhaseCanceled}[a.IntN(3)], a.now
		}
		o.DueAt = a.now.Add(time.Minute)
		c := store.Change{Operation: o}
		if o.Phase != from {
			c.Events = []store.Event{{Operation: o.ID, Ref: o.Ref, From: from, To: o.Phase, At: a.now}}
			a.events++
		}
		if w := o.Later; o.Phase.Ended() && w.Pending() {
			o.Later = w.Done()
			c.Operation, c.Next = o, w.Operation(&o, o.Lane, a.now)
			next := *c.Next
			next.Version = 1
			a.ops[next.ID], a.active = next, append(a.active, next.ID)
			a.events++
		}
		changes = append(changes, c)
		o.Version++
		a.ops[o.ID] = o
	}
	a.active = slices.DeleteFunc(a.active, func(id store.ID) bool { return a.ops[id].Phase.Ended() })
	a.add("move", func(ctx context.Context, s *Store) (bool, error) {
		errs, err := s.Apply(ctx, changes)
		if err != nil {
			return false, err
		}
		fenced := 0
		for _, e := range errs {
			if errors.Is(e, store.ErrFenced) {
				fenced++
			} else {
				err = errors.Join(err, e)
			}
		}
		if fenced > 0 && fenced < len(errs) {
			err = errors.Join(err, fmt.Errorf("%d of %d changes are fenced, so half of a commit is stored", fenced, len(errs)))
		}
		return fenced == 0, err
	})
}

func (a *author) lane() {
	lane, at, paused := fmt.Sprint("s", a.IntN(3)), a.now, a.IntN(2) == 0
	a.add("lane", func(ctx context.Context, s *Store) (bool, error) {
		if paused {
			return true, s.SetPaused(ctx, lane, at.Unix()%2 == 0, "mo", at)
		}
		return true, s.SetRetryAfter(ctx, lane, at.Add(time.Minute), at)
	})
}

// prune removes the older half of the ended operations.
func (a *author) prune() {
	var ended []time.Time
	for _, o := range a.ops {
		if o.Phase.Ended() {
			ended = append(ended, o.FinishedAt)
		}
	}
	if len(ended) < 4 {
		return
	}
	slices.SortFunc(ended, time.Time.Compare)
	since := ended[len(ended)/2]
	if !ended[0].Before(since) {
		return // there would be no commit
	}
	maps.DeleteFunc(a.ops, func(_ store.ID, o store.Operation) bool { return o.Phase.Ended() && o.FinishedAt.Before(since) })
	a.add("prune", func(ctx context.Context, s *Store) (bool, error) {
		n, err := s.Prune(ctx, store.Retention{EndedSince: since})
		return n > 0, err
	})
}

// pruneFeed removes all but the newest events.
func (a *author) pruneFeed() {
	const keep = 40
	if a.events-a.pruned <= keep {
		return // there would be no commit
	}
	a.pruned = a.events - keep
	a.add("prune the feed", func(ctx context.Context, s *Store) (bool, error) {
		n, err := s.Prune(ctx, store.Retention{Events: keep})
		return n > 0, err
	})
}

// stateOf reads a store.
func stateOf(t testing.TB, s *Store) state {
	t.Helper()
	out := state{sum: sumOf(t, s), ops: map[store.ID]store.Operation{}}
	for o, err := range s.List(t.Context(), store.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		out.ops[o.ID] = o
	}
	return out
}

// sumOf returns a checksum over every key and value in the file, except those that are the
// file's own.
func sumOf(t testing.TB, s *Store) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	var all []byte
	err := s.view(t.Context(), func(b format.Buckets) error {
		for _, name := range format.BucketNames() {
			err := b.Tx.Bucket([]byte(name)).ForEach(func(k, v []byte) error {
				if name == format.BucketMeta && string(k) != format.MetaPruned {
					return nil
				}
				all = fmt.Appendf(all[:0], "%s %d %d ", name, len(k), len(v))
				_, _ = h.Write(append(append(all, k...), v...))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// at reports which of two states s is in: k, what was acknowledged, or k+1, with the commit
// whose outcome was not known. Any other state fails the test. So does any record that is
// damaged or does not agree with the others.
func (w *workload) at(t testing.TB, s *Store, k int, what string) (kept bool) {
	t.Helper()
	r, err := s.Check(t.Context())
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("%s: Check: %v, %v", what, r.Problems, err)
	}
	sum := sumOf(t, s)
	switch {
	case sum == w.states[k].sum:
		return false
	case k < len(w.steps) && sum == w.states[k+1].sum:
		return true
	}
	now, want := stateOf(t, s).ops, w.states[k].ops
	for id, o := range want {
		if got, ok := now[id]; !ok || got.Phase != o.Phase {
			t.Errorf("%s: %s was acknowledged as %s and is %q", what, id, o.Phase, got.Phase)
		}
	}
	for id := range now {
		if _, ok := want[id]; !ok {
			t.Errorf("%s: %s was never stored, or was pruned", what, id)
		}
	}
	t.Fatalf("%s: the file has neither its content before step %d nor its content after it", what, k)
	return false
}
