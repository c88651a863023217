// Package model has the types of the Nimble Studio protocol that a server needs:
// what it can do ([Provider]), the inputs that only it takes, and what it knows
// of a session beyond the fields of the port ([Details]).
//
// Package nimble, whose Handler serves a Provider, names these types too. They
// live here so that a provider can implement them without importing the driver
// and, with it, the AWS SDK: transport/studio does. A struct in a method's
// signature cannot be matched by shape, so an interface alone would not do.
package model

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse/transport"
)

// Provider is what a server of the protocol needs behind it: the whole life of sessions.
// Its errors are like those of a [transport.Transport], and it is safe for concurrent
// use.
type Provider interface {
	transport.Transport
	transport.Lister
	// Stop asks for a READY session to become STOPPED.
	Stop(ctx context.Context, in transport.StopInput) (transport.Session, error)
	// Create asks for a new session, which becomes READY.
	Create(ctx context.Context, in CreateInput) (transport.Session, error)
	// Delete asks for a session to become DELETED.
	Delete(ctx context.Context, in DeleteInput) (transport.Session, error)
}

// CreateInput asks for a new session in a studio. StudioID and ClientToken are required.
// A provider ignores the fields that it does not use.
type CreateInput struct {
	StudioID         string
	ClientToken      string // see [transport.CheckToken]
	LaunchProfileID  string
	EC2InstanceType  string
	OwnedBy          string
	StreamingImageID string
	Tags             map[string]string
}

// Validate returns an *transport.Error of kind KindInvalid unless in has a valid
// studio id and client token.
func (in CreateInput) Validate() error {
	if err := transport.CheckID("studio id", in.StudioID); err != nil {
		return err
	}
	return transport.CheckToken(in.ClientToken)
}

// DeleteInput asks for one session to be deleted.
type DeleteInput struct {
	transport.Ref
	ClientToken string // see [transport.CheckToken]
}

// Validate returns an *transport.Error of kind KindInvalid unless in has a valid
// Ref and client token.
func (in DeleteInput) Validate() error {
	return transport.StartInput{Ref: in.Ref, ClientToken: in.ClientToken}.Validate()
}

// Details is what the protocol says about a session and the port has no field for. A
// provider sets it as the value of [transport.Session].Details. A zero field is unknown.
// Times are in UTC.
type Details struct {
	ARN             string
	StartedBy       string
	StoppedBy       string
	UpdatedBy       string
	LaunchProfileID string
	StopAt          time.Time // when the provider will stop the session
	TerminateAt     time.Time // when the provider will delete the session
}

// DetailsOf returns the Details of s, or the zero value if it has none.
func DetailsOf(s transport.Session) Details {
	d, _ := s.Details.(Details)
	return d
}
