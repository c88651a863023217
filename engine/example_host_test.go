package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport/studio"
)

// exampleFile returns a path for a store, and a function that removes it.
func exampleFile() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "rouse")
	if err != nil {
		panic(err)
	}
	return filepath.Join(dir, "rouse.db"), func() { os.RemoveAll(dir) }
}

// opened returns an engine on a new file, and a function that closes it.
func opened() (*engine.Engine, func()) {
	path, remove := exampleFile()
	e, err := engine.Open(path, studio.New(studio.Config{Any: true}), engine.Config{})
	if err != nil {
		panic(err)
	}
	return e, func() { e.Close(); remove() }
}

// A host requests a session and ends, here without a crash. The next host opens the same
// file and goes on. It repeats the request with the same token, which starts nothing again.
func ExampleOpen_restart() {
	path, remove := exampleFile()
	defer remove()
	provider := studio.New(studio.Config{Any: true})
	monday := engine.Request{Ref: engine.Ref{StudioID: "comp", SessionID: "ws-1"}, ClientToken: "monday"}
	ctx := context.Background()
	for range 2 {
		e, err := engine.Open(path, provider, engine.Config{})
		if err != nil {
			panic(err)
		}
		r, err := e.Start(ctx, monday)
		fmt.Println("created:", r.Created, err)
		if !r.Created {
			go e.Run(ctx)
			op, err := e.Wait(ctx, r.ID)
			fmt.Println(op.Phase, "by token", op.ClientToken, err)
		}
		e.Close()
	}
	fmt.Println("started", provider.Effects(monday.Ref), "time")
	// Output:
	// created: true <nil>
	// created: false <nil>
	// SUCCEEDED by token monday <nil>
	// started 1 time
}

// A scheduler that must know of every end stores the cursor with its own work, and goes on
// from there after a restart. It misses no event, and no event comes twice.
func ExampleEngine_Follow() {
	e, done := opened()
	defer done()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go e.Run(ctx)
	if _, err := e.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "comp", SessionID: "ws-1"}}); err != nil {
		panic(err)
	}
	var cursor engine.Cursor // as stored by the host; "" is the beginning
	for ev, err := range e.Follow(ctx, cursor) {
		if err != nil {
			panic(err)
		}
		cursor = ev.Cursor // stored together with the host's work on the event
		fmt.Println(ev.Seq, ev.Ref, ev.To)
		if ev.To == engine.PhaseStarting {
			break // the host ends here, and the next one goes on
		}
	}
	for ev, err := range e.Follow(ctx, cursor) {
		fmt.Println(ev.Seq, ev.Ref, ev.To, err)
		break
	}
	// Output:
	// 1 comp/ws-1 QUEUED
	// 2 comp/ws-1 STARTING
	// 3 comp/ws-1 SUCCEEDED <nil>
}

// Explain says why an operation waits: the reason as data, and a sentence for a person.
func ExampleEngine_Explain() {
	e, done := opened()
	defer done()
	ctx := context.Background()
	r, err := e.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "comp", SessionID: "ws-1"}})
	if err != nil {
		panic(err)
	}
	why, err := e.Explain(ctx, r.Operation.ID) // nothing runs this store yet
	fmt.Println(why.Waiting, "until there is", why.Unblock, err)
	// Output:
	// not_running until there is a Run of the engine <nil>
}

// Cancel reports whether the operation was sent already.
func ExampleEngine_Cancel() {
	e, done := opened()
	defer done()
	ctx := context.Background()
	r, err := e.Start(ctx, engine.Request{
		Ref: engine.Ref{StudioID: "comp", SessionID: "ws-1"}, NotBefore: time.Now().Add(8 * time.Hour), // for tomorrow
	})
	if err != nil {
		panic(err)
	}
	for range 2 {
		outcome, err := e.Cancel(ctx, r.Operation.ID, "mo")
		fmt.Println(outcome, err)
	}
	// Output:
	// never sent: canceled <nil>
	// ended already: nothing changed <nil>
}

// A pause stops a lane's sends, also after a restart, until a resume. Sessions that were
// sent a start are still polled.
func ExampleEngine_Pause() {
	e, done := opened()
	defer done()
	ctx := context.Background()
	go e.Run(ctx)
	if err := e.Pause(ctx, "comp", "mo"); err != nil {
		panic(err)
	}
	r, err := e.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "comp", SessionID: "ws-1"}})
	if err != nil {
		panic(err)
	}
	for x, err := range e.Watch(ctx, r.Operation.ID) { // each change, until the end
		if err != nil {
			panic(err)
		}
		switch {
		case x.Waiting == engine.WaitPaused:
			fmt.Println("waits for", x.Unblock)
			if err := e.Resume(ctx, "comp", "mo"); err != nil {
				panic(err)
			}
		case x.Operation.Phase.Ended():
			fmt.Println(x.Operation.Phase)
		}
	}
	// Output:
	// waits for a resume of lane comp
	// SUCCEEDED
}
