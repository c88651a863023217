package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// The tables of package engine as tables: each answer to a start, a look and a
// poll; the startedAt rule; stale reads. They run the judge alone, which does no
// I/O; what the workers make of it is tested with real stores elsewhere.

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// verdict is what a test expects of a judge.
type verdict struct {
	phase  fsm.Phase
	reason store.Reason
	sent   store.Sent
	resend bool
	write  bool
	due    time.Duration // from the answer; within jitter
}

func (v verdict) check(t *testing.T, j *judge) {
	t.Helper()
	if j.op.Phase != v.phase || j.op.EndReason != v.reason || j.op.Sent != v.sent || j.resend != v.resend || j.write != v.write {
		t.Errorf("got  %s reason %q sent %v resend %v write %v\nwant %s reason %q sent %v resend %v write %v",
			j.op.Phase, j.op.EndReason, j.op.Sent, j.resend, j.write, v.phase, v.reason, v.sent, v.resend, v.write)
	}
	if v.phase.Ended() {
		if j.op.FinishedAt.IsZero() {
			t.Error("it ended without a time")
		}
		return
	}
	due, slack := j.op.DueAt.Sub(j.a.at), v.due/jitterPart
	if !v.resend && (due < v.due-slack || due > v.due+slack) {
		t.Errorf("due in %v, want %v", due, v.due)
	}
}

// startJudge is a judge of an answer to the first send of an operation, a second
// after it.
func startJudge() *judge {
	before := store.Operation{
		ID: "id", Ref: Ref{StudioID: "s", SessionID: "1"}, ClientToken: "id", Phase: fsm.PhaseQueued,
		CreatedAt: epoch, DueAt: epoch.Add(time.Second), ExpiresAt: epoch.Add(24 * time.Hour),
	}
	op := before
	op.Sent, op.SentAt, op.LastSentAt, op.Attempts = store.SentUnknown, epoch, epoch, 1
	cfg := Config{}.withDefaults()
	return &judge{
		before: &before, op: op, cfg: &cfg, steady: true, sentAt: op.LastSentAt,
		traits: transport.Traits{Repeat: transport.RepeatByToken, TokenMemory: time.Hour, StaleFor: 30 * time.Second},
		a:      answer{call: startCall, began: epoch, at: epoch.Add(time.Second)},
	}
}

// lookJudge judges a look an hour later: reads do not show the past any more,
// and it was seen before.
func lookJudge() *judge {
	j := startJudge()
	j.a.call = lookCall
	j.a.began = epoch.Add(30 * time.Minute)
	j.a.at = j.a.began
	j.was = sighting{doubt: 1, from: epoch}
	return j
}

// pollJudge judges a poll two minutes after the start was accepted.
func pollJudge() *judge {
	j := lookJudge()
	j.a.call = pollCall
	j.op.Phase, j.op.Sent = fsm.PhaseStarting, store.SentAccepted
	j.op.AcceptedAt = j.a.at.Add(-2 * time.Minute)
	j.op.BootDeadline = j.op.AcceptedAt.Add(30 * time.Minute)
	return j
}

