package driver

import "github.com/rouse-dev/rouse/store"

// Created returns the event of an operation that was just created.
func Created(o *store.Operation) store.Event {
	return store.Event{Operation: o.ID, Ref: o.Ref, To: o.Phase, By: o.RequestedBy, At: o.CreatedAt}
}

// CreatedNext returns the event of c.Next, which must not be nil. Its time is the end
// of the operation that c.Next follows.
func CreatedNext(c *store.Change) store.Event {
	e := Created(c.Next)
	e.At = c.Operation.FinishedAt
	return e
}
