package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/jsontext"
	"github.com/rouse-dev/rouse/transport"
)

// The wire form in JSON. The tool prints it and an HTTP API sends it. Names follow the Go
// fields, times are RFC 3339 in UTC, and zero values are left out. A reader ignores
// members that it does not know, so a newer server may send more.
//
// A Phase, State or Reason is a string and is kept unchanged, because a newer server may
// send new ones; see [fsm.Phase.Known]. Sent has three words, and any other is an error.
// The kind of an operation's last error is information only. An unknown word is read as
// [transport.KindUnknown].

// sentWords are the values of Sent: append only.
var sentWords = [...]string{"no", "unknown", "accepted"}

// MarshalText returns "no", "unknown" or "accepted".
func (s Sent) MarshalText() ([]byte, error) {
	if int(s) >= len(sentWords) {
		return nil, fmt.Errorf("store: Sent has no value %d", uint8(s))
	}
	return []byte(sentWords[s]), nil
}

// UnmarshalText reads a word of MarshalText. Any other word is an error that names it,
// and leaves s unchanged.
func (s *Sent) UnmarshalText(text []byte) error {
	for i, word := range sentWords {
		if word == string(text) {
			*s = Sent(i)
			return nil
		}
	}
	return fmt.Errorf("store: %.80q does not say what was sent; the words are no, unknown and accepted", text)
}

// operationJSON is an Operation in JSON.
type operationJSON struct {
	ID          ID     `json:"id"`
	StudioID    string `json:"studioId"`
	SessionID   string `json:"sessionId"`
	Lane        string `json:"lane,omitempty"`
	ClientToken string `json:"clientToken"`

	Phase         fsm.Phase              `json:"phase"`
	SessionState  fsm.State              `json:"sessionState,omitempty"`
	StatusCode    string                 `json:"statusCode,omitempty"`
	StatusMessage string                 `json:"statusMessage,omitempty"`
	Probe         *transport.ProbeResult `json:"probe,omitempty"`
	StatusAt      time.Time              `json:"statusAt,omitzero"`
	Sent          Sent                   `json:"sent"`
	Attempts      int                    `json:"attempts"`

	CreatedAt    time.Time `json:"createdAt,omitzero"`
	NotBefore    time.Time `json:"notBefore,omitzero"`
	DueAt        time.Time `json:"dueAt,omitzero"`
	ExpiresAt    time.Time `json:"expiresAt,omitzero"`
	SentAt       time.Time `json:"sentAt,omitzero"`
	LastSentAt   time.Time `json:"lastSentAt,omitzero"`
	AcceptedAt   time.Time `json:"acceptedAt,omitzero"`
	BootDeadline time.Time `json:"bootDeadline,omitzero"`
	FinishedAt   time.Time `json:"finishedAt,omitzero"`

	EndReason   Reason    `json:"endReason,omitempty"`
	CancelBy    string    `json:"cancelBy,omitempty"`
	CancelAt    time.Time `json:"cancelAt,omitzero"`
	LastError   string    `json:"lastError,omitempty"`
	LastKind    string    `json:"lastKind,omitempty"`
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	ErrorSince  time.Time `json:"errorSince,omitzero"`

	Labels       map[string]string `json:"labels,omitempty"`
	RequestedBy  string            `json:"requestedBy,omitempty"`
	Source       string            `json:"source,omitempty"`
	Reason       string            `json:"reason,omitempty"`
	RetryOf      ID                `json:"retryOf,omitempty"`
	LaterRequest *LaterRequest     `json:"laterRequest,omitempty"`
}