func (j *judge) state(s fsm.State) *judge { j.a.read(transport.Session{State: s}, nil); return j }
func (j *judge) kind(k transport.Kind) *judge {
	j.a.read(transport.Session{}, &transport.Error{Kind: k, Code: "Code"})
	return j
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	var (
		accepted  = verdict{phase: fsm.PhaseStarting, sent: store.SentAccepted, write: true, due: time.Second}
		succeeded = verdict{phase: fsm.PhaseSucceeded, sent: store.SentAccepted, write: true}
		unsent    = verdict{phase: fsm.PhaseQueued, sent: store.SentNo, write: true, due: time.Second}
		lookSoon  = verdict{phase: fsm.PhaseQueued, sent: store.SentUnknown, write: true, due: time.Second}
		lookAfter = verdict{phase: fsm.PhaseQueued, sent: store.SentUnknown, write: true, due: 14 * time.Second} // Timeout after the send
		shortage  = verdict{phase: fsm.PhaseQueued, sent: store.SentNo, write: true, due: time.Minute}
		noted     = verdict{phase: fsm.PhaseQueued, sent: store.SentUnknown, write: true, due: time.Second}
		resend    = verdict{phase: fsm.PhaseQueued, sent: store.SentUnknown, resend: true}
		resendAt  = verdict{phase: fsm.PhaseQueued, sent: store.SentUnknown, resend: true, write: true}
		lane      = verdict{phase: fsm.PhaseQueued, sent: store.SentUnknown} // the lane decides when
		pollNoted = verdict{phase: fsm.PhaseStarting, sent: store.SentAccepted, write: true, due: poll.after(2 * time.Minute)}
		slowly    = verdict{phase: fsm.PhaseStarting, sent: store.SentAccepted, write: true, due: time.Minute}
		pollLane  = verdict{phase: fsm.PhaseStarting, sent: store.SentAccepted}
		pollLater = verdict{phase: fsm.PhaseStarting, sent: store.SentAccepted, write: true, due: time.Second}
	)
	failed := func(why store.Reason, sent store.Sent) verdict {
		return verdict{phase: fsm.PhaseFailed, reason: why, sent: sent, write: true}
	}
	type answers struct{ start, look, poll verdict }
	both := func(j func() *judge, s fsm.State, k transport.Kind) *judge {
		if s != "" {
			return j().state(s)
		}
		return j().kind(k)
	}
	broken := answers{failed(store.ReasonStartFailed, store.SentUnknown), failed(store.ReasonStartFailed, store.SentUnknown), failed(store.ReasonStartFailed, store.SentAccepted)}
	for _, row := range []struct {
		state fsm.State
		kind  transport.Kind
		want  answers
	}{
		{state: fsm.StateStartInProgress, want: answers{accepted, accepted, pollNoted}},
		{state: fsm.StateReady, want: answers{succeeded, succeeded, succeeded}},
		{state: fsm.StateStopped, want: answers{accepted, resendAt, failed(store.ReasonReturnedToStopped, store.SentAccepted)}},
		{state: fsm.StateStartFailed, want: broken},
		{state: fsm.StateCreateFailed, want: broken},
		{state: fsm.StateStopFailed, want: broken},
		{state: fsm.StateDeleteFailed, want: broken},
		{state: fsm.StateDeleteInProgress, want: broken},
		{state: fsm.StateDeleted, want: broken},
		{state: fsm.StateStopInProgress, want: answers{lookSoon, noted, pollNoted}},
		{state: fsm.StateCreateInProgress, want: answers{lookSoon, noted, pollNoted}},
		{state: "FROM_THE_FUTURE", want: answers{accepted, noted, pollNoted}},
		{kind: transport.KindConflict, want: answers{lookSoon, noted, pollNoted}},
		{kind: transport.KindThrottled, want: answers{unsent, lane, pollLane}},
		{kind: transport.KindInternal, want: answers{lookAfter, noted, pollNoted}},
		{kind: transport.KindUnknown, want: answers{lookAfter, noted, pollNoted}},
		{kind: transport.KindQuotaExceeded, want: answers{shortage, noted, pollNoted}},
		{kind: transport.KindCapacity, want: answers{shortage, noted, pollNoted}},
		{kind: transport.KindAccessDenied, want: answers{failed(store.ReasonAccessDenied, store.SentNo), resend, slowly}},
		{kind: transport.KindNotFound, want: answers{failed(store.ReasonNotFound, store.SentNo), resend, failed(store.ReasonNotFound, store.SentAccepted)}},
		{kind: transport.KindInvalid, want: answers{failed(store.ReasonInvalid, store.SentNo), resend, failed(store.ReasonInvalid, store.SentAccepted)}},
		{kind: transport.KindCredentials, want: answers{unsent, noted, pollLater}},
		{kind: transport.KindUnreachable, want: answers{lookAfter, noted, pollLater}}, // a portal's page: something may have passed
	} {
		name := string(row.state)
		if name == "" {
			name = row.kind.Error()
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				call string
				j    func() *judge
				want verdict
			}{{"start", startJudge, row.want.start}, {"look", lookJudge, row.want.look}, {"poll", pollJudge, row.want.poll}} {
				t.Run(c.call, func(t *testing.T) {
					j := both(c.j, row.state, row.kind)
					if j.op.LastSentAt.IsZero() {
						t.Fatal("the judge has no send")
					}
					j.decide()
					c.want.check(t, j)
				})
			}
		})
	}
}

