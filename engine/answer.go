package engine

import (
	"errors"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/transport"
)

// call is what was asked of the provider.
type call uint8

const (
	startCall call = iota
	lookCall       // at a session whose start may have been sent
	pollCall       // at a session whose start was accepted
)

// row is what kind of answer came: a row of the table below.
type row uint8

const (
	none    row = iota // no answer: a ruling of its own
	booting            // START_IN_PROGRESS
	ready
	stopped
	broken  // START_FAILED, CREATE_FAILED, STOP_FAILED, DELETE_*
	passing // STOP_IN_PROGRESS, CREATE_IN_PROGRESS
	strange // a state that is not known
	conflict
	throttled
	unclear // 5xx, a time-out, a cut connection, an answer cut short
	shortage
	denied
	refused // NotFound, Invalid
	credentials
	unreachable
	rows
)

// answers says what each answer means to each call. This is the heart of the
// engine; the rulings are in ruling.go.
var answers = [rows][3]ruling{
	//             to a start       to a look        to a poll
	booting:     {(*judge).accept, (*judge).accept, (*judge).keepPolling},
	ready:       {(*judge).succeed, (*judge).succeed, (*judge).succeed},
	stopped:     {(*judge).accept, (*judge).startedAtRule, (*judge).returned},
	broken:      {(*judge).failState, (*judge).failStale, (*judge).failStale},
	passing:     {(*judge).lookLater, (*judge).lookLater, (*judge).keepPolling},
	strange:     {(*judge).accept, (*judge).lookLater, (*judge).keepPolling},
	conflict:    {(*judge).lookSoon, (*judge).lookLater, (*judge).retryPoll},
	throttled:   {(*judge).sendAgain, (*judge).again, (*judge).again},
	unclear:     {(*judge).lookAfterTimeout, (*judge).lookLater, (*judge).retryPoll},
	shortage:    {(*judge).waitLong, (*judge).lookLater, (*judge).retryPoll},
	denied:      {(*judge).fail, (*judge).blindLook, (*judge).retrySlowly},
	refused:     {(*judge).fail, (*judge).blindLook, (*judge).failRefused},
	credentials: {(*judge).sendAgain, (*judge).again, (*judge).again},
	unreachable: {(*judge).lookAfterTimeout, (*judge).again, (*judge).again},
}

// answer is what came of one call for one session.
type answer struct {
	call      call
	of        transport.Ref // the session; zero: a call for several
	probe     bool          // of a closed lane
	row       row
	session   transport.Session
	err       error
	kind      transport.Kind
	notSent   bool
	only      bool          // the failure concerns this session alone: its lane does not hear of it
	wait      time.Duration // the provider's RetryAfter; 0: it asked for none
	member    bool          // of a batch whose lane heard another member's answer
	date      time.Time     // the provider's clock
	began, at time.Time     // on the wall clock: the call, the answer
	beganMono time.Time
	up        uptime.Reading // when the call began
}

// maxState bounds what is stored of a state that is not known, in bytes.
const maxState = 64

// read sorts what a call returned into its row.
func (a *answer) read(s transport.Session, err error) {
	a.session, a.err = s, err
	if err == nil {
		a.date = s.Date
		a.row = rowOfState(s.State)
		if a.row == strange { // it is stored and shown as it is, whatever it is
			a.session.State = fsm.State(bounded(string(s.State), maxState))
		}
		return
	}
	var te *transport.Error
	if errors.As(err, &te) {
		a.kind, a.notSent, a.date, a.wait = te.Kind, te.NotSent, te.Date, te.RetryAfter
		switch te.Kind {
		case transport.KindUnreachable, transport.KindUnknown, transport.KindThrottled, transport.KindCredentials:
			a.only = te.OnlySession
		}
	}
	a.row = rowOfKind(a.kind)
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
	return unclear // Internal, Unknown, and what later versions may add
}

// protocol reports that the service itself answered.
func (a *answer) protocol() bool { return a.err == nil || a.kind.Protocol() }

// silent reports that nothing was heard of the session: no answer came, or one
// that says that it alone cannot be reached.
func (a *answer) silent() bool { return a.only || !a.protocol() }

// alone reports that the answer is about one session and no batch.
func (a *answer) alone() bool { return a.only || a.of != (transport.Ref{}) }

// telling reports that the answer says how the session is, or that looks at it
// are refused: another look would say the same.
func (a *answer) telling() bool {
	return a.err == nil || a.row == conflict || a.row == denied || a.row == refused
}

// weight ranks the answers of a batch by what they tell of the lane.
func (a *answer) weight() int {
	switch {
	case a.only:
		return -1
	case a.row == throttled:
		return 3
	case a.row == credentials:
		return 1
	case a.protocol():
		return 2
	}
	return 0
}
