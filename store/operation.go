package store

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// ID names an operation. It is the text of a UUIDv7, so that ids sort by time. It is
// also the operation's client token if the caller brought none.
type ID string

// Operation is a request to start one session, and all that is known of it. It is a
// value: copies are independent, except for Labels and Later, which are never changed
// in place. A zero time means that it did not happen or is not known.
type Operation struct {
	ID          ID
	Ref         transport.Ref
	Lane        string // fixed when the operation is created
	ClientToken string // equal to ID if the caller brought none
	Labels      map[string]string
	RequestedBy string // who asked, in the host's terms
	Source      string // by what: "api", "cli", "console", "schedule", …
	Reason      string // why it was asked for, in a person's words
	RetryOf     ID     // the ended operation that this one tries again

	Phase   fsm.Phase
	Session fsm.State // as last read; "": never read
	// StatusCode, StatusMessage and Probe are what the provider and the port probe said
	// of the session. Of several changes within a minute some may be left out.
	StatusCode, StatusMessage string
	Probe                     transport.ProbeResult
	StatusAt                  time.Time // when they were first read as they are

	Sent      Sent
	EndReason Reason // how it ended; "" while it is active
	CancelBy  string // who asked to cancel it, at CancelAt
	CancelAt  time.Time

	LastError   string // the last refusal or failure, without secrets; "": none
	LastKind    transport.Kind
	LastErrorAt time.Time // when LastError was received
	// ErrorSince is when the first error of LastKind was received, of those with no
	// error of another kind between them.
	ErrorSince time.Time
	Shortages  int // how many events of a shortage the feed has of it

	Attempts int           // sends that may have reached the provider
	Interval time.Duration // the latest backoff; 0: none
	// NotBefore is the earliest time of a send; zero: at once. DueAt is when the next
	// step is due. ExpiresAt is the expiry: after it the operation is never sent.
	NotBefore, DueAt, ExpiresAt time.Time

	CreatedAt        time.Time
	SentAt           time.Time // the first send
	LastSentAt       time.Time // the latest send, whose outcome Sent tells
	SentProviderTime time.Time // the first send, on the provider's clock
	AcceptedAt       time.Time // when the provider confirmed the start
	BootDeadline     time.Time // AcceptedAt plus the boot timeout
	FinishedAt       time.Time
	// StartedSeen is the session's startedAt as it was read before the latest send.
	StartedSeen time.Time
	// CreatedUp is CreatedAt on a clock that cannot be set, and SentUp is LastSentAt.
	// The clock of CreatedUp runs while the machine sleeps; that of SentUp stands still.
	CreatedUp, SentUp Uptime
	// Later is the request for the session that arrived after the send; nil: none.
	Later *LaterRequest

	Version uint64 // of the record; the store counts it, from 1
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

// UnobservableAfter is how long after its expiry or boot deadline an operation is kept
// whose session cannot be read.
const UnobservableAfter = 24 * time.Hour

// Deadline returns when an active operation must be dealt with, whatever its lane's
// state. That is its expiry if it was never sent. Otherwise it is UnobservableAfter past
// its boot deadline, or past its expiry if the start is not confirmed. It is zero for an
// operation that has ended.
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

// What is known of an operation's sends.
const (
	// SentNo: nothing reached the provider.
	SentNo Sent = iota
	// SentUnknown: the outcome is unknown. It is committed before the first byte of a
	// send.
	SentUnknown
	// SentAccepted: the provider confirmed the start.
	SentAccepted
)

// String returns "no", "unknown" or "accepted".
func (s Sent) String() string {
	switch s {
	case SentNo:
		return "no"
	case SentUnknown:
		return "unknown"
	}
	return "accepted"
}
