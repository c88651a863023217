package store

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// ID names an operation: the text of a UUIDv7, so that ids sort by time. It is
// the client token too where the caller brought none.
type ID string

// Operation is a request to start one session, and all that is known of it. It
// is a value: copies are independent, but for Labels and Later, which are never
// changed in place.
type Operation struct {
	ID          ID
	Ref         transport.Ref
	Lane        string // fixed when it is enqueued
	ClientToken string // equal to ID where the caller brought none
	Labels      map[string]string
	RequestedBy string // who asked, in the host's terms
	Source      string // by what: "api", "cli", "console", "schedule", …
	Reason      string // for a person: why it was asked for
	RetryOf     ID     // the ended operation that this one tries again

	Phase   fsm.Phase
	Session fsm.State // as last seen; "" not seen
	// StatusCode, StatusMessage and Probe are what the provider and the driver's
	// probe said of the session. Changes that follow one another within a minute
	// may be left out. Zero: nothing was said.
	StatusCode, StatusMessage string
	Probe                     transport.ProbeResult
	StatusAt                  time.Time // when they were first read as they are; zero: never
	Sent                      Sent
	EndReason                 Reason // how it ended; "" while it is active
	CancelBy                  string // who asked to cancel it; see CancelAt
	CancelAt                  time.Time
	LastError                 string // the last refusal or failure, without secrets; "" none
	LastKind                  transport.Kind
	// LastErrorAt is when LastError was heard; zero where there is none.
	LastErrorAt time.Time
	// ErrorSince is when the first of the errors of LastKind without another kind
	// between them was heard; zero where that is not recorded.
	ErrorSince time.Time
	Shortages  int // how many facts about a shortage the feed has of it

	Attempts int           // sends that may have reached the provider
	Interval time.Duration // the backoff so far; 0: none
	// NotBefore is the earliest send, zero: at once; DueAt the next step;
	// ExpiresAt the end of the wish: past it the operation is never sent.
	NotBefore, DueAt, ExpiresAt time.Time

	CreatedAt        time.Time
	SentAt           time.Time // the first send, and
	LastSentAt       time.Time // the latest one, whose outcome Sent tells
	SentProviderTime time.Time // the first send on the provider's clock; zero: that was not known
	AcceptedAt       time.Time // the provider confirmed the start
	BootDeadline     time.Time // the budget: AcceptedAt and what a boot may take
	FinishedAt       time.Time
	// StartedSeen is the session's startedAt as a look saw it before the
	// latest send; zero: none was seen.
	StartedSeen time.Time
	// CreatedUp is CreatedAt on a clock that cannot be set, and SentUp is
	// LastSentAt. Zero means that this clock was not known. The clock of CreatedUp
	// runs while the machine sleeps, the clock of SentUp stands still then.
	CreatedUp, SentUp Uptime
	// Later is the request for the session that arrived after the send; nil: none.
	Later *LaterRequest

	Version uint64 // of the record; the store counts it
}

// Uptime is a moment on a clock that counts since a machine booted. It is stored
// in whole milliseconds. The zero value means that the moment is not known.
type Uptime struct {
	Boot uint32 // names the boot; 0: not known
	At   time.Duration
}

// Since returns the time from earlier to u. It reports false unless both are of
// one boot and in this order.
func (u Uptime) Since(earlier Uptime) (time.Duration, bool) {
	if u.Boot == 0 || u.Boot != earlier.Boot || u.At < earlier.At {
		return 0, false
	}
	return u.At - earlier.At, true
}

// Active reports whether the operation has not ended.
func (o *Operation) Active() bool { return !o.Phase.Ended() }

// Unobservable is how long past its expiry or budget an operation is kept that
// nobody can look at.
const UnobservableAfter = 24 * time.Hour

// Deadline is when an active operation must be dealt with whatever its lane's
// state: its expiry if it was never sent, else a day past its expiry or its
// budget. Zero if it has ended.
func (o *Operation) Deadline() time.Time {
	switch {
	case o.Phase.Ended():
		return time.Time{}
	case o.Sent == SentNo:
		return o.ExpiresAt
	case o.Sent == SentAccepted:
		return o.BootDeadline.Add(UnobservableAfter)
	}
	return o.ExpiresAt.Add(UnobservableAfter)
}