func TestNotSentIsUndone(t *testing.T) {
	t.Parallel()
	j := startJudge()
	j.a.read(transport.Session{}, &transport.Error{Kind: transport.KindUnreachable, NotSent: true})
	j.decide()
	if j.op.Sent != store.SentNo || j.op.Attempts != 0 || !j.op.SentAt.IsZero() || !j.op.LastSentAt.IsZero() {
		t.Errorf("a send that reached nobody was charged: %+v", j.op)
	}
	// The second send of an operation: the first may have arrived.
	j = startJudge()
	j.before.Sent, j.before.SentAt, j.before.Attempts = store.SentUnknown, epoch.Add(-time.Hour), 1
	j.op.SentAt, j.op.Attempts = j.before.SentAt, 2
	j.kind(transport.KindThrottled).decide()
	if j.op.Sent != store.SentUnknown || !j.op.SentAt.Equal(j.before.SentAt) {
		t.Errorf("a refused second send made the first one forgotten: sent %v at %v", j.op.Sent, j.op.SentAt)
	}
}

func TestStartedAtRule(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) time.Time { return epoch.Add(d) } // the first send is at epoch, on our clock
	never := transport.Traits{Repeat: transport.RepeatNever, StaleFor: 30 * time.Second}
	authoritative := transport.Traits{Repeat: transport.RepeatByState, StaleFor: 30 * time.Second, Authoritative: true}
	for _, c := range []struct {
		name    string
		seen    time.Time // before the send
		started time.Time
		offset  time.Duration // the provider's clock less ours
		unknown bool          // the offset is not known
		traits  transport.Traits
		age     time.Duration // of the send; 0: half an hour
		want    store.Reason  // "": send again
	}{
		{name: "as seen before the send", seen: at(-time.Hour), started: at(-time.Hour), traits: never},
		{name: "other than seen before", seen: at(-time.Hour), started: at(-time.Minute), traits: never, want: store.ReasonReturnedToStopped},
		{name: "other than seen, by token", seen: at(-time.Hour), started: at(time.Second), want: store.ReasonReturnedToStopped},
		{name: "later than the send", started: at(3 * time.Second), traits: never, want: store.ReasonReturnedToStopped},
		{name: "later than the send, by token", started: at(3 * time.Second), want: store.ReasonReturnedToStopped},
		{name: "earlier than the send", started: at(-3 * time.Second), traits: never},
		{name: "in between", started: at(time.Second), traits: never, want: store.ReasonAmbiguous},
		{name: "in between, by token", started: at(time.Second)},
		{name: "in between, by token, forgotten", started: at(time.Second), age: 2 * time.Hour, want: store.ReasonAmbiguous},
		{name: "in between, by token, forgotten when the next arrives", started: at(time.Second), age: time.Hour - 10*time.Second, want: store.ReasonAmbiguous},
		{name: "later on the provider's clock", offset: -time.Hour, started: at(3*time.Second - time.Hour), traits: never, want: store.ReasonReturnedToStopped},
		{name: "earlier on the provider's clock", offset: time.Hour, started: at(time.Hour - 3*time.Second), traits: never},
		{name: "no clock known", unknown: true, started: at(time.Minute), traits: never, want: store.ReasonAmbiguous},
		{name: "no clock known, by token", unknown: true, started: at(time.Minute)},
		{name: "no startedAt", traits: never, want: store.ReasonAmbiguous},
		{name: "no startedAt, by token"},
		{name: "no startedAt, by state", traits: transport.Traits{Repeat: transport.RepeatByState}, want: store.ReasonAmbiguous},
		{name: "no startedAt, by state, authoritative", traits: authoritative},
		{name: "no startedAt, no clock, by state, authoritative", unknown: true, traits: authoritative},
		{name: "long before, no clock, by state, authoritative", unknown: true, started: at(-time.Hour), traits: authoritative},
		{name: "shortly before, no clock, by state, authoritative", unknown: true, started: at(-time.Minute), traits: authoritative, want: store.ReasonAmbiguous},
		{name: "in between, by state, authoritative", started: at(time.Second), traits: authoritative, want: store.ReasonAmbiguous},
		{name: "later than the send, by state, authoritative", started: at(3 * time.Second), traits: authoritative, want: store.ReasonReturnedToStopped},
		{name: "no startedAt, authoritative, a second start has an effect",
			traits: transport.Traits{Authoritative: true, StaleFor: time.Second}, want: store.ReasonAmbiguous},
		{name: "no startedAt now, one before", seen: at(-time.Hour), traits: never, want: store.ReasonAmbiguous},
		{name: "by token whose memory is not known", traits: transport.Traits{Repeat: transport.RepeatByToken}, want: store.ReasonAmbiguous},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := lookJudge()
			if c.traits != (transport.Traits{}) {
				j.traits = c.traits
			}
			if c.age > 0 {
				j.a.at = epoch.Add(c.age)
			}
			j.op.StartedSeen = c.seen
			j.clock = clock{offset: c.offset, error: time.Second / 2, known: !c.unknown}
			j.a.read(transport.Session{State: fsm.StateStopped, StartedAt: c.started}, nil)
			j.decide()
			if resend := c.want == ""; j.resend != resend || j.op.EndReason != c.want {
				t.Errorf("resend %v, reason %q; want resend %v, reason %q", j.resend, j.op.EndReason, resend, c.want)
			}
			sure := strings.HasPrefix(c.name, "earlier") || strings.HasPrefix(c.name, "as seen")
			if j.resend && sure && !j.op.StartedSeen.Equal(c.started) {
				t.Errorf("the next look would compare with %v, not with %v as seen before it", j.op.StartedSeen, c.started)
			}
			if j.resend && !sure && !j.op.StartedSeen.Equal(c.seen) {
				t.Errorf("the next look would take %v for a start before the first send, and nobody knows that", j.op.StartedSeen)
			}
		})
	}
}

