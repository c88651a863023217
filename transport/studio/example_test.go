package studio_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

func Example() {
	ctx := context.Background()
	s := studio.New(studio.Config{Quota: 1})
	s.Add("lab", "ws-1", "ws-2")
	first := transport.StartInput{Ref: transport.Ref{StudioID: "lab", SessionID: "ws-1"}, ClientToken: "monday-1"}

	session, err := s.Start(ctx, first)
	fmt.Println(session.State, err)
	session, err = s.Start(ctx, first) // the same token starts nothing again
	fmt.Println(session.State, err, s.Effects(first.Ref))

	_, err = s.Start(ctx, transport.StartInput{
		Ref: transport.Ref{StudioID: "lab", SessionID: "ws-2"}, ClientToken: "monday-2",
	})
	fmt.Println(errors.Is(err, transport.KindQuotaExceeded), err)
	// Output:
	// START_IN_PROGRESS <nil>
	// READY <nil> 1
	// true quota exceeded: ServiceQuotaExceededException: 1 sessions run: the quota is 1
}

// The outcome is unknown after a start whose answer was lost. A Get, or the same token
// again, shows it.
func ExampleConfig_intercept() {
	ctx := context.Background()
	s := studio.New(studio.Config{Intercept: func(c studio.Call) studio.Fault {
		return studio.Fault{Lost: c.Action == studio.Start && c.Nth == 1}
	}})
	s.Add("lab", "ws-1")
	in := transport.StartInput{Ref: transport.Ref{StudioID: "lab", SessionID: "ws-1"}, ClientToken: "monday"}

	_, err := s.Start(ctx, in)
	fmt.Println(errors.Is(err, transport.KindUnknown), err)
	session, err := s.Start(ctx, in)
	fmt.Println(session.State, err, s.Effects(in.Ref))
	// Output:
	// true unknown outcome: the answer was lost
	// READY <nil> 1
}
