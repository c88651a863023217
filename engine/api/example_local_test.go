package api_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/transport/studio"
)

// A host lets the rouse tool and other programs of the machine in by one line. They find
// the socket next to the database.
func ExampleListenLocal() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	db := filepath.Join(folder, "rouse.db")
	e, err := engine.Open(db, studio.New(studio.Config{Any: true, Boot: time.Millisecond}), engine.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = e.Close() }()

	local, err := api.ListenLocal(e, db, api.LocalConfig{}) // this is the line
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = local.Close() }()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()

	// Another process of the same user, such as "rouse --db rouse.db start lab ws-1 --wait":
	c, err := api.DialLocal(ctx, db, 5*time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := c.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "lab", SessionID: "ws-1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	op, err := c.Wait(ctx, r.ID)
	fmt.Println(op.Ref, op.Phase, err)

	stop()
	fmt.Println(<-ran)
	// Output:
	// lab/ws-1 SUCCEEDED <nil>
	// <nil>
}
