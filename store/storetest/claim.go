package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

func claimTests() []test {
	return []test{
		{"in the order of due times", claimOrder},
		{"in the order of arrival for equal due times", claimArrival},
		{"in the order of the request across lanes", claimAcross},
		{"no more than there are slots for", claimSlots},
		{"sends and reads are separate", claimKinds},
		{"lanes that are not named stay unclaimed", claimOnlyNamed},
		{"not twice", claimOnce},
		{"a release makes an operation due at its due time", claimRelease},
		{"a release of what is not claimed does nothing", releaseOfNothing},
		{"what ended is not claimed", claimNotEnded},
		{"overdue operations of every lane", claimOverdue},
		{"a deadline is exact", deadlineExact},
		{"what remains", claimRemains},
		{"another caller's change keeps the claim", othersChange},
		{"a release does not undo another caller's change", releaseAfterOthersChange},
		{"bring forward", bringForward},
		{"many", claimMany},
	}
}

func (e *env) at(d time.Duration) time.Time { return e.now.Add(d) }

func claimOrder(e *env) {
	ops := e.enqueue(
		e.op("s", "c", dueAt(e.at(-1*time.Second))), e.op("s", "a", dueAt(e.at(-3*time.Second))),
		e.op("s", "b", dueAt(e.at(-2*time.Second))), e.op("s", "not yet", dueAt(e.at(1))),
		e.op("s", "now", dueAt(e.now)))
	e.wantOps("due", e.claim("s", 9, 9), ops[1], ops[2], ops[0], ops[4])
	e.now = e.at(1)
	e.wantOps("a nanosecond later", e.claim("s", 9, 9), ops[3])
}

func claimArrival(e *env) {
	var ops []store.Operation
	for i := range 20 {
		ops = append(ops, e.op("s", fmt.Sprint(i)))
	}
	ops = e.enqueue(ops...)
	e.wantOps("in order of arrival", e.claim("s", 99, 0), ops...)
}

func claimAcross(e *env) {
	a := e.enqueue(e.op("x", "1", dueAt(e.at(-5))), e.op("y", "2", dueAt(e.at(-4))), e.op("x", "3", dueAt(e.at(-3))), e.op("y", "4", tried, dueAt(e.at(-6))))
	c := e.claimed(store.ClaimRequest{Now: e.now, Lanes: []store.LaneSlots{{Lane: "y", Sends: 9, Reads: 9}, {Lane: "x", Sends: 9}}})
	e.wantOps("two lanes", c.Operations, a[1], a[3], a[0], a[2])
}

func claimSlots(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2"), e.op("s", "3"))
	e.wantOps("no slots", e.claim("s", 0, 9))
	e.wantOps("two slots", e.claim("s", 2, 9), ops[0], ops[1])
	e.wantOps("the rest", e.claim("s", 2, 0), ops[2])
}

// tried makes an operation outcome unknown.
func tried(o *store.Operation) { o.Sent = store.SentUnknown }

func claimKinds(e *env) {
	ops := e.enqueue(e.op("s", "send"), e.op("s", "look", tried), e.op("s", "poll", func(o *store.Operation) {
		o.Phase, o.Sent, o.BootDeadline = fsm.PhaseStarting, store.SentAccepted, e.at(time.Hour)
	}))
	e.wantOps("only reads", e.claim("s", 0, 9), ops[1], ops[2])
	e.wantOps("only sends", e.claim("s", 9, 0), ops[0])
}

func claimOnlyNamed(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("t", "2"))
	e.wantOps("lane t", e.claim("t", 9, 9), ops[1])
	e.wantOps("a lane without operations", e.claim("nowhere", 9, 9))
}

func claimOnce(e *env) {
	ops := e.enqueue(e.op("s", "1"))
	e.wantOps("first", e.claim("s", 9, 9), ops...)
	e.wantOps("second", e.claim("s", 9, 9))
	// A change without Release does not end the claim.
	o := ops[0]
	o.Sent, o.DueAt = store.SentUnknown, e.now
	o = e.apply(o, nil, false)
	e.wantOps("changed, still claimed", e.claim("s", 9, 9))
	o.DueAt = e.at(time.Minute)
	o = e.apply(o, nil, true)
	e.wantOps("released, not due", e.claim("s", 9, 9))
	e.now = e.at(time.Minute)
	got := e.claim("s", 9, 9)
	e.wantOps("released, due", got, o)
	if len(got) == 1 && !same(got[0], o) {
		e.Errorf("claimed %+v, want %+v", got[0], o)
	}
}

