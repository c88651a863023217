package storetest

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/store"
)

func closeTests() []test {
	return []test{
		{"every later call", closedCalls},
		{"calls that wait", closedWaiters},
		{"while calls arrive", closeUnderLoad},
		{"an ended context", canceled},
	}
}

// calls makes every call of a store once and returns the errors by name.
func (e *env) calls(ctx context.Context) map[string]error {
	o := e.op("s", "1")
	out := map[string]error{}
	_, out["Enqueue"] = e.Enqueue(ctx, []store.Operation{o})
	_, out["Apply"] = e.Apply(ctx, []store.Change{{Operation: o}})
	_, out["Own"] = e.Own(ctx)
	_, out["Claim"] = e.Claim(ctx, store.ClaimRequest{Now: e.now})
	out["Release"] = e.Release(ctx, []store.Operation{o})
	_, out["Due"] = e.Due(ctx, 0)
	out["BringForward"] = e.BringForward(ctx, e.now)
	_, out["Operation"] = e.Operation(ctx, o.ID)
	_, out["BySession"] = e.BySession(ctx, o.Ref)
	_, out["ByToken"] = e.ByToken(ctx, o.ClientToken)
	for _, f := range []store.Filter{{}, {Active: true}, {ClientToken: o.ClientToken}} {
		err := errors.New("no error from List")
		for _, lerr := range e.List(ctx, f) {
			err = lerr
		}
		out["List"] = errors.Join(out["List"], err)
	}
	_, out["Events"] = e.Events(ctx, "", 1)
	_, out["Head"] = e.Head(ctx)
	out["Await"] = e.Await(ctx, "")
	_, out["Lanes"] = e.Lanes(ctx)
	_, out["Lane"] = e.Lane(ctx, "s")
	out["SetBlock"] = e.SetBlock(ctx, "s", store.Block{Reason: "offline"})
	_, out["Records"] = e.Records(ctx, "clock")
	out["PutRecord"] = e.PutRecord(ctx, store.Record{Kind: "clock", Value: []byte("1")})
	out["SetPaused"] = e.SetPaused(ctx, "s", true, "mo", e.now)
	out["SetRetryAfter"] = e.SetRetryAfter(ctx, "s", e.now, e.now)
	out["SetPace"] = e.SetPace(ctx, "s", 1, e.now)
	if a, ok := e.Store.(store.Adopter); ok {
		out["Adopt"] = a.Adopt(ctx, "mo", e.now)
	}
	if b, ok := e.Store.(store.Backuper); ok {
		out["Backup"] = b.Backup(ctx, filepath.Join(e.TempDir(), "backup"))
	}
	_, out["Prune"] = e.Prune(ctx, store.Retention{EndedSince: e.now, Events: 1})
	_, out["Stats"] = e.Stats(ctx)
	return out
}

func closedCalls(e *env) {
	e.fill(1)
	for range 2 {
		if err := e.Close(); err != nil {
			e.Errorf("Close: %v", err)
		}
	}
	for name, err := range e.calls(e.ctx) {
		if !errors.Is(err, store.ErrClosed) {
			e.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
}

func closedWaiters(e *env) {
	e.fill(1)
	head, err := e.Head(e.ctx)
	if err != nil {
		e.Fatal(err)
	}
	seen := e.due(0).Seen
	errs := make(chan error, 2)
	go func() { errs <- e.Await(e.ctx, head) }()
	go func() { _, err := e.Due(e.ctx, seen); errs <- err }()
	if err := e.Close(); err != nil {
		e.Fatal(err)
	}
	for range 2 {
		if err := <-errs; !errors.Is(err, store.ErrClosed) {
			e.Errorf("a call that waited: %v, want ErrClosed", err)
		}
	}
}

// closeUnderLoad closes the store while calls are under way. Each call is durable or
// refused, and none hangs.
func closeUnderLoad(e *env) {
	var mu sync.Mutex
	var kept []store.ID
	var wg sync.WaitGroup
	first := make(chan struct{})
	var once sync.Once
	for range 8 {
		wg.Go(func() {
			for {
				o := e.op("s", string(e.op("s", "").ID))
				rs, err := e.Enqueue(e.ctx, []store.Operation{o})
				once.Do(func() { close(first) })
				if err != nil {
					if !errors.Is(err, store.ErrClosed) {
						e.Errorf("Enqueue: %v", err)
					}
					return
				}
				mu.Lock()
				kept = append(kept, rs[0].Operation.ID)
				mu.Unlock()
			}
		})
	}
	<-first
	if err := e.Close(); err != nil {
		e.Errorf("Close: %v", err)
	}
	wg.Wait()
	e.begin()
	for _, id := range kept {
		e.read(id)
	}
}

func canceled(e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	for name, err := range e.calls(ctx) {
		if !errors.Is(err, context.Canceled) {
			e.Errorf("%s with a canceled context: %v", name, err)
		}
	}
	if n := len(e.feed()); n != 0 {
		e.Errorf("%d events: a call whose context had ended before stored something", n)
	}
	// This context ends while the call waits.
	ctx, cancel = context.WithTimeout(e.ctx, 10*time.Millisecond)
	defer cancel()
	if err := e.Await(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
		e.Errorf("Await: %v", err)
	}
}
