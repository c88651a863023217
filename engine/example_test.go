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

// The main use: request a session, and wait until it is READY.
func Example() {
	dir, err := os.MkdirTemp("", "rouse")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	provider := studio.New(studio.Config{Boot: 50 * time.Millisecond})
	provider.Add("studio", "ws-1")
	e, err := engine.Open(filepath.Join(dir, "rouse.db"), provider, engine.Config{})
	if err != nil {
		panic(err)
	}
	defer e.Close()

	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	go e.Run(ctx) // Close ends the Run, and waits for it

	r, err := e.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "studio", SessionID: "ws-1"}})
	if err != nil {
		panic(err)
	}
	op, err := e.Wait(ctx, r.ID)
	fmt.Println(op.Ref, op.Phase, op.Session, err)
	for ev, err := range e.Events(ctx, "") {
		fmt.Println(ev.Seq, ev.From, "->", ev.To, err)
	}
	// Output:
	// studio/ws-1 SUCCEEDED READY <nil>
	// 1  -> QUEUED <nil>
	// 2 QUEUED -> STARTING <nil>
	// 3 STARTING -> SUCCEEDED <nil>
}