func claimRelease(e *env) {
	o := e.enqueue(e.op("s", "1"))[0]
	e.claim("s", 9, 9)
	o.DueAt = e.at(time.Minute)
	if err := e.Release(e.ctx, []store.Operation{o}); err != nil {
		e.Fatal(err)
	}
	e.wantOps("released for later", e.claim("s", 9, 9))
	if now := e.read(o.ID); !now.DueAt.Equal(e.now) {
		e.Errorf("a release was written: due %s", now.DueAt)
	}
	e.now = e.at(time.Minute)
	e.wantOps("later", e.claim("s", 9, 9), o)
}

func releaseOfNothing(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2"))
	ended := e.end(ops[1], fsm.PhaseCanceled)
	free := ops[0]
	free.DueAt = e.at(time.Hour)
	if err := e.Release(e.ctx, []store.Operation{free, ended, e.op("s", "never was")}); err != nil {
		e.Errorf("Release: %v", err)
	}
	e.wantOps("due as before", e.claim("s", 9, 9), ops[0])
}

func claimNotEnded(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2"), e.op("s", "3"))
	e.end(ops[1], fsm.PhaseCanceled)
	e.wantOps("without the ended", e.claim("s", 9, 9), ops[0], ops[2])
	e.end(ops[0], fsm.PhaseSucceeded)
	if err := e.Release(e.ctx, ops[:1]); err != nil {
		e.Fatal(err)
	}
	e.wantOps("an ended operation is not released", e.claim("s", 9, 9))
}

func claimOverdue(e *env) {
	ops := e.enqueue(
		e.op("s", "2", expires(e.at(2*time.Minute)), dueAt(e.at(time.Hour))), e.op("t", "1", expires(e.at(time.Minute)), dueAt(e.at(time.Hour))),
		e.op("u", "3"), e.op("s", "was read", expires(e.at(time.Minute)), tried))
	e.now = e.at(3 * time.Minute)
	c := e.claimed(store.ClaimRequest{Now: e.now, Overdue: 1})
	e.wantOps("the earliest", c.Overdue, ops[1])
	if !c.Deadline.Equal(ops[0].ExpiresAt) {
		e.Errorf("next deadline %s, want %s", c.Deadline, ops[0].ExpiresAt)
	}
	c = e.claimed(store.ClaimRequest{Now: e.now, Overdue: 9, Lanes: []store.LaneSlots{{Lane: "s", Sends: 9}}})
	e.wantOps("the rest, not as sends", c.Overdue, ops[0])
	e.wantOps("no sends", c.Operations)
	e.now = ops[3].ExpiresAt.Add(store.UnobservableAfter)
	c = e.claimed(store.ClaimRequest{Now: e.now, Overdue: 9})
	e.wantOps("no read was possible for a day", c.Overdue, ops[2], ops[3])
	if !c.Deadline.IsZero() {
		e.Errorf("all are claimed, and the next deadline is %s", c.Deadline)
	}
}

func deadlineExact(e *env) {
	o := e.enqueue(e.op("s", "1", expires(e.at(1500*time.Millisecond+1))))[0]
	c := e.claimed(store.ClaimRequest{Now: o.ExpiresAt.Add(-1), Overdue: 9})
	e.wantOps("a nanosecond early", c.Overdue)
	if !c.Deadline.Equal(o.ExpiresAt) {
		e.Errorf("deadline %s, want %s", c.Deadline, o.ExpiresAt)
	}
	e.wantOps("in time", e.claimed(store.ClaimRequest{Now: o.ExpiresAt, Overdue: 9}).Overdue, o)
}

