package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/transport/studio"
)

// running is an engine with a Run, and what ends it.
func running() (*engine.Engine, func()) {
	folder, err := os.MkdirTemp("", "rouse")
	if err != nil {
		panic(err)
	}
	e, err := engine.Open(filepath.Join(folder, "rouse.db"), studio.New(studio.Config{Any: true}), engine.Config{})
	if err != nil {
		panic(err)
	}
	go e.Run(context.Background())
	return e, func() { e.Close(); os.RemoveAll(folder) }
}

// A host that has an HTTP server mounts the API in it. It knows who its users are, and
// gives each request an identity: here, from basic authentication.
func ExampleHandler() {
	e, done := running()
	defer done()
	rouse := api.Handler(e, api.Config{Version: "1.2.3"})

	mux := http.NewServeMux()
	mux.Handle("/rouse/", http.StripPrefix("/rouse", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, ok := r.BasicAuth(); ok && password == "secret" { // the host's own check
			r = r.WithContext(access.NewContext(r.Context(), access.Identity{
				Name: name, Role: access.RoleOperator, Scope: access.Scope{"comp/ws-0*"},
			}))
		}
		rouse.ServeHTTP(w, r)
	})))
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, user := range []string{"kim:secret@", ""} {
		answer, err := http.Get("http://" + user + server.Listener.Addr().String() + "/rouse/v1/stats")
		if err != nil {
			panic(err)
		}
		answer.Body.Close()
		fmt.Println(answer.Status)
	}
	// Output:
	// 200 OK
	// 401 Unauthorized
}

// A program starts a session by another process's engine, and waits for the end. The
// token makes it safe to repeat the call after any error.
func ExampleClient() {
	e, done := running()
	defer done()
	handler := api.Handler(e, api.Config{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kim := access.Identity{Name: "kim", Role: access.RoleOperator}
		handler.ServeHTTP(w, r.WithContext(access.NewContext(r.Context(), kim)))
	}))
	defer server.Close()

	ctx := context.Background()
	client := api.NewClient(server.URL, nil, "rouse_…")
	r, err := client.Start(ctx, engine.Request{
		Ref: engine.Ref{StudioID: "comp", SessionID: "ws-001"}, ClientToken: "2026-12-01-ws-001",
	})
	if errors.Is(err, engine.ErrUnknown) {
		fmt.Println("it may have been asked for: repeat the call with the same token")
	}
	if err != nil {
		panic(err)
	}
	op, err := client.Wait(ctx, r.ID)
	fmt.Println(op.Phase, "as", op.RequestedBy, "asked", err)
	// Output:
	// SUCCEEDED as kim asked <nil>
}

// A program is written for the interface, and uses the engine or a client of it.
func ExampleEngine() {
	e, done := running()
	defer done()
	report := func(e api.Engine) {
		_, err := e.Find(context.Background(), engine.Ref{StudioID: "comp", SessionID: "none"})
		fmt.Println(errors.Is(err, engine.ErrNotFound))
	}
	report(e)

	handler := api.Handler(e, api.Config{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(access.NewContext(r.Context(), access.Identity{Name: "kim", Role: access.RoleViewer})))
	}))
	defer server.Close()
	report(api.NewClient(server.URL, nil, ""))
	// Output:
	// true
	// true
}