// TestStaleReads: after a send, a bad state counts only if it is later than the
// latest instant at which the send may have arrived, or seen again when reads
// cannot show what was before that any more.
func TestStaleReads(t *testing.T) {
	t.Parallel()
	const grace = 30 * time.Second
	for _, bad := range []struct {
		name string
		tell func(j *judge, updated time.Time)
	}{
		{"STOPPED", func(j *judge, u time.Time) { j.a.read(transport.Session{State: fsm.StateStopped, UpdatedAt: u}, nil) }},
		{"START_FAILED", func(j *judge, u time.Time) {
			j.a.read(transport.Session{State: fsm.StateStartFailed, UpdatedAt: u}, nil)
		}},
		{"NotFound", func(j *judge, _ time.Time) { j.kind(transport.KindNotFound) }},
	} {
		for _, from := range []struct {
			name    string
			make    func() *judge
			arrived time.Duration // after the send, at the latest
		}{{"look", lookJudge, 15 * time.Second}, {"poll", pollJudge, 10 * time.Second}} {
			t.Run(bad.name+"/"+from.name, func(t *testing.T) {
				t.Parallel()
				make := func() *judge {
					j := from.make()
					j.was = sighting{}
					j.clock.known = true
					if j.op.Sent == store.SentAccepted {
						j.op.AcceptedAt = j.op.LastSentAt.Add(from.arrived)
					}
					j.traits.Repeat = transport.RepeatNever // so that a look's NotFound decides nothing
					return j
				}
				j := make()
				sent := j.op.LastSentAt
				decided := func() bool { return j.op.Phase.Ended() || j.resend || j.op.LastError != "" }
				see := func(after time.Duration, updated time.Time) {
					j.a.at = sent.Add(after)
					bad.tell(j, updated)
					j.decide()
					j.was = j.seen
				}
				see(from.arrived+time.Second, time.Time{})
				if decided() {
					t.Fatal("one look a second after the send arrived decided")
				}
				if want := sent.Add(from.arrived + grace); !j.op.DueAt.Equal(want) {
					t.Errorf("looks again at %v, want %v", j.op.DueAt, want)
				}
				see(grace+time.Second, time.Time{}) // it may show the state before a send that took its time
				if decided() {
					t.Fatal("two looks inside the grace decided")
				}
				see(from.arrived+grace, time.Time{})
				if !decided() {
					t.Fatal("nothing was decided after the grace")
				}
				if bad.name == "NotFound" {
					return // it has no updatedAt
				}
				j = make()
				see(20*time.Second, sent.Add(2*time.Second)) // somebody else's doing while it was under way
				if decided() {
					t.Error("an updatedAt later than the send, but perhaps not than its effect, was believed")
				}
				j = make()
				see(20*time.Second, sent.Add(from.arrived+2*time.Second)) // within the grace
				if !decided() {
					t.Error("an updatedAt later than the send's effect was not believed")
				}
			})
		}
	}
}

