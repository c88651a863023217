package nimble_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// A Client asks a Handler for a session of an in-process studio. The Handler verifies the
// client's signature.
func Example() {
	lab := studio.New(studio.Config{})
	lab.Add("lab", "ws-1")
	keys := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}
	server := httptest.NewServer(nimble.Handler(lab, nimble.HandlerConfig{Credentials: nimble.Keys(keys)}))
	defer server.Close()

	client := nimble.NewFromConfig(aws.Config{ // or use the config of config.LoadDefaultConfig
		Region:       "eu-central-1",
		BaseEndpoint: aws.String(server.URL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return keys, nil
		}),
		HTTPClient: server.Client(),
	})
	ctx := context.Background()
	ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}
	session, err := client.Start(ctx, transport.StartInput{Ref: ref, ClientToken: "monday-ws-1"})
	fmt.Println(session.State, err)
	session, err = client.Get(ctx, ref)
	fmt.Println(session.State, err)
	// Output:
	// START_IN_PROGRESS <nil>
	// READY <nil>
}

// An error matches the port's error type and the SDK's.
func ExampleClient() {
	server := httptest.NewServer(nimble.Handler(studio.New(studio.Config{}), nimble.HandlerConfig{}))
	defer server.Close()
	client := nimble.New(nimble.Options{
		Region:       "eu-central-1",
		BaseEndpoint: aws.String(server.URL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, nil
		}),
		HTTPClient: server.Client(),
	})
	_, err := client.Get(context.Background(), transport.Ref{StudioID: "lab", SessionID: "nobody"})
	fmt.Println(errors.Is(err, transport.KindNotFound))
	var e *transport.Error
	if errors.As(err, &e) {
		fmt.Println(e.HTTPStatusCode, e.Context["resourceId"])
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		fmt.Println(api.ErrorCode(), api.ErrorFault())
	}
	// Output:
	// true
	// 404 nobody
	// ResourceNotFoundException client
}
