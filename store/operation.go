package store

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// ID names an operation. It is the text of a UUIDv7, so that ids sort by time. It is
// also the operation's client token if the caller brought none.
type ID string

// Operation is a request to start one session, and all that is known about it. It is a
// value. Copies are independent, except for Labels and Later, which are never changed in
// place. A zero time means that it did not happen or is not known.
type Operation struct {
	ID          ID
	Ref         transport.Ref
	Lane        string // fixed when the operation is created
	ClientToken string // equal to ID if the caller brought none
	Labels      map[string]string
	RequestedBy string // who asked, in the host's terms
	Source      string // the kind of program that asked: "api", "cli", "console", "schedule", …
	Reason      string // why a person or program asked, in their words
	RetryOf     ID     // the ended operation that this one retries

	Phase   fsm.Phase
	Session fsm.State // as it was last read; "" if it was never read
	// StatusCode, StatusMessage and Probe are the provider's and the port probe's reason
	// for the session's state. If they change often within a minute, some changes are
	// left out.
	StatusCode, StatusMessage string
	Probe                     transport.ProbeResult
	StatusAt                  time.Time // when they were first read with these values

	Sent      Sent
	EndReason Reason // how it ended; "" while it is active
	CancelBy  string // who asked to cancel it, at CancelAt
	CancelAt  time.Time

	LastError   string // the last refusal or failure, without secrets; "" if there was none
	LastKind    transport.Kind
	LastErrorAt time.Time // when LastError was received
	// ErrorSince is when the first error of LastKind was received since the last error of
	// another kind.
	ErrorSince time.Time
	Shortages  int // how many events of a shortage the feed has about it

	Attempts int           // sends that may have reached the provider
	Interval time.Duration // the latest backoff; 0 if there was none
	// NotBefore is the earliest time of a send; zero means at once. DueAt is when the
	// next step is due. After ExpiresAt the operation is never sent.
	NotBefore, DueAt, ExpiresAt time.Time

	CreatedAt        time.Time
	SentAt           time.Time // the first send
	LastSentAt       time.Time // the latest send, whose outcome is Sent
	SentProviderTime time.Time // the first send, on the provider's clock
	AcceptedAt       time.Time // when the provider confirmed the start
	BootDeadline     time.Time // AcceptedAt plus the boot timeout
	FinishedAt       time.Time
	// StartedSeen is the session's startedAt that was read before the latest send.
	StartedSeen time.Time
	// CreatedUp is CreatedAt on a clock that cannot be set, and SentUp is LastSentAt. The
	// clock of CreatedUp also runs while the machine sleeps. The clock of SentUp does
	// not.
	CreatedUp, SentUp Uptime
	// Later is the request for the session that arrived after the send; nil if there was
	// none.
	Later *LaterRequest

	Version uint64 // the version of the record; the store counts it, from 1
}

// Uptime is a moment on a clock that counts since a machine booted. It is stored
// in whole milliseconds. The zero value means that the moment is not known.
type Uptime struct {
	Boot uint32 // names the boot; 0 if it is not known
	At   time.Duration
}

// Since returns the time from earlier to u. It reports false unless both are from one
// boot and in this order.
func (u Uptime) Since(earlier Uptime) (time.Duration, bool) {
	if u.Boot == 0 || u.Boot != earlier.Boot || u.At < earlier.At {
		return 0, false
	}
	return u.At - earlier.At, true
}

// Active reports whether the operation has not ended.
func (o *Operation) Active() bool { return !o.Phase.Ended() }

// UnobservableAfter is how long an operation whose session cannot be read is kept after
// its expiry or boot deadline.
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

// Sent says what is known about an operation's sends. It is persisted, so append only.
type Sent uint8

// What is known about an operation's sends.
const (
	// SentNo means that nothing reached the provider.
	SentNo Sent = iota
	// SentUnknown means that the outcome is unknown. It is committed before the first
	// byte of a send.
	SentUnknown
	// SentAccepted means that the provider confirmed the start.
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