func TestLookAtUnwanted(t *testing.T) {
	t.Parallel()
	withCancel := func(j *judge) { j.op.CancelAt, j.op.CancelBy = epoch, "ann" }
	expired := func(j *judge) { j.op.ExpiresAt = epoch.Add(time.Minute) }
	for _, c := range []struct {
		name  string
		set   func(*judge)
		state fsm.State
		kind  transport.Kind
		want  fsm.Phase
		why   store.Reason
	}{
		{"canceled, not started", withCancel, fsm.StateStopped, 0, fsm.PhaseCanceled, store.ReasonCanceled},
		{"canceled, started", withCancel, fsm.StateStartInProgress, 0, fsm.PhaseStarting, ""},
		{"canceled, ready", withCancel, fsm.StateReady, 0, fsm.PhaseSucceeded, ""},
		{"canceled, looks refused", withCancel, "", transport.KindAccessDenied, fsm.PhaseQueued, ""},
		{"expired, not started", expired, fsm.StateStopped, 0, fsm.PhaseExpired, store.ReasonExpired},
		{"expired, started", expired, fsm.StateStartInProgress, 0, fsm.PhaseStarting, ""},
		{"expired, looks refused", expired, "", transport.KindAccessDenied, fsm.PhaseQueued, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := lookJudge()
			c.set(j)
			if c.state != "" {
				j.state(c.state)
			} else {
				j.kind(c.kind)
			}
			j.decide()
			if j.resend || j.op.Phase != c.want || j.op.EndReason != c.why {
				t.Errorf("resend %v, %s %q; want no send, %s %q", j.resend, j.op.Phase, j.op.EndReason, c.want, c.why)
			}
			if c.want == fsm.PhaseCanceled && j.event.By != "ann" {
				t.Errorf("the event says by %q, want ann", j.event.By)
			}
		})
	}
	// Canceled while the send was under way, and refused: it was never sent.
	j := startJudge()
	withCancel(j)
	j.kind(transport.KindThrottled).decide()
	if j.op.Phase != fsm.PhaseCanceled {
		t.Errorf("canceled in mid-send and refused: %s, want CANCELED", j.op.Phase)
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		after time.Duration // of acceptance
		blind time.Duration
		state fsm.State
		kind  transport.Kind
		want  fsm.Phase
	}{
		{"within", 29 * time.Minute, 0, fsm.StateStartInProgress, 0, fsm.PhaseStarting},
		{"over", 30 * time.Minute, 0, fsm.StateStartInProgress, 0, fsm.PhaseFailed},
		{"over, but nobody could look", 50 * time.Minute, 25 * time.Minute, fsm.StateStartInProgress, 0, fsm.PhaseStarting},
		{"over, and READY", 50 * time.Minute, 0, fsm.StateReady, 0, fsm.PhaseSucceeded},
		{"over, and the look failed", 50 * time.Minute, 0, "", transport.KindInternal, fsm.PhaseStarting},
		{"over, and throttled", 50 * time.Minute, 0, "", transport.KindThrottled, fsm.PhaseStarting},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := pollJudge()
			j.a.at = j.op.AcceptedAt.Add(c.after)
			j.blind = c.blind
			if c.state != "" {
				j.state(c.state)
			} else {
				j.kind(c.kind)
			}
			j.decide()
			if j.op.Phase != c.want || c.want == fsm.PhaseFailed && j.op.EndReason != store.ReasonTimeout {
				t.Errorf("%s %q, want %s", j.op.Phase, j.op.EndReason, c.want)
			}
		})
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	j := pollJudge()
	j.op.Session = fsm.StateDeleted
	j.state(fsm.StateReady).decide()
	if j.fact == nil || j.fact.Reason != store.ReasonUnexpectedState || j.op.Phase != fsm.PhaseSucceeded {
		t.Errorf("DELETED and then READY: fact %+v, phase %s; want both an unexpected_state and SUCCEEDED", j.fact, j.op.Phase)
	}
	j = pollJudge()
	j.op.Phase, j.op.EndReason, j.op.Session = fsm.PhaseFailed, store.ReasonTimeout, fsm.StateStartInProgress
	j.state(fsm.StateReady).decide()
	if j.fact == nil || j.fact.Reason != store.ReasonLateReady || j.op.Phase != fsm.PhaseFailed {
		t.Fatalf("READY after the end: fact %+v, phase %s", j.fact, j.op.Phase)
	}
	j.decide()
	if j.fact != nil || j.write {
		t.Error("late_ready is told twice")
	}
}

