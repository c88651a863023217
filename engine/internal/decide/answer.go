package decide

import (
	"errors"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/transport"
)

// Call is what was asked of the provider.
type Call uint8

// The calls.
const (
	CallStart   Call = iota
	CallConfirm      // a read of a session whose start may have been sent
	CallPoll         // a read of a session whose start was accepted
	calls
)

// row is a sort of answer: a row of the answer table.
type row uint8

const (
	none    row = iota // no answer: see Cause
	booting            // START_IN_PROGRESS
	ready
	stopped
	broken  // START_FAILED, CREATE_FAILED, STOP_FAILED, DELETE_*
	passing // STOP_IN_PROGRESS, CREATE_IN_PROGRESS
	strange // any other state
	conflict
	throttled
	noOutcome // 5xx, a time-out, a cut connection, an answer cut short
	shortage
	denied
	refused // NotFound, Invalid
	credentials
	unreachable
	rows
)

// Answer is what one call returned for one session.
type Answer struct {
	Call        Call
	Ref         transport.Ref // the session; zero: the call was for several
	Trial       bool          // it is the trial call of a blocked lane
	Session     transport.Session
	Err         error
	Kind        transport.Kind // of Err
	NotSent     bool
	OnlySession bool          // the failure concerns this session alone: it does not count for its lane
	RetryAfter  time.Duration // the wait that the provider asked for; 0: none
	Member      bool          // another answer of its batch counts for the lane
	Date        time.Time     // the provider's clock
	Began, At   time.Time     // the call and the answer, on the wall clock
	BeganMono   time.Time
	Up          uptime.Reading // when the call began
	row         row
}

// MaxState bounds what is stored of a state that is not known, in bytes.
const MaxState = 64

// Read sorts what a call returned into its row.
func (a *Answer) Read(s transport.Session, err error) {
	a.Session, a.Err = s, err
	if err == nil {
		a.Date = s.Date
		a.row = rowOfState(s.State)
		if a.row == strange { // the unknown state is stored and shown as it came
			a.Session.State = fsm.State(Bounded(string(s.State), MaxState))
		}
		return
	}
	var te *transport.Error
	if errors.As(err, &te) {
		a.Kind, a.NotSent, a.Date, a.RetryAfter = te.Kind, te.NotSent, te.Date, te.RetryAfter
		switch te.Kind {
		case transport.KindUnreachable, transport.KindUnknown, transport.KindThrottled, transport.KindCredentials:
			a.OnlySession = te.OnlySession
		}
	}
	a.row = rowOfKind(a.Kind)
}

func rowOfState(s fsm.State) row {
	switch s {
	case fsm.StateStartInProgress:
		return booting
	case fsm.StateReady:
		return ready
	case fsm.StateStopped:
		return stopped
	case fsm.StateStartFailed, fsm.StateCreateFailed, fsm.StateStopFailed, fsm.StateDeleteInProgress, fsm.StateDeleted, fsm.StateDeleteFailed:
		return broken
	case fsm.StateStopInProgress, fsm.StateCreateInProgress:
		return passing
	}
	return strange
}

func rowOfKind(k transport.Kind) row {
	switch k {
	case transport.KindConflict:
		return conflict
	case transport.KindThrottled:
		return throttled
	case transport.KindQuotaExceeded, transport.KindCapacity:
		return shortage
	case transport.KindAccessDenied:
		return denied
	case transport.KindNotFound, transport.KindInvalid:
		return refused
	case transport.KindCredentials:
		return credentials
	case transport.KindUnreachable:
		return unreachable
	}
	return noOutcome // Internal, Unknown, and what later versions may add
}

// Protocol reports whether the service itself answered.
func (a *Answer) Protocol() bool { return a.Err == nil || a.Kind.Protocol() }

// Silent reports whether the answer shows nothing of the session: no answer came, or one
// that says that this session alone is unreachable.
func (a *Answer) Silent() bool { return a.OnlySession || !a.Protocol() }

// ofOneSession reports whether the answer is about one session, not a batch.
func (a *Answer) ofOneSession() bool { return a.OnlySession || a.Ref != (transport.Ref{}) }

// conclusive reports whether another read would return the same: the answer shows the
// session, or the provider refuses reads of it.
func (a *Answer) conclusive() bool {
	return a.Err == nil || a.row == conflict || a.row == denied || a.row == refused
}

// Weight ranks the answers of a batch by how much they say about the lane.
func (a *Answer) Weight() int {
	switch {
	case a.OnlySession:
		return -1
	case a.row == throttled:
		return 3
	case a.row == credentials:
		return 1
	case a.Protocol():
		return 2
	}
	return 0
}

// Alike reports whether two answers are in the same row of the answer table.
func (a *Answer) Alike(b *Answer) bool { return a.row == b.row }
