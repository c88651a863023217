package engine_test

import (
	"context"
	"log"
	"os"
	"os/signal"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport/studio"
)

// A whole host: it wakes two workstations and says what became of them. The
// README shows it.
func Example_embed() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	provider := studio.New(studio.Config{Any: true}) // or nimble.NewFromConfig(awsConfig)
	e, err := engine.Open("rouse.db", provider, engine.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close() // waits for Run
	go e.Run(ctx)   // carries out whatever the file holds, from now or before a crash
	for _, ws := range []string{"ws-041", "ws-042"} {
		ref := engine.Ref{StudioID: "comp", SessionID: ws}
		r, err := e.Start(ctx, engine.Request{Ref: ref, ClientToken: "2026-11-23-" + ws})
		if err != nil {
			log.Fatal(err)
		}
		op, err := e.Wait(ctx, r.Operation.ID) // nil only if the session is READY
		log.Println(op.Ref, op.Phase, err)
	}
}
