package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport/nimble"
)

const workerArg = "worker"

// credentials are valid only for the studio of the parent.
var credentials = aws.Credentials{AccessKeyID: "quickstart", SecretAccessKey: "known-to-everybody"}

// worker is the host, as a scheduler that embeds rouse would be. It requests the same
// sessions with the same tokens whenever it is started. It knows nothing about earlier
// workers.
func worker(ctx context.Context, db, endpoint string) error {
	client := nimble.NewFromConfig(aws.Config{
		Region:       "us-west-2",
		BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return credentials, nil
		}),
	})
	e, err := engine.Open(db, client, engine.Config{
		Timeout: 2 * time.Second, // the studio is near
		Lane:    func(string) engine.LaneConfig { return engine.LaneConfig{Rate: 20} },
	})
	if err != nil {
		return err
	}
	defer e.Close()

	requests := make([]engine.Request, sessions)
	for n := range requests {
		requests[n] = engine.Request{
			Ref:         engine.Ref{StudioID: studioID, SessionID: sessionID(n)},
			ClientToken: "quickstart-" + sessionID(n),
		}
	}
	receipts, err := e.StartAll(ctx, requests)
	if err != nil {
		return err
	}
	created := 0
	for _, r := range receipts {
		if r.Err != nil {
			return r.Err
		}
		if r.Created {
			created++
		}
	}
	fmt.Printf("queued %d new starts; %d were known already\n", created, len(receipts)-created)

	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	if created > 0 {
		if err := explainOnce(ctx, e, receipts[0].Operation.ID); err != nil {
			return err
		}
	}
	for _, r := range receipts {
		if _, err := e.Wait(ctx, r.ID); err != nil {
			return err
		}
	}
	return errors.Join(timeline(ctx, e), e.Close(), <-ran)
}

// explainOnce prints why the first start waits, as soon as that is known.
func explainOnce(ctx context.Context, e *engine.Engine, id engine.ID) error {
	for x, err := range e.Watch(ctx, id) {
		if err != nil {
			return err
		}
		if x.Waiting == engine.WaitOffline {
			fmt.Println("offline:", x.Text)
		}
		if x.Waiting != engine.WaitQueued && x.Waiting != engine.WaitNotRunning && x.Waiting != engine.WaitConfirm {
			return nil
		}
	}
	return nil
}

// timeline prints the feed from its beginning, with the events of earlier workers.
func timeline(ctx context.Context, e *engine.Engine) error {
	fmt.Println("the feed:")
	var began time.Time
	for ev, err := range e.Events(ctx, "") {
		if err != nil {
			return err
		}
		if began.IsZero() {
			began = ev.At
		}
		line := fmt.Sprintf("%4d  +%5.2fs  %s  %s -> %s %s", ev.Seq, ev.At.Sub(began).Seconds(), ev.Ref, ev.From, ev.To, ev.Reason)
		fmt.Println(strings.TrimRight(line, " ")) // most have no reason
	}
	return nil
}