// Sent says what is known of an operation's sends. It is persisted: append only.
type Sent uint8

// What may have reached the provider.
const (
	SentNo       Sent = iota // nothing
	SentUnknown              // something may have; committed before the first byte
	SentAccepted             // the provider confirmed the start
)

func (s Sent) String() string {
	switch s {
	case SentNo:
		return "no"
	case SentUnknown:
		return "unknown"
	}
	return "accepted"
}

// Reason says how an operation ended, or which fact an event states. Reasons
// are persisted: append only.
type Reason string

// How an operation ends, beside SUCCEEDED.
const (
	ReasonStartFailed       Reason = "start_failed"        // the session is in a failed or deleted state
	ReasonReturnedToStopped Reason = "returned_to_stopped" // it was started, and stopped since
	ReasonAmbiguous         Reason = "ambiguous"           // it may have been started; a second send might start it twice
	ReasonTimeout           Reason = "timeout"             // not READY within the budget
	ReasonUnobservable      Reason = "unobservable"        // it could not be looked at; it may be running
	ReasonAccessDenied      Reason = "access_denied"
	ReasonNotFound          Reason = "not_found"
	ReasonInvalid           Reason = "invalid"
	ReasonCanceled          Reason = "canceled"
	ReasonExpired           Reason = "expired"
)

// Facts that are no change of phase.
const (
	ReasonLateReady       Reason = "late_ready"       // READY was seen after the end; the end stays
	ReasonUnexpectedState Reason = "unexpected_state" // the session went where no path of its table leads
	ReasonNoCapacity      Reason = "no_capacity"      // the provider refuses a start: it has no machine to give now
	ReasonQuotaExceeded   Reason = "quota_exceeded"   // the provider refuses a start: the account's quota is used up
	ReasonAdopted         Reason = "adopted"          // of the store, not of an operation: it belongs to this machine from now on
	ReasonCorrupt         Reason = "rotten"           // this event's record is damaged; it holds its number, and nothing else
)

// Event is a line of the feed: a change of an operation's phase, or a fact.
type Event struct {
	Seq       uint64
	Cursor    Cursor // reading after it begins with the next event
	Operation ID
	Ref       transport.Ref
	From      fsm.Phase // "" for a new operation; equal to To for a fact
	To        fsm.Phase
	Session   fsm.State // as seen then; "" not seen
	Reason    Reason
	By        string // who did it, where a person or a host did
	At        time.Time
	// Error is what was heard last when it EXPIRED, FAILED or met a shortage, as in
	// Operation.LastError: at most about 400 bytes, without secrets; "" otherwise.
	Error string
}

// Cursor is a place in the feed. It is opaque; "" is before the oldest event that
// is held, whatever was pruned.
type Cursor string

// Lane is what is stored of a lane.
type Lane struct {
	Name            string
	Paused          bool
	PausedBy        string
	PausedAt        time.Time
	RetryAfter      time.Time // no call before it
	RetryAfterHeard time.Time // when the provider said so
	Block           Block
	// Pace is the rate, in calls a second, that the lane reached without being
	// throttled. Zero: it is not known.
	Pace int
	// ThrottledAt is when the provider last throttled the lane, to about an hour.
	// Zero: never.
	ThrottledAt time.Time
}

// Block says why a lane is blocked: nothing but trial calls goes out. The zero value
// means that it is not blocked.
type Block struct {
	Reason string // why, as the engine names it: "offline", "credentials"
	Since  time.Time
	Error  string         // the latest answer, or why there was none; without secrets
	Kind   transport.Kind // of Error
	At     time.Time      // when Error was heard
}

// Record is a small record that belongs to no operation and no lane. The caller
// that stores it decides what its Value means.
type Record struct {
	Kind  string // 1 to 64 bytes, none of them zero
	Name  string // up to 256 bytes, none of them zero; unique within its kind
	Value []byte // up to 4 KiB
}
