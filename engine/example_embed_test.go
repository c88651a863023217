package engine_test

import (
	"context"
	"log"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport/studio"
)

// A whole host: it starts two workstations and prints the results. The README shows it.
func Example_embed() {
	ctx := context.Background()
	provider := studio.New(studio.Config{Any: true}) // or nimble, ec2, wol, exec, libvirt
	e, err := engine.Open("rouse.db", provider, engine.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close() // waits for Run
	go e.Run(ctx)   // carries out all operations of the file, also those from before a crash
	receipts, err := e.StartAll(ctx, []engine.Request{
		{Ref: engine.Ref{StudioID: "comp", SessionID: "ws-041"}, ClientToken: "2026-11-30-ws-041"},
		{Ref: engine.Ref{StudioID: "comp", SessionID: "ws-042"}, ClientToken: "2026-11-30-ws-042"},
	}) // both requests are on disk; the same tokens start nothing again
	if err != nil {
		log.Panic(err)
	}
	for _, r := range receipts {
		if r.Err == nil {
			_, r.Err = e.Wait(ctx, r.ID) // nil only if the session was READY
		}
		log.Println(r.Operation.Ref, r.Err)
	}
}
