package transport

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse/fsm"
)

// Transport starts and reads sessions of a provider. Implementations must be safe
// for concurrent use.
type Transport interface {
	// Start asks for in.Ref to leave STOPPED. It is idempotent by in.ClientToken if the
	// provider's [Traits] say so. A second call with the same token then starts nothing
	// and returns the session. Every error is an [*Error], whose Kind says whether the
	// outcome is known. If it is unknown, the engine confirms by Get before it sends
	// again. (An error of another type counts as [KindUnknown].) With a ctx that has
	// ended it starts nothing.
	Start(ctx context.Context, in StartInput) (Session, error)

	// Get returns the session as the provider shows it. For [Traits].StaleFor after a
	// change that may be the state before it. Get changes nothing.
	Get(ctx context.Context, ref Ref) (Session, error)
}

// Describer is a transport that says how its provider behaves. Traits does no I/O,
// is cheap, and always returns the same value for one Ref.
type Describer interface{ Traits(ref Ref) Traits }

// StartChecker is a transport that refuses some refs or tokens that
// [StartInput.Validate] allows. One that runs commands is an example.
type StartChecker interface {
	// CheckStart returns the *Error of kind KindInvalid with which Start would
	// refuse in before it sends anything, or nil. It does no I/O.
	CheckStart(in StartInput) error
}

// CheckStart returns the error with which t would refuse in before it sends
// anything, or nil. For a transport that is no [StartChecker] it calls
// [StartInput.Validate].
func CheckStart(t Transport, in StartInput) error {
	if c, ok := t.(StartChecker); ok {
		return c.CheckStart(in)
	}
	return in.Validate()
}

// BatchGetter is a transport that reads many sessions in one call.
type BatchGetter interface {
	// BatchGet returns one Result for each ref, in the order of refs. A session
	// that the provider leaves out has an error of KindNotFound there. If the call
	// itself fails, BatchGet returns its error and no results. The caller passes
	// refs of one lane, at most [Traits].MaxBatch of them.
	BatchGet(ctx context.Context, refs []Ref) ([]Result, error)
}

// BatchStarter is a transport that starts many sessions in one call.
type BatchStarter interface {
	// BatchStart is Start for each input, with the guarantees of Start for each.
	// It returns one Result for each input, in order. An input that makes the
	// provider refuse a call does not keep the others from being started. If
	// BatchStart returns an error, it applies to every input and there are no
	// results. The caller passes inputs of one lane, at most [Traits].MaxStarts.
	BatchStart(ctx context.Context, ins []StartInput) ([]Result, error)
}

// Lister is a transport that lists a studio's sessions, one page a call.
type Lister interface {
	List(ctx context.Context, in ListInput) (ListOutput, error)
}

// StartInput names one session to start.
type StartInput struct {
	Ref
	ClientToken string // see [CheckToken]; every send of one operation has the same
}

// StopInput names one session to stop.
type StopInput struct {
	Ref
	ClientToken         string
	VolumeRetentionMode string // of the Nimble protocol: "RETAIN", "DELETE", or "" for the provider's default
}

// ListInput asks for one page of a studio's sessions. An empty field does not filter.
type ListInput struct {
	StudioID   string
	SessionIDs []string
	CreatedBy  string
	OwnedBy    string
	NextToken  string // the token of the page before; "" means the first page
}

// ListOutput is one page. An empty NextToken means that it is the last.
type ListOutput struct {
	Sessions  []Session
	NextToken string
}

// Result is what a batch has for one session: the session, or the error.
type Result struct {
	Session Session
	Err     error
}

// Session is a session as its provider shows it. A zero field is unknown. An answer has
// at least the Ref that was asked for and a State. All times are in UTC. The maps and
// slices belong to the caller.
type Session struct {
	Ref
	State         fsm.State // as read; it may be a state that fsm does not know
	StatusCode    string    // why it is in this state, for a program; from the provider or the driver's port probe
	StatusMessage string    // the same for a person; holds no credential

	CreatedBy    string
	OwnedBy      string
	InstanceType string // what kind of machine it is, by the provider's name
	ImageID      string // what the machine boots, by the provider's name
	Tags         map[string]string

	CreatedAt time.Time
	StartedAt time.Time // when it was last started
	StoppedAt time.Time
	UpdatedAt time.Time

	Endpoints []Endpoint  // what a launcher connects to
	Date      time.Time   // the provider's clock when it answered
	Probe     ProbeResult // the driver's port probe for this answer; the zero value if it made none

	// Details holds what only one kind of provider knows of its sessions, in a type of
	// that transport's package, such as nimble.Details. Copies of an answer share it, so
	// it must not be changed. Nil means nothing.
	Details any
}

// Endpoint is where a launcher can reach a session.
type Endpoint struct {
	Name string // "dcv", "rdp", "ssh", …
	Host string
	Port int
	URL  string
}
