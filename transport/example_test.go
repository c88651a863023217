package transport_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// power is the vendor's library for a rack of machines.
type power interface {
	On(ctx context.Context, machine string) error                      // does nothing if the machine is on
	Since(ctx context.Context, machine string) (on time.Time, _ error) // the zero time means that it is off
}

var errNoMachine = errors.New("no such machine")

// rack is a whole driver. The sessions of a studio are the machines of a rack.
type rack struct{ power power }

// Traits says that starting a machine that runs does nothing.
func (rack) Traits(transport.Ref) transport.Traits {
	return transport.Traits{Repeat: transport.RepeatByState}
}

func (r rack) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	if err := in.Validate(); err != nil { // checks the ref and the token
		return transport.Session{}, err
	}
	if err := ctx.Err(); err != nil { // the library may not check ctx before it acts
		return transport.Session{}, failed(err)
	}
	if err := r.power.On(ctx, in.SessionID); err != nil { // once, without a retry
		return transport.Session{}, failed(err)
	}
	return transport.Session{Ref: in.Ref, State: fsm.StateStartInProgress}, nil
}

func (r rack) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	if err := ref.Validate(); err != nil {
		return transport.Session{}, err
	}
	on, err := r.power.Since(ctx, ref.SessionID)
	switch {
	case err != nil:
		return transport.Session{}, failed(err)
	case on.IsZero():
		return transport.Session{Ref: ref, State: fsm.StateStopped}, nil
	}
	return transport.Session{Ref: ref, State: fsm.StateReady, StartedAt: on.UTC()}, nil
}

// failed returns the provider's refusals with their kind. It leaves all other errors,
// such as time-outs and cut connections, to Classify.
func failed(err error) error {
	if errors.Is(err, errNoMachine) {
		return &transport.Error{Kind: transport.KindNotFound, Err: err}
	}
	return transport.Classify(err)
}

// A driver for machines that a library switches on. The type rack is the whole
// driver, and it passes the suite of package transporttest.
func Example() {
	ctx := context.Background()
	t := rack{power: newShelf("ws-1")}
	ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}

	session, err := t.Get(ctx, ref)
	fmt.Println(session.State, err)
	session, err = t.Start(ctx, transport.StartInput{Ref: ref, ClientToken: "monday"})
	fmt.Println(session.State, err)
	session, err = t.Get(ctx, ref)
	fmt.Println(session.State, err)

	_, err = t.Start(ctx, transport.StartInput{Ref: ref})
	fmt.Println(err)
	// Output:
	// STOPPED <nil>
	// START_IN_PROGRESS <nil>
	// READY <nil>
	// invalid: ValidationException: client token "" has 0 characters: 1 to 64 are allowed
}