// MarshalJSON writes the operation. It leaves out what only the engine and the store use:
// Interval, Shortages, StartedSeen, SentProviderTime, CreatedUp, SentUp, Version, and a
// later request that is done.
func (o Operation) MarshalJSON() ([]byte, error) {
	w := operationJSON{
		ID: o.ID, StudioID: o.Ref.StudioID, SessionID: o.Ref.SessionID, Lane: o.Lane, ClientToken: o.ClientToken,
		Phase: o.Phase, SessionState: o.Session, StatusCode: o.StatusCode, StatusMessage: o.StatusMessage,
		StatusAt: utc(o.StatusAt), Sent: o.Sent, Attempts: o.Attempts,
		CreatedAt: utc(o.CreatedAt), NotBefore: utc(o.NotBefore), DueAt: utc(o.DueAt), ExpiresAt: utc(o.ExpiresAt),
		SentAt: utc(o.SentAt), LastSentAt: utc(o.LastSentAt), AcceptedAt: utc(o.AcceptedAt),
		BootDeadline: utc(o.BootDeadline), FinishedAt: utc(o.FinishedAt),
		EndReason: o.EndReason, CancelBy: o.CancelBy, CancelAt: utc(o.CancelAt),
		LastError: o.LastError, LastErrorAt: utc(o.LastErrorAt), ErrorSince: utc(o.ErrorSince),
		Labels: o.Labels, RequestedBy: o.RequestedBy, Source: o.Source, Reason: o.Reason, RetryOf: o.RetryOf,
	}
	if o.Probe != (transport.ProbeResult{}) {
		p := o.Probe
		p.At = utc(p.At)
		w.Probe = &p
	}
	if o.LastError != "" {
		word, _ := o.LastKind.MarshalText() // it has no error
		w.LastKind = string(word)
	}
	if o.Later.Pending() {
		w.LaterRequest = o.Later
	}
	return jsontext.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON writes. It clears all other fields of o.
func (o *Operation) UnmarshalJSON(text []byte) error {
	var w operationJSON
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	*o = Operation{
		ID: w.ID, Ref: transport.Ref{StudioID: w.StudioID, SessionID: w.SessionID}, Lane: w.Lane, ClientToken: w.ClientToken,
		Phase: w.Phase, Session: w.SessionState, StatusCode: w.StatusCode, StatusMessage: w.StatusMessage,
		StatusAt: utc(w.StatusAt), Sent: w.Sent, Attempts: w.Attempts,
		CreatedAt: utc(w.CreatedAt), NotBefore: utc(w.NotBefore), DueAt: utc(w.DueAt), ExpiresAt: utc(w.ExpiresAt),
		SentAt: utc(w.SentAt), LastSentAt: utc(w.LastSentAt), AcceptedAt: utc(w.AcceptedAt),
		BootDeadline: utc(w.BootDeadline), FinishedAt: utc(w.FinishedAt),
		EndReason: w.EndReason, CancelBy: w.CancelBy, CancelAt: utc(w.CancelAt),
		LastError: w.LastError, LastErrorAt: utc(w.LastErrorAt), ErrorSince: utc(w.ErrorSince),
		Labels: w.Labels, RequestedBy: w.RequestedBy, Source: w.Source, Reason: w.Reason, RetryOf: w.RetryOf,
		Later: w.LaterRequest,
	}
	if w.Probe != nil {
		o.Probe = *w.Probe
		o.Probe.At = utc(o.Probe.At)
	}
	if o.LastKind.UnmarshalText([]byte(w.LastKind)) != nil { // "", or a newer server's state
		o.LastKind = transport.KindUnknown
	}
	return nil
}

// laterRequestJSON is a LaterRequest in JSON.
type laterRequestJSON struct {
	ID          ID                `json:"id"`
	RequestedBy string            `json:"requestedBy,omitempty"`
	Source      string            `json:"source,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	At          time.Time         `json:"at,omitzero"`
	NotBefore   time.Time         `json:"notBefore,omitzero"`
	ExpiresAt   time.Time         `json:"expiresAt,omitzero"`
}

// MarshalJSON writes the request. It leaves out AtUp.
func (r LaterRequest) MarshalJSON() ([]byte, error) {
	return jsontext.Marshal(laterRequestJSON{
		ID: r.ID, RequestedBy: r.RequestedBy, Source: r.Source, Reason: r.Reason, Labels: r.Labels,
		At: utc(r.At), NotBefore: utc(r.NotBefore), ExpiresAt: utc(r.ExpiresAt),
	})
}

// UnmarshalJSON reads what MarshalJSON writes. It clears all other fields of r.
func (r *LaterRequest) UnmarshalJSON(text []byte) error {
	var w laterRequestJSON
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	*r = LaterRequest{
		ID: w.ID, RequestedBy: w.RequestedBy, Source: w.Source, Reason: w.Reason, Labels: w.Labels,
		At: utc(w.At), NotBefore: utc(w.NotBefore), ExpiresAt: utc(w.ExpiresAt),
	}
	return nil
}

// eventJSON is an Event in JSON.
type eventJSON struct {
	Seq          uint64    `json:"seq"`
	Cursor       Cursor    `json:"cursor"`
	OperationID  ID        `json:"operationId,omitempty"`
	StudioID     string    `json:"studioId,omitempty"`
	SessionID    string    `json:"sessionId,omitempty"`
	From         fsm.Phase `json:"from,omitempty"`
	To           fsm.Phase `json:"to,omitempty"`
	SessionState fsm.State `json:"sessionState,omitempty"`
	Reason       Reason    `json:"reason,omitempty"`
	By           string    `json:"by,omitempty"`
	At           time.Time `json:"at,omitzero"`
	Error        string    `json:"error,omitempty"`
}

// MarshalJSON writes all of the event.
func (e Event) MarshalJSON() ([]byte, error) {
	return jsontext.Marshal(eventJSON{
		Seq: e.Seq, Cursor: e.Cursor, OperationID: e.Operation, StudioID: e.Ref.StudioID, SessionID: e.Ref.SessionID,
		From: e.From, To: e.To, SessionState: e.Session, Reason: e.Reason, By: e.By, At: utc(e.At), Error: e.Error,
	})
}

// UnmarshalJSON reads what MarshalJSON writes. It clears all other fields of e.
func (e *Event) UnmarshalJSON(text []byte) error {
	var w eventJSON
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	*e = Event{
		Seq: w.Seq, Cursor: w.Cursor, Operation: w.OperationID, Ref: transport.Ref{StudioID: w.StudioID, SessionID: w.SessionID},
		From: w.From, To: w.To, Session: w.SessionState, Reason: w.Reason, By: w.By, At: utc(w.At), Error: w.Error,
	}
	return nil
}

// The outcomes of a request, as [Receipt.Outcome] names them.
const (
	requestCreated = "created"
	requestJoined  = "joined"
	requestOld     = "old"
	requestRefused = "refused"
)

// Outcome returns the outcome of the request in one word: "created", "joined", "old" (its
// token's operation has ended) or "refused" (see Err).
func (r Receipt) Outcome() string {
	switch {
	case r.Err != nil:
		return requestRefused
	case r.Created:
		return requestCreated
	case r.Old:
		return requestOld
	}
	return requestJoined
}

// receiptJSON has the members that a Receipt adds to its operation in JSON.
type receiptJSON struct {
	Request string `json:"request"`
	// RequestID is Receipt.ID if that is not the operation's.
	RequestID ID         `json:"requestId,omitempty"`
	Error     string     `json:"error,omitempty"`
	ErrorCode string     `json:"errorCode,omitempty"` // a word for programs
	Holder    *Operation `json:"holder,omitempty"`    // the operation of a ConflictError
}

// refusedJSON is the operation of a refused request, which was not stored.
type refusedJSON struct {
	StudioID  string `json:"studioId"`
	SessionID string `json:"sessionId"`
}

// errorCodes are the errors of a request that programs must distinguish. The code of a
// *transport.Error is its kind.
var errorCodes = map[string]error{"active": ErrActive, "token_reused": ErrTokenReused, "expired": ErrExpired}

// MarshalJSON writes the operation with the outcome of the request. For a refused one it
// writes the session's name, the error and the operation in the way.
func (r Receipt) MarshalJSON() ([]byte, error) {
	w := receiptJSON{Request: r.Outcome()}
	if r.Err == nil {
		if r.ID != r.Operation.ID {
			w.RequestID = r.ID
		}
		return jsontext.Object(r.Operation, w)
	}
	w.Error = r.Err.Error()
	for code, err := range errorCodes {
		if errors.Is(r.Err, err) {
			w.ErrorCode = code
		}
	}
	var te *transport.Error
	if errors.As(r.Err, &te) {
		word, _ := te.Kind.MarshalText() // the operation has no error
		w.ErrorCode = string(word)
	}
	var ce *ConflictError
	if errors.As(r.Err, &ce) {
		w.Holder = &ce.Holder
	}
	return jsontext.Object(refusedJSON{r.Operation.Ref.StudioID, r.Operation.Ref.SessionID}, w)
}

// UnmarshalJSON reads what MarshalJSON writes. It clears all other fields of r. Err has
// the text that was sent. errors.Is finds the sentinel or kind in it. errors.As finds a
// *ConflictError if an operation was in the way.
func (r *Receipt) UnmarshalJSON(text []byte) error {
	var w receiptJSON
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	var out Receipt
	if w.Request == requestRefused {
		var ref refusedJSON
		if err := json.Unmarshal(text, &ref); err != nil {
			return err
		}
		out.Operation.Ref = transport.Ref(ref)
		out.Err = sentError(w)
		*r = out
		return nil
	}
	var op Operation // "sent" and similar keys are members of the operation
	if err := json.Unmarshal(text, &op); err != nil {
		return err
	}
	out.Operation, out.ID = op, op.ID
	if w.RequestID != "" {
		out.ID = w.RequestID
	}
	switch w.Request {
	case requestCreated:
		out.Created = true
	case requestOld:
		out.Old = true
	case requestJoined:
	default:
		return fmt.Errorf("store: %.80q does not say what became of a request; the words are created, joined, old and refused", w.Request)
	}
	*r = out
	return nil
}

// wireError is an error that was read from the wire.
type wireError struct {
	text  string
	cause error // the error that it wraps; nil if its code was unknown
}

func (e *wireError) Error() string { return e.text }
func (e *wireError) Unwrap() error { return e.cause }

func sentError(w receiptJSON) error {
	cause := errorCodes[w.ErrorCode]
	var kind transport.Kind
	switch {
	case w.Holder != nil && cause != nil:
		cause = &ConflictError{Err: cause, Holder: *w.Holder}
	case cause == nil && kind.UnmarshalText([]byte(w.ErrorCode)) == nil:
		cause = kind
	}
	return &wireError{w.Error, cause}
}

// utc returns t in UTC. The zero time stays zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
