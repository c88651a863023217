package engine

import (
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// A host imports this package and a transport. The names below are types and values of
// the packages store, fsm and transport: engine.ErrActive is store.ErrActive.

// Requests and what became of them: package store documents them.
type (
	ID           = store.ID           // names an operation
	Operation    = store.Operation    // a request to start a session, and all that is known of it
	LaterRequest = store.LaterRequest // a request that arrived after the operation was sent
	Receipt      = store.Receipt      // the answer to a request: created, joined or old
	Event        = store.Event        // a line of the feed
	Cursor       = store.Cursor       // a place in the feed
	Filter       = store.Filter       // narrows List
	Reason       = store.Reason       // how an operation ended, or which fact an event states
	Sent         = store.Sent         // what is known of an operation's sends
	Foreign      = store.Foreign      // says that the store belongs to another machine: see Stats
)

// Life cycles: package fsm documents them.
type (
	Phase = fsm.Phase // where an operation is in its life cycle
	State = fsm.State // a session's state as its provider shows it
)

// Sessions and providers: package transport documents them.
type (
	Ref           = transport.Ref         // names a session
	Session       = transport.Session     // a session as its provider shows it
	Endpoint      = transport.Endpoint    // where a session can be reached
	ProbeResult   = transport.ProbeResult // whether a session's port answered
	ProviderError = transport.Error       // a provider's refusal, or why no answer of it came
	ErrorKind     = transport.Kind        // of a ProviderError; itself an error for errors.Is
)

// Errors with fields for the host. Match them with errors.As.
type (
	ConflictError = store.ConflictError // of Start: the operation in the way
	ExpiryError   = store.ExpiryError   // of Start: the request is void already
	CursorError   = store.CursorError   // of Events and Follow: the feed cannot go on from a cursor
)

// Errors of the store that a host matches with errors.Is. See also [ErrClosed],
// [ErrRunning], [ErrUnknownLane] and [ErrNotEnded].
var (
	ErrNotFound    = store.ErrNotFound    // look-ups: there is no such operation, or it was pruned
	ErrActive      = store.ErrActive      // Start: an operation with another token is active for the session
	ErrTokenReused = store.ErrTokenReused // Start: the token belongs to another session's operation
	ErrExpired     = store.ErrExpired     // Start: the expiry is not in the future, or not after the not-before
	ErrUnknown     = store.ErrUnknown     // any call that writes: it may have happened; repeat it with the same token
	ErrFull        = store.ErrFull        // any call that writes: no space; nothing was stored
	ErrFailed      = store.ErrFailed      // any call: the store met an error and is shut; open it again
	ErrCorrupt     = store.ErrCorrupt     // any call: what was read is not what was written
)

// The phases of an operation. The last four are ends: see [Phase.Ended].
const (
	PhaseQueued    = fsm.PhaseQueued
	PhaseStarting  = fsm.PhaseStarting
	PhaseSucceeded = fsm.PhaseSucceeded
	PhaseFailed    = fsm.PhaseFailed
	PhaseCanceled  = fsm.PhaseCanceled
	PhaseExpired   = fsm.PhaseExpired
)

// The states of a session.
const (
	StateCreateInProgress = fsm.StateCreateInProgress
	StateDeleteInProgress = fsm.StateDeleteInProgress
	StateReady            = fsm.StateReady
	StateDeleted          = fsm.StateDeleted
	StateCreateFailed     = fsm.StateCreateFailed
	StateDeleteFailed     = fsm.StateDeleteFailed
	StateStopInProgress   = fsm.StateStopInProgress
	StateStartInProgress  = fsm.StateStartInProgress
	StateStopped          = fsm.StateStopped
	StateStopFailed       = fsm.StateStopFailed
	StateStartFailed      = fsm.StateStartFailed
)

// What is known of an operation's sends.
const (
	SentNo       = store.SentNo
	SentUnknown  = store.SentUnknown
	SentAccepted = store.SentAccepted
)

// How an operation ends, apart from SUCCEEDED.
const (
	ReasonStartFailed       = store.ReasonStartFailed
	ReasonReturnedToStopped = store.ReasonReturnedToStopped
	ReasonAmbiguous         = store.ReasonAmbiguous
	ReasonTimeout           = store.ReasonTimeout
	ReasonUnobservable      = store.ReasonUnobservable
	ReasonAccessDenied      = store.ReasonAccessDenied
	ReasonNotFound          = store.ReasonNotFound
	ReasonInvalid           = store.ReasonInvalid
	ReasonCanceled          = store.ReasonCanceled
	ReasonExpired           = store.ReasonExpired
)

// Facts of the feed that change no phase.
const (
	ReasonLateReady       = store.ReasonLateReady
	ReasonUnexpectedState = store.ReasonUnexpectedState
	ReasonNoCapacity      = store.ReasonNoCapacity
	ReasonQuotaExceeded   = store.ReasonQuotaExceeded
	ReasonAdopted         = store.ReasonAdopted
	ReasonCorrupt         = store.ReasonCorrupt
)

// The kinds of a ProviderError. In package transport they are named Kind….
const (
	ErrorKindUnknown       = transport.KindUnknown
	ErrorKindAccessDenied  = transport.KindAccessDenied
	ErrorKindConflict      = transport.KindConflict
	ErrorKindInternal      = transport.KindInternal
	ErrorKindNotFound      = transport.KindNotFound
	ErrorKindQuotaExceeded = transport.KindQuotaExceeded
	ErrorKindThrottled     = transport.KindThrottled
	ErrorKindInvalid       = transport.KindInvalid
	ErrorKindCapacity      = transport.KindCapacity
	ErrorKindCredentials   = transport.KindCredentials
	ErrorKindUnreachable   = transport.KindUnreachable
)
