package transport

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse/fsm"
)

// Transport starts sessions of a provider and looks at them. Implementations
// are safe for concurrent use.
type Transport interface {
	// Start asks for in.Ref to leave STOPPED. It is idempotent by
	// in.ClientToken where the provider's [Traits] say so: a second call with
	// the same token starts nothing and returns the session as it is. Every
	// error is an [*Error], whose Kind says whether the outcome is known; where
	// it is not, the engine looks before it asks again. (An error that is none
	// counts as [KindUnknown].) With a ctx that has ended it starts nothing.
	Start(ctx context.Context, in StartInput) (Session, error)

	// Get returns the session as the provider shows it, which may be the past
	// for [Traits].StaleFor. It changes nothing.
	Get(ctx context.Context, ref Ref) (Session, error)
}

// Describer says how a transport behaves. Traits does no I/O, is cheap, and
// gives the same answer for one Ref at all times.
type Describer interface{ Traits(ref Ref) Traits }

// StartChecker is a transport that refuses some refs or tokens which
// [StartInput.Check] allows: one that runs commands, for example.
type StartChecker interface {
	// CheckStart returns the *Error of kind Invalid with which Start would refuse
	// in before it sends anything, or nil. It does no I/O.
	CheckStart(in StartInput) error
}

// CheckStart returns the error with which t would refuse in unsent. For a
// transport that is no [StartChecker] that is [StartInput.Check].
func CheckStart(t Transport, in StartInput) error {
	if c, ok := t.(StartChecker); ok {
		return c.CheckStart(in)
	}
	return in.Check()
}

// BatchGetter looks at many sessions in one call.
type BatchGetter interface {
	// BatchGet returns one Result for each ref, in the order of refs; a session
	// that the provider leaves out is a KindNotFound there. The error is the call's:
	// with one, there are no results. refs share a lane and are at most
	// [Traits].MaxBatch.
	BatchGet(ctx context.Context, refs []Ref) ([]Result, error)
}

// BatchStarter starts many sessions in one call.
type BatchStarter interface {
	// BatchStart is Start for each input, with the guarantees of Start for
	// each: one Result for each, in order; a member that spoils a call does not
	// spoil the others. The error is the call's, and applies to every member:
	// with one, there are no results. ins share a lane and are at most
	// [Traits].MaxStarts.
	BatchStart(ctx context.Context, ins []StartInput) ([]Result, error)
}

// Lister lists a studio's sessions, a page a call.
type Lister interface {
	List(ctx context.Context, in ListInput) (ListOutput, error)
}

// StartInput asks for one session to be started.
type StartInput struct {
	Ref
	ClientToken string // see [CheckToken]; the same at every send of one operation
}

// StopInput asks for one session to be stopped.
type StopInput struct {
	Ref
	ClientToken         string
	VolumeRetentionMode string // "" leaves it to the provider
}

// ListInput asks for a page of a studio's sessions. Empty fields filter nothing.
type ListInput struct {
	StudioID   string
	SessionIDs []string
	CreatedBy  string
	OwnedBy    string
	NextToken  string // of the page before
}

// ListOutput is one page. An empty NextToken says that it is the last.
type ListOutput struct {
	Sessions  []Session
	NextToken string
}

// Result is one session of a batch: the session, or why there is none.
type Result struct {
	Session Session
	Err     error
}

// Session is a session as its provider shows it. A zero field is unknown. An answer
// has at least the Ref that was asked for and a State; all times are in UTC; its
// maps and slices are the caller's.
type Session struct {
	Ref
	State         fsm.State // as read; it may be none of the known
	StatusCode    string    // why it is in this state, for a program; of the provider, or of the driver's probe
	StatusMessage string    // the same for a person; no credential

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
	Probe     ProbeResult // the driver's probe of the machine for this answer; zero: none was made

	// Details is what only one kind of provider says of its sessions: a value of a
	// type of that transport's package, as nimble.Details. It is shared by the
	// copies of an answer and never changed. nil: nothing.
	Details any
}

// Endpoint is a place where a session can be reached.
type Endpoint struct {
	Name string // "dcv", "rdp", "ssh", …
	Host string
	Port int
	URL  string
}