func TestNothingNewIsNotWritten(t *testing.T) {
	t.Parallel()
	for _, j := range []*judge{pollJudge(), lookJudge()} {
		j.op.Session = fsm.StateStartInProgress
		j.state(fsm.StateStartInProgress)
		if j.a.call == lookCall {
			j.op.Session = fsm.StateStopInProgress
			j.state(fsm.StateStopInProgress)
		}
		for range 5 {
			if j.decide(); j.write {
				t.Error("an answer that changed nothing is written")
			}
		}
		for range 3 {
			j.kind(transport.KindInternal).decide()
		}
		if j.write {
			t.Error("the same failure again is written")
		}
	}
}

func TestErrorTextHasNoSecrets(t *testing.T) {
	t.Parallel()
	err := &transport.Error{Kind: transport.KindCredentials, Code: "SignatureDoesNotMatch", Message: "canonical string x-amz-security-token:CANARY"}
	if text := reasonText(answer{err: err, kind: err.Kind}); text != "credentials: SignatureDoesNotMatch" {
		t.Errorf("%q quotes the provider", text)
	}
	if text := clean("a\x1b[31m\nb" + string(make([]byte, 1000))); len(text) > maxError+len("…") || text[:7] != "a [31m " {
		t.Errorf("clean left %q", text)
	}
}
