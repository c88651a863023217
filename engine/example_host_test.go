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

// exampleFile is a place for a store, and what removes it.
func exampleFile() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "rouse")
	if err != nil {
		panic(err)
	}
	return filepath.Join(dir, "rouse.db"), func() { os.RemoveAll(dir) }
}

// opened is an engine on a new file, and what closes it.
func opened() (*engine.Engine, func()) {
	path, remove := exampleFile()
	e, err := engine.Open(path, studio.New(studio.Config{Any: true}), engine.Config{})
	if err != nil {
		panic(err)
	}
	return e, func() { e.Close(); remove() }
}

// A host asks for a session and ends, by a crash as well as here. The next one
// opens the same file and goes on; it repeats its request with the same token,
// which starts nothing new.
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

// A scheduler that must know of every end stores the cursor with what it did,
// and goes on from there after a restart: no event is missed, and none comes
// twice.
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
		cursor = ev.Cursor // stored together with what the host does about it
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

// Why is it late? Explain says so at any time: the reason as data, and a
// sentence for a person.
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

// Cancel says whether it was in time.
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

// A pause holds a lane's sends, also after a restart, until somebody resumes it.
// What was sent is followed all the same.
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
