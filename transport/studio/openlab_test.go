package studio_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// openLab is the code under test. It wakes a workstation and waits.
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
		time.Sleep(time.Second) // outcome unknown; the same token makes a repeat safe
	}
	for {
		session, err := t.Get(ctx, ref)
		if err != nil || session.State == fsm.StateReady {
			return err
		}
		time.Sleep(10 * time.Second)
	}
}

// TestOpenLab is an example of a test of your own code. In a bubble a boot of two minutes
// takes no time. The studio loses the first answer.
func TestOpenLab(t *testing.T) {
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
			t.Errorf("asked %d times and started %d times, want 2 and 1", asked, n)
		}
	})
}
