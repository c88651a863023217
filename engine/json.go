package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/jsontext"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// The wire form of the engine's own types. Its rules are those of package store. A
// WaitReason is a string and is kept as it was read.

// explanationJSON is what an Explanation adds to its operation in JSON.
type explanationJSON struct {
	Waiting      WaitReason `json:"waiting,omitempty"`
	WaitingSince time.Time  `json:"waitingSince,omitzero"`
	NextAt       time.Time  `json:"nextAt,omitzero"`
	UnblockedBy  string     `json:"unblockedBy,omitempty"`
	Also         WaitReason `json:"also,omitempty"`
	AlsoSince    time.Time  `json:"alsoSince,omitzero"`
	OnlySession  bool       `json:"onlySession,omitempty"`
	Error        string     `json:"error,omitempty"`
	ErrorAt      time.Time  `json:"errorAt,omitzero"`
	Seen         *seenJSON  `json:"seen,omitempty"`
	Text         string     `json:"text,omitempty"`
}

// seenJSON is a Seen in JSON.
type seenJSON struct {
	State         fsm.State              `json:"state,omitempty"`
	StatusCode    string                 `json:"statusCode,omitempty"`
	StatusMessage string                 `json:"statusMessage,omitempty"`
	Probe         *transport.ProbeResult `json:"probe,omitempty"`
	Since         time.Time              `json:"since,omitzero"`
	At            time.Time              `json:"at,omitzero"`
}

// MarshalJSON writes the operation and why it waits as one object. Of an operation
// that SUCCEEDED or was CANCELED, "error" is left out. Of one that FAILED it begins
// with the reason.
func (x Explanation) MarshalJSON() ([]byte, error) {
	w := explanationJSON{
		Waiting: x.Waiting, NextAt: utc(x.Next), UnblockedBy: x.Unblock, Also: x.Also, AlsoSince: utc(x.AlsoSince),
		OnlySession: x.OnlySession, Error: x.errorText(), ErrorAt: utc(x.ErrorAt), Text: x.Text,
	}
	if x.Waiting != "" {
		w.WaitingSince = utc(x.Since)
	}
	if x.Seen != (Seen{}) {
		s := x.Seen
		w.Seen = &seenJSON{s.State, s.StatusCode, s.StatusMessage, probeJSON(s.Probe), utc(s.Since), utc(s.At)}
	}
	return jsontext.Object(x.Operation, w)
}

// errorText returns what went wrong with an operation, or "".
func (x *Explanation) errorText() string {
	o := &x.Operation
	switch {
	case o.Phase == fsm.PhaseSucceeded, o.Phase == fsm.PhaseCanceled:
		return ""
	case x.Error == "":
		return string(o.EndReason)
	case o.Phase == fsm.PhaseFailed:
		return string(o.EndReason) + ": " + x.Error
	}
	return x.Error
}

// UnmarshalJSON reads what MarshalJSON writes. It sets x to that alone.
func (x *Explanation) UnmarshalJSON(text []byte) error {
	var op Operation
	var w explanationJSON
	if err := errors.Join(json.Unmarshal(text, &op), json.Unmarshal(text, &w)); err != nil {
		return err
	}
	*x = Explanation{
		Operation: op, Waiting: w.Waiting, Since: utc(w.WaitingSince), Next: utc(w.NextAt), Unblock: w.UnblockedBy,
		Also: w.Also, AlsoSince: utc(w.AlsoSince), OnlySession: w.OnlySession, Error: w.Error, ErrorAt: utc(w.ErrorAt), Text: w.Text,
	}
	if op.Phase.Ended() {
		x.Since, x.Error = op.FinishedAt, op.LastError
	}
	if s := w.Seen; s != nil {
		x.Seen = Seen{s.State, s.StatusCode, s.StatusMessage, probeOf(s.Probe), utc(s.Since), utc(s.At)}
	}
	return nil
}

// sessionJSON is a SessionStatus in JSON.
type sessionJSON struct {
	StudioID      string                 `json:"studioId"`
	SessionID     string                 `json:"sessionId"`
	State         fsm.State              `json:"state,omitempty"`
	StatusCode    string                 `json:"statusCode,omitempty"`
	StatusMessage string                 `json:"statusMessage,omitempty"`
	OwnedBy       string                 `json:"ownedBy,omitempty"`
	Tags          map[string]string      `json:"tags,omitempty"`
	StartedAt     time.Time              `json:"startedAt,omitzero"`
	StoppedAt     time.Time              `json:"stoppedAt,omitzero"`
	Endpoints     []endpointJSON         `json:"endpoints,omitempty"`
	Probe         *transport.ProbeResult `json:"probe,omitempty"`
	SeenAt        time.Time              `json:"seenAt,omitzero"`
	Live          bool                   `json:"live"`
	Error         string                 `json:"error,omitempty"`
	ErrorKind     string                 `json:"errorKind,omitempty"`
	Active        *Operation             `json:"active,omitempty"`
}

