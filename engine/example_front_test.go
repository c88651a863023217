package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

// front is a provider whose starts an engine carries out, so an accepted start survives a
// crash. All other calls go to the provider behind it.
type front struct {
	nimble.Provider
	engine *engine.Engine
}

func (f front) Start(ctx context.Context, in transport.StartInput) (engine.Session, error) {
	r, err := f.engine.Start(ctx, engine.Request{Ref: in.Ref, ClientToken: in.ClientToken})
	if errors.Is(err, engine.ErrActive) {
		return engine.Session{}, &engine.ProviderError{Kind: engine.ErrorKindConflict, Code: "ConflictException", Message: err.Error(), Err: err}
	}
	if err != nil {
		return engine.Session{}, err
	}
	session := engine.Session{Ref: in.Ref, State: engine.StateStartInProgress}
	if r.Operation.Session != "" {
		session.State = r.Operation.Session
	}
	return session, nil
}

// An engine behind the protocol's Handler makes starts durable, also while the provider
// cannot be reached. Any client of the service can use it, such as
// `aws nimble start-streaming-session --endpoint-url …`.
func Example_front() {
	dir, err := os.MkdirTemp("", "rouse")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	provider := studio.New(studio.Config{})
	provider.Add("comp", "ws-1")
	e, err := engine.Open(filepath.Join(dir, "rouse.db"), provider, engine.Config{})
	if err != nil {
		panic(err)
	}
	defer e.Close()
	server := httptest.NewServer(nimble.Handler(front{provider, e}, nimble.HandlerConfig{}))
	defer server.Close()

	provider.SetOffline(true) // a start would get no answer now
	client := nimble.NewFromConfig(aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String(server.URL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return crashKeys, nil }),
	})
	ctx := context.Background()
	ref := engine.Ref{StudioID: "comp", SessionID: "ws-1"}
	session, err := client.Start(ctx, transport.StartInput{Ref: ref, ClientToken: "monday"})
	fmt.Println(session.State, err)

	provider.SetOffline(false)
	go e.Run(ctx)
	op, err := e.Find(ctx, ref)
	if err != nil {
		panic(err)
	}
	op, err = e.Wait(ctx, op.ID)
	fmt.Println(op.ClientToken, op.Phase, provider.Effects(ref), err)
	// Output:
	// START_IN_PROGRESS <nil>
	// monday SUCCEEDED 1 <nil>
}
