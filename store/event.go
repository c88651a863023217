package store

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// Reason says how an operation ended, or which fact an event states. Reasons are
// persisted, so append only.
type Reason string

// How an operation ends, unless it is SUCCEEDED.
const (
	ReasonStartFailed       Reason = "start_failed"        // the session is in a failed or deleted state
	ReasonReturnedToStopped Reason = "returned_to_stopped" // it was started, and has stopped since
	ReasonAmbiguous         Reason = "ambiguous"           // it may have been started; a second send might start it twice
	ReasonTimeout           Reason = "timeout"             // it was not READY within the boot timeout
	ReasonUnobservable      Reason = "unobservable"        // it could not be read; it may be running
	ReasonAccessDenied      Reason = "access_denied"       // the provider refuses access to the session
	ReasonNotFound          Reason = "not_found"           // the provider knows no such session
	ReasonInvalid           Reason = "invalid"             // the provider refuses the request as it is
	ReasonCanceled          Reason = "canceled"            // it was canceled
	ReasonExpired           Reason = "expired"             // it was not sent before its expiry
)

// The facts that change no phase.
const (
	ReasonLateReady       Reason = "late_ready"       // the session was READY after the operation's end; the end stays
	ReasonUnexpectedState Reason = "unexpected_state" // the session changed to a state to which its life cycle has no path
	ReasonNoCapacity      Reason = "no_capacity"      // the provider refuses a start: it has no machine to give now
	ReasonQuotaExceeded   Reason = "quota_exceeded"   // the provider refuses a start: the account's quota is used up
	ReasonAdopted         Reason = "adopted"          // the store belongs to this machine from now on; no operation is named
	ReasonCorrupt         Reason = "corrupt"          // this event's record is corrupt; only its sequence is known
)

// Event is one entry of the feed: a change of an operation's phase, or a fact.
type Event struct {
	Seq       uint64
	Cursor    Cursor // the place after this event
	Operation ID     // "" for a fact of the store
	Ref       transport.Ref
	From      fsm.Phase // "" for a new operation; equal to To for a fact
	To        fsm.Phase
	Session   fsm.State // as it was last read; "" if it was never read
	Reason    Reason
	By        string // the person or host that did it, if any
	At        time.Time
	// Error is the last error of an operation that EXPIRED, FAILED or met a shortage, as
	// in Operation.LastError. It has at most about 400 bytes and no secrets.
	Error string
}

// Cursor is a place in the feed. It is opaque. "" is the place before the oldest event
// that is stored, whatever was pruned.
type Cursor string
