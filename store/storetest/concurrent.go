package storetest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

func concurrentTests() []test {
	return []test{
		{"many request one session", oneOfMany},
		{"many change one version", oneChange},
		{"many claim", claimedByOne},
		{"a reader follows writers", follower},
	}
}

func oneOfMany(e *env) {
	const callers, sessions = 16, 5
	var mu sync.Mutex
	created := map[string]int{}
	var wg sync.WaitGroup
	for range callers {
		ops := make([]store.Operation, sessions)
		for i := range ops {
			ops[i] = e.op("s", fmt.Sprint(i))
		}
		wg.Go(func() {
			for _, o := range ops {
				rs, err := e.Enqueue(e.ctx, []store.Operation{o})
				if err != nil || rs[0].Err != nil {
					e.Errorf("Enqueue: %v, %v", rs, err)
					return
				}
				mu.Lock()
				if rs[0].Created {
					created[o.Ref.SessionID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i := range sessions {
		if n := created[fmt.Sprint(i)]; n != 1 {
			e.Errorf("session %d: %d callers got a receipt with Created", i, n)
		}
	}
	if n := len(e.feed()); n != sessions {
		e.Errorf("%d events, want %d", n, sessions)
	}
}

func oneChange(e *env) {
	o := e.enqueue(e.op("s", "1"))[0]
	var won, lost int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			mine := o
			mine.LastError = fmt.Sprint(i)
			errs, err := e.Apply(e.ctx, []store.Change{{Operation: mine}})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && errs[0] == nil:
				won++
			case err == nil && errors.Is(errs[0], store.ErrFenced):
				lost++
			default:
				e.Errorf("Apply: %v, %v", errs, err)
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 15 || e.read(o.ID).Version != 2 {
		e.Errorf("%d changes were applied and %d fenced", won, lost)
	}
}

func claimedByOne(e *env) {
	const n = 200
	ops := make([]store.Operation, n)
	for i := range ops {
		ops[i] = e.op("s", fmt.Sprint(i))
	}
	e.enqueue(ops...)
	var mu sync.Mutex
	held := map[store.ID]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				c, err := e.Claim(e.ctx, store.ClaimRequest{Now: e.now, Lanes: []store.LaneSlots{{Lane: "s", Sends: 3}}})
				if err != nil {
					e.Errorf("Claim: %v", err)
				}
				if len(c.Operations) == 0 {
					return
				}
				mu.Lock()
				for _, o := range c.Operations {
					held[o.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, o := range ops {
		if held[o.ID] != 1 {
			e.Errorf("%s was claimed %d times", o.Ref, held[o.ID])
		}
	}
}

// follower reads the feed while it is written. It must read every event once, and with each
// event the record of its operation.
func follower(e *env) {
	const writers, each = 4, 25
	var wg sync.WaitGroup
	for w := range writers {
		ops := make([]store.Operation, each)
		for i := range ops {
			ops[i] = e.op("s", fmt.Sprint(w, "-", i))
		}
		wg.Go(func() {
			for _, o := range ops {
				rs, err := e.Enqueue(e.ctx, []store.Operation{o})
				if err != nil || rs[0].Err != nil {
					e.Errorf("Enqueue: %v", err)
					return
				}
				o = rs[0].Operation
				from := o.Phase
				o.Phase, o.FinishedAt = fsm.PhaseSucceeded, e.now
				ev := store.Event{Operation: o.ID, Ref: o.Ref, From: from, To: o.Phase, At: e.now}
				if errs, err := e.Apply(e.ctx, []store.Change{{Operation: o, Events: []store.Event{ev}}}); err != nil || errs[0] != nil {
					e.Errorf("Apply: %v, %v", errs, err)
				}
			}
		})
	}
	seen := map[store.ID][]fsm.Phase{}
	after := store.Cursor("")
	for n := 0; n < 2*writers*each; {
		if err := e.Await(e.ctx, after); err != nil {
			e.Errorf("Await: %v", err)
			break
		}
		events, err := e.Events(e.ctx, after, 10)
		if err != nil || len(events) == 0 {
			e.Errorf("Events after an Await: %v, %v", events, err)
			break
		}
		for _, ev := range events {
			n++
			if ev.Seq != uint64(n) {
				e.Errorf("event %d came as number %d", ev.Seq, n)
			}
			seen[ev.Operation] = append(seen[ev.Operation], ev.To)
			if o, err := e.Operation(e.ctx, ev.Operation); err != nil || ev.To == fsm.PhaseSucceeded && o.Phase != fsm.PhaseSucceeded {
				e.Errorf("event %d says %s, the record %s, %v", ev.Seq, ev.To, o.Phase, err)
			}
			after = ev.Cursor
		}
	}
	wg.Wait()
	for id, phases := range seen {
		if len(phases) != 2 || phases[0] != fsm.PhaseQueued || phases[1] != fsm.PhaseSucceeded {
			e.Errorf("operation %s: %v", id, phases)
		}
	}
}