func claimRemains(e *env) {
	e.enqueue(e.op("s", "1"), e.op("s", "2", dueAt(e.at(time.Minute))), e.op("s", "3", dueAt(e.at(time.Hour)), tried))
	c := e.claimed(store.ClaimRequest{Now: e.now, Lanes: []store.LaneSlots{{Lane: "nowhere"}, {Lane: "s", Sends: 9}}})
	want := []store.LaneDue{{Lane: "nowhere"}, {Lane: "s", Send: e.at(time.Minute), Read: e.at(time.Hour)}}
	if !slices.EqualFunc(c.Lanes, want, sameDue) {
		e.Errorf("remaining %v, want %v", c.Lanes, want)
	}
}

func sameDue(a, b store.LaneDue) bool {
	return a.Lane == b.Lane && a.Send.Equal(b.Send) && a.Read.Equal(b.Read)
}

func othersChange(e *env) {
	o := e.enqueue(e.op("s", "1"))[0]
	held := e.claim("s", 9, 9)
	// Another caller requests to cancel the operation.
	o.CancelAt, o.CancelBy = e.now, "jo"
	o = e.apply(o, nil, false)
	e.wantOps("still claimed", e.claim("s", 9, 9))
	errs, err := e.Apply(e.ctx, []store.Change{{Operation: held[0], Release: true}})
	if err != nil || errs[0] == nil {
		e.Errorf("the claimer's change was made from an older version: %v, %v", errs, err)
	}
	e.wantOps("a refused change releases nothing", e.claim("s", 9, 9))
	e.apply(o, nil, true)
	e.wantOps("released", e.claim("s", 9, 9), o)
}

func releaseAfterOthersChange(e *env) {
	o := e.enqueue(e.op("s", "1"))[0]
	held := e.claim("s", 9, 9)[0]
	o.DueAt = e.at(time.Second) // sooner than the claimer's release says
	e.apply(o, nil, false)
	held.DueAt = e.at(time.Hour)
	if err := e.Release(e.ctx, []store.Operation{held}); err != nil {
		e.Fatal(err)
	}
	e.now = e.at(time.Second)
	e.wantOps("due as the other caller's change says", e.claim("s", 9, 9), o)
}

func bringForward(e *env) {
	hour := e.at(time.Hour)
	ops := e.enqueue(
		e.op("s", "put off", dueAt(hour)), e.op("s", "scheduled", notBefore(hour)), e.op("s", "held", dueAt(e.now)),
		e.op("s", "read put off", dueAt(hour), tried), e.op("s", "soon", dueAt(e.at(time.Second))))
	held := e.claim("s", 1, 0)
	e.wantOps("held", held, ops[2])
	if err := e.BringForward(e.ctx, e.at(time.Minute)); err != nil {
		e.Fatal(err)
	}
	e.wantOps("not before the time it was brought forward to", e.claim("s", 0, 9))
	join := e.op("s", "read put off") // the join stores the record again
	join.ClientToken, join.ExpiresAt = ops[3].ClientToken, ops[3].ExpiresAt.Add(time.Hour)
	ops[3] = e.offer(join)[0].Operation
	e.now = e.at(time.Minute)
	e.wantOps("brought forward", e.claim("s", 9, 9), ops[4], ops[0], ops[3])
	held[0].DueAt = hour
	if err := e.Release(e.ctx, held); err != nil {
		e.Fatal(err)
	}
	e.now = hour
	e.wantOps("not brought forward", e.claim("s", 9, 9), ops[1], ops[2])
	e.reopen()
	e.now = e.at(-time.Minute)
	e.wantOps("nothing was written", e.claim("s", 9, 9), ops[2], ops[4])
}

func claimMany(e *env) {
	const n = 1000
	ops := make([]store.Operation, n)
	for i := range ops {
		ops[i] = e.op("s", fmt.Sprint(i), dueAt(e.at(-time.Duration((i*7919)%n))))
	}
	e.enqueue(ops...)
	slices.SortFunc(ops, func(a, b store.Operation) int {
		if c := a.DueAt.Compare(b.DueAt); c != 0 {
			return c
		}
		return slices.Compare([]byte(a.ID), []byte(b.ID))
	})
	var got []store.Operation
	for range n/100 + 1 {
		got = append(got, e.claim("s", 100, 100)...)
	}
	e.wantOps("all, a hundred at a time", got, ops...)
}
