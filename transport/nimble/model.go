package nimble

import "github.com/rouse-dev/rouse/transport/nimble/model"

// The types that a provider needs to be served by a [Handler]. They are declared
// in package model, so that a provider need not import this package and the AWS
// SDK with it.
type (
	// Provider is what a [Handler] serves: the whole life of sessions.
	Provider = model.Provider
	// CreateInput asks for a new session in a studio.
	CreateInput = model.CreateInput
	// DeleteInput asks for one session to be deleted.
	DeleteInput = model.DeleteInput
	// Details is what the protocol says about a session and the port has no field for. It
	// is the type of a session's Details.
	Details = model.Details
)
