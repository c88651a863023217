package hook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/hook"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport/studio"
)

// A host runs its hooks next to the engine, and ends them after it.
func Example() {
	ctx := context.Background()
	told := make(chan string, 1)
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var delivery struct{ Topic, Text string }
		_ = json.NewDecoder(r.Body).Decode(&delivery)
		told <- delivery.Topic + ": " + delivery.Text
	}))
	defer chat.Close()
	dir, err := os.MkdirTemp("", "rouse")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	s, err := bolt.Open(filepath.Join(dir, "rouse.db"), bolt.Config{})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	e, err := engine.New(s, studio.New(studio.Config{Any: true}), engine.Config{})
	if err != nil {
		panic(err)
	}
	defer e.Close()
	hooks, err := hook.Open(ctx, e, s, hook.Config{Hooks: []hook.Hook{
		{Name: "chat", URL: chat.URL, On: []hook.Topic{hook.TopicSucceeded}},
	}})
	if err != nil {
		panic(err)
	}
	running, stop := context.WithCancel(ctx)
	delivering, end := context.WithCancel(ctx)
	ran, ended := make(chan error, 1), make(chan error, 1)
	go func() { ran <- e.Run(running) }()
	go func() { ended <- hooks.Run(delivering) }()

	if _, err := e.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "lab", SessionID: "ws-1"}}); err != nil {
		panic(err)
	}
	fmt.Println(<-told)
	stop()
	fmt.Println(<-ran)
	end()
	fmt.Println(<-ended)
	// Output:
	// succeeded: lab/ws-1 SUCCEEDED
	// <nil>
	// <nil>
}
