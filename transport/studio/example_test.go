package studio_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// openLab is the code under test: it wakes a workstation and waits for it.
func openLab(ctx context.Context, t transport.Transport, ref transport.Ref, token string) error {
	for {
		_, err := t.Start(ctx, transport.StartInput{Ref: ref, ClientToken: token})
		if err == nil {
			break
		}
		var e *transport.Error
		if !errors.As(err, &e) || e.Kind.Refusal() {
			return err
		}
		time.Sleep(time.Second) // perhaps started: the same token is safe to repeat
	}
	for {
		session, err := t.Get(ctx, ref)
		if err != nil || session.State == fsm.Ready {
			return err
		}
		time.Sleep(10 * time.Second)
	}
}

// How a test of one's own code looks: in a bubble, where a boot of two minutes
// takes no time, with a provider that loses the first answer to a start.
func Example_test() {
	run := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := studio.New(studio.Config{
				Boot: 2 * time.Minute,
				Intercept: func(c studio.Call) studio.Fault {
					return studio.Fault{Lost: c.Action == studio.Start && c.Nth == 1}
				},
			})
			s.Add("lab", "ws-1")
			ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}

			if err := openLab(t.Context(), s, ref, "monday"); err != nil {
				t.Fatal(err)
			}
			if n, asked := s.Effects(ref), s.Calls(studio.Start); n != 1 || asked != 2 {
				t.Fatalf("asked %d times and started %d times, want 2 and 1", asked, n)
			}
		})
	}
	_ = run // go test calls it as TestOpenLab(t)
}

func ExampleStudio() {
	ctx := context.Background()
	s := studio.New(studio.Config{Quota: 1})
	s.Add("lab", "ws-1", "ws-2")
	first := transport.StartInput{Ref: transport.Ref{StudioID: "lab", SessionID: "ws-1"}, ClientToken: "monday-1"}

	session, err := s.Start(ctx, first)
	fmt.Println(session.State, err)
	session, err = s.Start(ctx, first) // the same token: no second start
	fmt.Println(session.State, err, s.Effects(first.Ref))

	_, err = s.Start(ctx, transport.StartInput{
		Ref: transport.Ref{StudioID: "lab", SessionID: "ws-2"}, ClientToken: "monday-2",
	})
	fmt.Println(errors.Is(err, transport.QuotaExceeded), err)
	// Output:
	// START_IN_PROGRESS <nil>
	// READY <nil> 1
	// true quota exceeded: ServiceQuotaExceededException: 1 sessions run: the quota is 1
}
