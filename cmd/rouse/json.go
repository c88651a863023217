package main

import (
	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/jsontext"
)

// recordOf returns the JSON of an operation and of why it waits, as far as the record
// says. See [engine.Explanation.MarshalJSON].
func recordOf(o engine.Operation) engine.Explanation {
	return engine.Explanation{Operation: o, Error: o.LastError, ErrorAt: o.LastErrorAt}
}

// shownRecord is what "show" prints with --json: an operation, why it waits, and its
// events.
type shownRecord struct {
	operation engine.Explanation
	events    []engine.Event
}

func (r shownRecord) MarshalJSON() ([]byte, error) {
	return jsontext.Object(r.operation, struct {
		Events []engine.Event `json:"events,omitempty"`
	}{r.events})
}

// requestRecord is what "start" prints with --json: the operation, and what the request
// did.
type requestRecord struct {
	operation engine.Explanation
	receipt   engine.Receipt
}

func (r requestRecord) MarshalJSON() ([]byte, error) {
	return jsontext.Object(r.operation, struct {
		Request string `json:"request"`
	}{r.receipt.Outcome()})
}
