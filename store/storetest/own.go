package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/rouse-dev/rouse/store"
)

func ownTests() []test {
	return []test{
		{"a second owner", ownTwice},
		{"one of many callers owns the store", ownRace},
		{"claims of the last owner have ended", ownAgain},
		{"an ended context", ownEnded},
		{"a call that waits ends with the context", ownWaiters},
		{"a release by the last owner does nothing", ownLateRelease},
		{"records need no owner", ownNothing},
	}
}

// ownTwice checks that a second owner is refused, and that the first can go on.
func ownTwice(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2"))
	e.wantOps("the owner", e.claim("s", 1, 0), ops[0])
	if c, err := e.Own(e.ctx); !errors.Is(err, store.ErrOwned) || c != nil {
		e.Errorf("a second owner: %v, %v, want ErrOwned", c, err)
	}
	e.wantOps("it goes on, and keeps its claim", e.claim("s", 9, 9), ops[1])
}

func ownRace(e *env) {
	e.disown()
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch _, err := e.Own(e.ctx); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, store.ErrOwned):
				e.Errorf("Own: %v, want ErrOwned", err)
			}
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		e.Errorf("%d of 8 own the store, want one", n)
	}
}

// ownAgain checks that an owner can claim what the last one had claimed, each operation as
// its record says.
func ownAgain(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2", tried), e.op("s", "3"), e.op("s", "4"))
	e.wantOps("claimed", e.claim("s", 2, 9), ops[0], ops[2], ops[1])
	changed := ops[2]
	changed.DueAt = e.at(1)
	changed = e.apply(changed, nil, false)
	e.disown()
	e.own()
	e.wantDue(e.due(0), store.LaneDue{Lane: "s", Send: e.now, Read: e.now})
	e.wantOps("claimed again", e.claim("s", 9, 9), ops[0], ops[3], ops[1])
	e.now = e.at(1)
	e.wantOps("the changed operation", e.claim("s", 9, 9), changed)
}

// claimCalls makes every call of c once and returns the errors by name.
func (e *env) claimCalls(c store.Claims, o store.Operation) map[string]error {
	out := map[string]error{}
	var got store.Claimed
	got, out["Claim"] = c.Claim(e.ctx, store.ClaimRequest{Now: e.now, Lanes: []store.LaneSlots{{Lane: o.Lane, Sends: 9, Reads: 9}}})
	if len(got.Operations) > 0 {
		e.Errorf("%v were claimed by an owner whose context has ended", sessions(got.Operations))
	}
	out["Release"] = c.Release(e.ctx, []store.Operation{o})
	_, out["Due"] = c.Due(e.ctx, 0)
	out["BringForward"] = c.BringForward(e.ctx, e.now)
	return out
}

func ownEnded(e *env) {
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2"))
	e.claim("s", 1, 0)
	last := e.Claims
	e.disown()
	for range 2 { // without another owner, and with one
		for name, err := range e.claimCalls(last, ops[0]) {
			if !errors.Is(err, context.Canceled) {
				e.Errorf("%s after the owner's context has ended: %v, want its error", name, err)
			}
		}
		e.disown()
		e.own()
	}
	e.wantOps("the next owner", e.claim("s", 9, 9), ops...)
}

func ownWaiters(e *env) {
	seen := e.due(0).Seen
	errs := make(chan error, 1)
	go func() { _, err := e.Due(e.ctx, seen); errs <- err }()
	e.disown()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		e.Errorf("Due: %v, want the error of the owner's context", err)
	}
}

func ownLateRelease(e *env) {
	o := e.enqueue(e.op("s", "1"))[0]
	e.wantOps("claimed", e.claim("s", 9, 9), o)
	last := e.Claims
	e.disown()
	e.own()
	e.wantOps("claimed by the next owner", e.claim("s", 9, 9), o)
	if err := last.Release(e.ctx, []store.Operation{o}); !errors.Is(err, context.Canceled) {
		e.Errorf("Release by the last owner: %v, want the error of its context", err)
	}
	e.wantOps("still claimed", e.claim("s", 9, 9))
}

// ownNothing checks that calls for records need no owner, and that the next owner sees their
// results.
func ownNothing(e *env) {
	e.disown()
	ops := e.enqueue(e.op("s", "1"), e.op("s", "2"))
	o := ops[0]
	o.LastError = "stored without an owner"
	o = e.apply(o, nil, true)
	e.own()
	e.wantOps("the next owner", e.claim("s", 9, 9), o, ops[1])
}
