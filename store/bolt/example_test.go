package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
)

// A request survives a restart.
func ExampleOpen() {
	folder, err := os.MkdirTemp("", "rouse")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "rouse.db")
	ctx := context.Background()

	s, err := bolt.Open(path, bolt.Config{})
	if err != nil {
		log.Fatal(err)
	}
	now := time.Now()
	if _, err := s.Enqueue(ctx, []store.Operation{{
		ID: "019a7d3c-5a10-7c3e-8f00-0242ac120002", ClientToken: "019a7d3c-5a10-7c3e-8f00-0242ac120002",
		Ref: transport.Ref{StudioID: "studio", SessionID: "anna"}, Lane: "studio", Phase: fsm.PhaseQueued,
		CreatedAt: now, NotBefore: now, DueAt: now, ExpiresAt: now.Add(24 * time.Hour),
	}}); err != nil {
		log.Fatal(err)
	}
	if _, err := bolt.Open(path, bolt.Config{}); errors.Is(err, bolt.ErrLocked) {
		fmt.Println("the database is locked")
	}
	if err := s.Close(); err != nil {
		log.Fatal(err)
	}

	s, err = bolt.Open(path, bolt.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	o, err := s.BySession(ctx, transport.Ref{StudioID: "studio", SessionID: "anna"})
	fmt.Println(o.Ref, o.Phase, err)
	// Output:
	// the database is locked
	// studio/anna QUEUED <nil>
}
