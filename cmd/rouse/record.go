package main

import (
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// operationRecord is an operation as --json prints it.
type operationRecord struct {
	ID           engine.ID         `json:"id"`
	StudioID     string            `json:"studioId"`
	SessionID    string            `json:"sessionId"`
	ClientToken  string            `json:"clientToken"`
	Phase        fsm.Phase         `json:"phase"`
	SessionState fsm.State         `json:"sessionState,omitempty"`
	Waiting      engine.WaitReason `json:"waiting,omitempty"`
	Attempts     int               `json:"attempts"`
	CreatedAt    time.Time         `json:"createdAt,omitzero"`
	NotBefore    time.Time         `json:"notBefore,omitzero"`
	ExpiresAt    time.Time         `json:"expiresAt,omitzero"`
	FinishedAt   time.Time         `json:"finishedAt,omitzero"`
	EndReason    store.Reason      `json:"endReason,omitempty"`
	Error        string            `json:"error,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	RequestedBy  string            `json:"requestedBy,omitempty"`
	Source       string            `json:"source,omitempty"`
	Reason       string            `json:"reason,omitempty"`
	RetryOf      engine.ID         `json:"retryOf,omitempty"`
}

func recordOf(x engine.Explanation) operationRecord {
	o := x.Operation
	if x.Error != "" { // its blocked lane's, which its record does not have
		o.LastError = x.Error
	}
	return operationRecord{
		ID: o.ID, StudioID: o.Ref.StudioID, SessionID: o.Ref.SessionID, ClientToken: o.ClientToken,
		Phase: o.Phase, SessionState: o.Session, Waiting: x.Waiting, Attempts: o.Attempts,
		CreatedAt: o.CreatedAt, NotBefore: o.NotBefore, ExpiresAt: o.ExpiresAt, FinishedAt: o.FinishedAt,
		EndReason: o.EndReason, Error: errorOf(o), Labels: o.Labels,
		RequestedBy: o.RequestedBy, Source: o.Source, Reason: o.Reason, RetryOf: o.RetryOf,
	}
}

// errorOf is what went wrong with an operation, or "".
func errorOf(o engine.Operation) string {
	if o.Phase == fsm.PhaseSucceeded || o.Phase == fsm.PhaseCanceled {
		return ""
	}
	if o.LastError == "" {
		return string(o.EndReason)
	}
	if o.Phase == fsm.PhaseFailed {
		return string(o.EndReason) + ": " + o.LastError
	}
	return o.LastError
}

// shownRecord is what "show" prints: an operation, why it waits, and its events.
type shownRecord struct {
	operationRecord
	WaitingSince time.Time `json:"waitingSince,omitzero"`
	NextAt       time.Time `json:"nextAt,omitzero"`
	UnblockedBy  string    `json:"unblockedBy,omitempty"`
	// WaitingToo is what the last run left it waiting for.
	WaitingToo      engine.WaitReason `json:"waitingToo,omitempty"`
	WaitingTooSince time.Time         `json:"waitingTooSince,omitzero"`
	// Alone: it waits for this session's machine, credentials or rate, and not for
	// its lane's.
	Alone         bool          `json:"alone,omitempty"`
	ErrorAt       time.Time     `json:"errorAt,omitzero"`
	AskedAgain    *againRecord  `json:"askedAgain,omitempty"`
	StatusCode    string        `json:"statusCode,omitempty"`
	StatusMessage string        `json:"statusMessage,omitempty"`
	SeenAt        time.Time     `json:"seenAt,omitzero"` // when the session was read last
	Probe         *probeRecord  `json:"probe,omitempty"`
	Events        []eventRecord `json:"events,omitempty"`
}

// againRecord is a request that joined after the start was sent: if the session
// was stopped since, it becomes the operation with this id.
type againRecord struct {
	ID          engine.ID `json:"id"`
	RequestedBy string    `json:"requestedBy,omitempty"`
	At          time.Time `json:"at"`
}

// probeRecord is the result of the probe of a session's port.
type probeRecord struct {
	Target  string    `json:"target"`
	OK      bool      `json:"ok"`
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// eventRecord is an event as --json prints it.
type eventRecord struct {
	Seq          uint64        `json:"seq"`
	Cursor       engine.Cursor `json:"cursor"`
	OperationID  engine.ID     `json:"operationId,omitempty"`
	StudioID     string        `json:"studioId,omitempty"`
	SessionID    string        `json:"sessionId,omitempty"`
	From         fsm.Phase     `json:"from,omitempty"`
	To           fsm.Phase     `json:"to,omitempty"`
	SessionState fsm.State     `json:"sessionState,omitempty"`
	Reason       store.Reason  `json:"reason,omitempty"`
	By           string        `json:"by,omitempty"`
	At           time.Time     `json:"at,omitzero"`
	Error        string        `json:"error,omitempty"`
}

func eventRecordOf(e engine.Event) eventRecord {
	return eventRecord{
		Seq: e.Seq, Cursor: e.Cursor, OperationID: e.Operation, StudioID: e.Ref.StudioID, SessionID: e.Ref.SessionID,
		From: e.From, To: e.To, SessionState: e.Session, Reason: e.Reason, By: e.By, At: e.At, Error: e.Error,
	}
}