// endpointJSON is a transport.Endpoint in JSON. Its URL is left out, since a
// provider may put a token into it.
type endpointJSON struct {
	Name string `json:"name,omitempty"`
	Host string `json:"host,omitempty"`
	Port int    `json:"port,omitempty"`
}

// MarshalJSON writes what the session is for a host: its state, its times, its
// endpoints without their URLs, and its active operation. What only some providers
// have is left out, except the owner and the tags.
func (s SessionStatus) MarshalJSON() ([]byte, error) {
	w := sessionJSON{
		StudioID: s.Session.StudioID, SessionID: s.Session.SessionID, State: s.Session.State,
		StatusCode: s.Session.StatusCode, StatusMessage: s.Session.StatusMessage, OwnedBy: s.Session.OwnedBy, Tags: s.Session.Tags,
		StartedAt: utc(s.Session.StartedAt), StoppedAt: utc(s.Session.StoppedAt), Probe: probeJSON(s.Session.Probe),
		SeenAt: utc(s.SeenAt), Live: s.Live, Active: s.Active,
	}
	for _, e := range s.Session.Endpoints {
		w.Endpoints = append(w.Endpoints, endpointJSON{e.Name, e.Host, e.Port})
	}
	if s.Err != nil {
		w.Error = s.Err.Error()
		var te *transport.Error
		if errors.As(s.Err, &te) {
			word, _ := te.Kind.MarshalText() // it has no error
			w.ErrorKind = string(word)
		}
	}
	return jsontext.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON writes. It sets s to that alone. errors.Is
// finds the kind in Err.
func (s *SessionStatus) UnmarshalJSON(text []byte) error {
	var w sessionJSON
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	*s = SessionStatus{
		Session: transport.Session{
			Ref: Ref{StudioID: w.StudioID, SessionID: w.SessionID}, State: w.State,
			StatusCode: w.StatusCode, StatusMessage: w.StatusMessage, OwnedBy: w.OwnedBy, Tags: w.Tags,
			StartedAt: utc(w.StartedAt), StoppedAt: utc(w.StoppedAt), Probe: probeOf(w.Probe),
		},
		SeenAt: utc(w.SeenAt), Live: w.Live, Active: w.Active,
	}
	for _, e := range w.Endpoints {
		s.Session.Endpoints = append(s.Session.Endpoints, transport.Endpoint{Name: e.Name, Host: e.Host, Port: e.Port})
	}
	if w.Error != "" {
		s.Err = &wireError{text: w.Error, kind: w.ErrorKind}
	}
	return nil
}

// statsJSON is a Stats in JSON.
type statsJSON struct {
	StoreID     string            `json:"storeId"`
	Operations  map[fsm.Phase]int `json:"operations"`
	FirstEvent  uint64            `json:"firstEvent"`
	LastEvent   uint64            `json:"lastEvent"`
	Bytes       int64             `json:"bytes"`
	FreeBytes   int64             `json:"freeBytes"`
	Full        string            `json:"full,omitempty"`
	Foreign     *foreignJSON      `json:"foreign,omitempty"`
	Quarantined int               `json:"quarantined"`
	Running     bool              `json:"running"`
	InFlight    int               `json:"inFlight"`
	Lanes       []LaneStats       `json:"lanes"`
}

// foreignJSON is a Foreign in JSON.
type foreignJSON struct {
	Home  string    `json:"home,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// MarshalJSON writes all of the counts, in one object. Without lanes, "lanes" is an
// empty list.
func (s Stats) MarshalJSON() ([]byte, error) {
	w := statsJSON{
		StoreID: s.StoreID, Operations: s.Operations, FirstEvent: s.First, LastEvent: s.Head, Bytes: s.Bytes, FreeBytes: s.FreeBytes,
		Quarantined: s.Quarantined, Running: s.Running, InFlight: s.InFlight, Lanes: s.Lanes,
	}
	if w.Operations == nil {
		w.Operations = map[fsm.Phase]int{}
	}
	if w.Lanes == nil {
		w.Lanes = []LaneStats{}
	}
	if s.Full != nil {
		w.Full = s.Full.Error()
	}
	if s.Foreign != nil {
		w.Foreign = &foreignJSON{s.Foreign.Home, utc(s.Foreign.Since)}
	}
	return jsontext.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON writes. It sets s to that alone. errors.Is
// finds [ErrFull] in Full.
func (s *Stats) UnmarshalJSON(text []byte) error {
	var w statsJSON
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	*s = Stats{
		Stats: store.Stats{
			StoreID: w.StoreID, Operations: w.Operations, First: w.FirstEvent, Head: w.LastEvent, Bytes: w.Bytes, FreeBytes: w.FreeBytes,
			Quarantined: w.Quarantined,
		},
		Running: w.Running, InFlight: w.InFlight,
	}
	if len(w.Lanes) > 0 {
		s.Lanes = w.Lanes
	}
	if w.Full != "" {
		s.Full = &wireError{text: w.Full, cause: ErrFull}
	}
	if w.Foreign != nil {
		s.Foreign = &Foreign{Home: w.Foreign.Home, Since: utc(w.Foreign.Since)}
	}
	return nil
}

// laneStatsJSON is a LaneStats in JSON.
type laneStatsJSON struct {
	Lane       string     `json:"lane"`
	Paused     bool       `json:"paused"`
	PausedBy   string     `json:"pausedBy,omitempty"`
	Blocked    WaitReason `json:"blocked,omitempty"`
	Since      time.Time  `json:"since,omitzero"`
	Next       time.Time  `json:"next,omitzero"`
	Error      string     `json:"error,omitempty"`
	RetryAfter time.Time  `json:"retryAfter,omitzero"`
	Rate       float64    `json:"rate"`
	InFlight   int        `json:"inFlight"`
}

// MarshalJSON writes all of the lane's figures.
func (l LaneStats) MarshalJSON() ([]byte, error) {
	return jsontext.Marshal(laneStatsJSON{
		Lane: l.Name, Paused: l.Paused, PausedBy: l.PausedBy, Blocked: l.Blocked, Since: utc(l.Since), Next: utc(l.Next), Error: l.Error,
		RetryAfter: utc(l.RetryAfter), Rate: l.Rate, InFlight: l.InFlight,
	})
}

// UnmarshalJSON reads what MarshalJSON writes. It sets l to that alone.
func (l *LaneStats) UnmarshalJSON(text []byte) error {
	var w laneStatsJSON
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	*l = LaneStats{
		Name: w.Lane, Paused: w.Paused, PausedBy: w.PausedBy, Blocked: w.Blocked, Since: utc(w.Since), Next: utc(w.Next), Error: w.Error,
		RetryAfter: utc(w.RetryAfter), Rate: w.Rate, InFlight: w.InFlight,
	}
	return nil
}

// cancellationWords are the values of Cancellation: append only.
var cancellationWords = [...]string{"never_sent", "outcome_unknown", "accepted", "already_ended"}

// MarshalText returns "never_sent", "outcome_unknown", "accepted" or "already_ended".
func (c Cancellation) MarshalText() ([]byte, error) {
	if int(c) >= len(cancellationWords) {
		return nil, fmt.Errorf("engine: Cancellation has no value %d", uint8(c))
	}
	return []byte(cancellationWords[c]), nil
}

// UnmarshalText reads a word of MarshalText. Any other word is an error that names
// it, and leaves c as it was.
func (c *Cancellation) UnmarshalText(text []byte) error {
	i := slices.Index(cancellationWords[:], string(text))
	if i < 0 {
		return fmt.Errorf("engine: %.80q is no result of a cancel; the words are %s", text, strings.Join(cancellationWords[:], ", "))
	}
	*c = Cancellation(i)
	return nil
}

// wireError is an error that came over the wire.
type wireError struct {
	text  string
	kind  string // the word of a provider error's kind; "": it is none
	cause error  // nil: none
}

func (e *wireError) Error() string { return e.text }
func (e *wireError) Unwrap() error { return e.cause }

// Is reports whether target is the error's kind.
func (e *wireError) Is(target error) bool {
	var kind transport.Kind
	return kind.UnmarshalText([]byte(e.kind)) == nil && target == error(kind)
}

func probeJSON(p transport.ProbeResult) *transport.ProbeResult {
	if p == (transport.ProbeResult{}) {
		return nil
	}
	p.At = utc(p.At)
	return &p
}

func probeOf(p *transport.ProbeResult) transport.ProbeResult {
	if p == nil {
		return transport.ProbeResult{}
	}
	out := *p
	out.At = utc(out.At)
	return out
}

// utc returns t in UTC; zero stays zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
