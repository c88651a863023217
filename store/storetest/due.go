package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

func dueTests() []test {
	return []test{
		{"every lane at the first call", dueAtOnce},
		{"an operation wakes a waiting call", dueWakes},
		{"only what changed", dueOnlyChanged},
		{"an end is a change", dueAfterEnd},
		{"a lane that was emptied twice", dueEmptiedTwice},
		{"a release wakes a waiting call", dueAfterRelease},
		{"what changes nothing wakes no caller", dueQuiet},
		{"the deadline", dueDeadline},
	}
}

func (e *env) due(seen uint64) store.Dues {
	e.Helper()
	d, err := e.Due(e.ctx, seen)
	if err != nil {
		e.Fatalf("Due(%d): %v", seen, err)
	}
	if d.Seen <= seen {
		e.Errorf("Due(%d) has seen %d", seen, d.Seen)
	}
	return d
}

func (e *env) wantDue(d store.Dues, want ...store.LaneDue) {
	e.Helper()
	byLane := func(a, b store.LaneDue) int { return slices.Compare([]byte(a.Lane), []byte(b.Lane)) }
	slices.SortFunc(d.Lanes, byLane)
	slices.SortFunc(want, byLane)
	if !slices.EqualFunc(d.Lanes, want, sameDue) {
		e.Errorf("due %v, want %v", d.Lanes, want)
	}
}

// waits fails unless Due still waits.
func (e *env) waits(seen uint64) {
	e.Helper()
	if d, err := e.Due(e.brief(), seen); !errors.Is(err, context.DeadlineExceeded) {
		e.Errorf("Due(%d) = %+v, %v, want it to wait", seen, d, err)
	}
}

func dueAtOnce(e *env) {
	d := e.due(0)
	e.wantDue(d)
	e.waits(d.Seen)
	e.enqueue(e.op("s", "1"), e.op("t", "2", dueAt(e.at(time.Hour)), tried))
	d = e.due(0)
	e.wantDue(d, store.LaneDue{Lane: "s", Send: e.now}, store.LaneDue{Lane: "t", Read: e.at(time.Hour)})
	if want := e.at(24 * time.Hour); !d.Deadline.Equal(want) {
		e.Errorf("deadline %s, want %s", d.Deadline, want)
	}
	e.waits(d.Seen)
}

// dueWakes checks that a waiting call of Due returns when an operation is due. The scheduler
// decides whether the call waits before the request arrives, so there are several rounds.
func dueWakes(e *env) {
	seen := e.due(0).Seen
	for i := range 16 {
		lane := fmt.Sprintf("s%d", i)
		got := make(chan store.Dues, 1)
		go func() {
			d, err := e.Due(e.ctx, seen)
			if err != nil {
				e.Errorf("Due: %v", err)
			}
			got <- d
		}()
		e.enqueue(e.op(lane, lane))
		d := <-got
		e.wantDue(d, store.LaneDue{Lane: lane, Send: e.now})
		seen = d.Seen
	}
}

func dueOnlyChanged(e *env) {
	e.enqueue(e.op("s", "1"), e.op("t", "2"))
	seen := e.due(0).Seen
	e.enqueue(e.op("t", "3", dueAt(e.at(-time.Second))))
	d := e.due(seen)
	e.wantDue(d, store.LaneDue{Lane: "t", Send: e.at(-time.Second)})
	e.waits(d.Seen)
}

func dueAfterEnd(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2", dueAt(e.at(time.Minute))), e.op("t", "3"))
	seen := e.due(0).Seen
	e.end(ops[0], fsm.PhaseCanceled)
	d := e.due(seen)
	e.wantDue(d, store.LaneDue{Lane: "s", Send: e.at(time.Minute)})
	e.end(ops[1], fsm.PhaseCanceled)
	e.end(ops[2], fsm.PhaseCanceled)
	d = e.due(0)
	e.wantDue(d)
	if !d.Deadline.IsZero() {
		e.Errorf("nothing is active, and the deadline is %s", d.Deadline)
	}
}

// dueEmptiedTwice empties a lane, uses it and empties it again before Due is called. The
// driver must forget the lane once, and must not mix up later lanes.
func dueEmptiedTwice(e *env) {
	seen := e.due(0).Seen
	e.end(e.enqueue(e.op("s", "1"))[0], fsm.PhaseCanceled)
	e.end(e.enqueue(e.op("s", "2"))[0], fsm.PhaseCanceled)
	seen = e.due(seen).Seen // Due has reported that it is empty
	e.enqueue(e.op("t", "3"))
	e.due(seen)
	a, b := e.enqueue(e.op("u", "4"))[0], e.enqueue(e.op("v", "5"))[0]
	e.wantOps("lane u", e.claim("u", 5, 0), a)
	e.wantOps("lane v", e.claim("v", 5, 0), b)
}

func dueAfterRelease(e *env) {
	e.enqueue(e.op("s", "1"))
	held := e.claim("s", 1, 0)
	seen := e.due(0).Seen
	held[0].DueAt = e.at(time.Minute)
	if err := e.Release(e.ctx, held); err != nil {
		e.Fatal(err)
	}
	e.wantDue(e.due(seen), store.LaneDue{Lane: "s", Send: e.at(time.Minute)})
}

func dueQuiet(e *env) {
	e.enqueue(e.op("s", "1"))
	seen := e.due(0).Seen
	// Neither is the earliest of its lane or has the earliest deadline.
	e.enqueue(e.op("s", "2", dueAt(e.at(time.Second))), e.op("s", "3", dueAt(e.at(time.Minute))))
	if err := e.SetPaused(e.ctx, "s", true, "mo", e.now); err != nil {
		e.Fatal(err)
	}
	e.waits(seen)
}

func dueDeadline(e *env) {
	e.enqueue(e.op("s", "1"))
	seen := e.due(0).Seen
	e.enqueue(e.op("s", "2", expires(e.at(time.Hour)), dueAt(e.at(time.Minute))))
	d := e.due(seen)
	e.wantDue(d)
	if !d.Deadline.Equal(e.at(time.Hour)) {
		e.Errorf("deadline %s, want %s", d.Deadline, e.at(time.Hour))
	}
}
