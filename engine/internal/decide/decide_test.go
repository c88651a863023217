package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Tables of decisions: each answer to a start, a confirm and a poll; the startedAt rule;
// stale reads; clocks that are wrong. They call decide alone, which does no I/O. The
// engine's tests run the same decisions with real stores.

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// want is the decision that a test expects.
type want struct {
	phase  fsm.Phase
	reason store.Reason
	sent   store.Sent
	resend bool
	write  bool
	due    time.Duration // from the answer; within jitter
}

func (v want) check(t *testing.T, d *decision) {
	t.Helper()
	if d.op.Phase != v.phase || d.op.EndReason != v.reason || d.op.Sent != v.sent || d.resend != v.resend || d.write != v.write {
		t.Errorf("got  %s reason %q sent %v resend %v write %v\nwant %s reason %q sent %v resend %v write %v",
			d.op.Phase, d.op.EndReason, d.op.Sent, d.resend, d.write, v.phase, v.reason, v.sent, v.resend, v.write)
	}
	if v.phase.Ended() {
		if d.op.FinishedAt.IsZero() {
			t.Error("it ended without a time")
		}
		return
	}
	due, slack := d.op.DueAt.Sub(d.Answer.At), v.due/JitterPart
	if !v.resend && (due < v.due-slack || due > v.due+slack) {
		t.Errorf("due in %v, want %v", due, v.due)
	}
}

// startAnswer returns a decision about the answer to the first send of an operation, a
// second after the send.
func startAnswer() *decision {
	before := store.Operation{
		ID: "id", Ref: transport.Ref{StudioID: "s", SessionID: "1"}, ClientToken: "id", Phase: fsm.PhaseQueued,
		CreatedAt: epoch, DueAt: epoch.Add(time.Second), ExpiresAt: epoch.Add(24 * time.Hour),
	}
	op := before
	op.Sent, op.SentAt, op.LastSentAt, op.Attempts = store.SentUnknown, epoch, epoch, 1
	return &decision{
		Input: Input{
			Before: &before, SentAt: op.LastSentAt, ClockFacts: ClockFacts{Steady: true},
			Timeout: 15 * time.Second, BootTimeout: 30 * time.Minute, Jitter: func(d time.Duration) time.Duration { return d },
			Traits: transport.Traits{Repeat: transport.RepeatByToken, TokenMemory: time.Hour, StaleFor: 30 * time.Second},
			Answer: Answer{Call: CallStart, Began: epoch, At: epoch.Add(time.Second)},
		},
		op: op,
	}
}

// confirmAnswer returns a decision about a confirm half an hour after the send. Reads do
// not show the past any more, and an earlier read has shown the same.
func confirmAnswer() *decision {
	d := startAnswer()
	d.Answer.Call = CallConfirm
	d.Answer.Began = epoch.Add(30 * time.Minute)
	d.Answer.At = d.Answer.Began
	d.Sighting = Sighting{MaybeStale: 1, From: epoch}
	return d
}

// pollAnswer returns a decision about a poll two minutes after the start was accepted.
func pollAnswer() *decision {
	d := confirmAnswer()
	d.Answer.Call = CallPoll
	d.op.Phase, d.op.Sent = fsm.PhaseStarting, store.SentAccepted
	d.op.AcceptedAt = d.Answer.At.Add(-2 * time.Minute)
	d.op.BootDeadline = d.op.AcceptedAt.Add(30 * time.Minute)
	return d
}

func (d *decision) state(s fsm.State) *decision {
	d.Answer.Read(transport.Session{State: s}, nil)
	return d
}
func (d *decision) kind(k transport.Kind) *decision {
	d.Answer.Read(transport.Session{}, &transport.Error{Kind: k, Code: "Code"})
	return d
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	var (
		accepted     = want{phase: fsm.PhaseStarting, sent: store.SentAccepted, write: true, due: time.Second}
		succeeded    = want{phase: fsm.PhaseSucceeded, sent: store.SentAccepted, write: true}
		unsent       = want{phase: fsm.PhaseQueued, sent: store.SentNo, write: true, due: time.Second}
		confirmSoon  = want{phase: fsm.PhaseQueued, sent: store.SentUnknown, write: true, due: time.Second}
		confirmAfter = want{phase: fsm.PhaseQueued, sent: store.SentUnknown, write: true, due: 14 * time.Second} // Timeout after the send
		shortage     = want{phase: fsm.PhaseQueued, sent: store.SentNo, write: true, due: time.Minute}
		noted        = want{phase: fsm.PhaseQueued, sent: store.SentUnknown, write: true, due: time.Second}
		resend       = want{phase: fsm.PhaseQueued, sent: store.SentUnknown, resend: true}
		resendAt     = want{phase: fsm.PhaseQueued, sent: store.SentUnknown, resend: true, write: true}
		lane         = want{phase: fsm.PhaseQueued, sent: store.SentUnknown} // the lane decides when
		pollNoted    = want{phase: fsm.PhaseStarting, sent: store.SentAccepted, write: true, due: Polls.After(2 * time.Minute)}
		slowly       = want{phase: fsm.PhaseStarting, sent: store.SentAccepted, write: true, due: time.Minute}
		pollLane     = want{phase: fsm.PhaseStarting, sent: store.SentAccepted}
		pollLater    = want{phase: fsm.PhaseStarting, sent: store.SentAccepted, write: true, due: time.Second}
	)
	failed := func(why store.Reason, sent store.Sent) want {
		return want{phase: fsm.PhaseFailed, reason: why, sent: sent, write: true}
	}
	type answers struct{ start, confirm, poll want }
	both := func(d func() *decision, s fsm.State, k transport.Kind) *decision {
		if s != "" {
			return d().state(s)
		}
		return d().kind(k)
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
		{state: fsm.StateStopInProgress, want: answers{confirmSoon, noted, pollNoted}},
		{state: fsm.StateCreateInProgress, want: answers{confirmSoon, noted, pollNoted}},
		{state: "FROM_THE_FUTURE", want: answers{accepted, noted, pollNoted}},
		{kind: transport.KindConflict, want: answers{confirmSoon, noted, pollNoted}},
		{kind: transport.KindThrottled, want: answers{unsent, lane, pollLane}},
		{kind: transport.KindInternal, want: answers{confirmAfter, noted, pollNoted}},
		{kind: transport.KindUnknown, want: answers{confirmAfter, noted, pollNoted}},
		{kind: transport.KindQuotaExceeded, want: answers{shortage, noted, pollNoted}},
		{kind: transport.KindCapacity, want: answers{shortage, noted, pollNoted}},
		{kind: transport.KindAccessDenied, want: answers{failed(store.ReasonAccessDenied, store.SentNo), resend, slowly}},
		{kind: transport.KindNotFound, want: answers{failed(store.ReasonNotFound, store.SentNo), resend, failed(store.ReasonNotFound, store.SentAccepted)}},
		{kind: transport.KindInvalid, want: answers{failed(store.ReasonInvalid, store.SentNo), resend, failed(store.ReasonInvalid, store.SentAccepted)}},
		{kind: transport.KindCredentials, want: answers{unsent, noted, pollLater}},
		{kind: transport.KindUnreachable, want: answers{confirmAfter, noted, pollLater}}, // a captive portal may have let the request through
	} {
		name := string(row.state)
		if name == "" {
			name = row.kind.Error()
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				call string
				j    func() *decision
				want want
			}{{"start", startAnswer, row.want.start}, {"confirm", confirmAnswer, row.want.confirm}, {"poll", pollAnswer, row.want.poll}} {
				t.Run(c.call, func(t *testing.T) {
					d := both(c.j, row.state, row.kind)
					if d.op.LastSentAt.IsZero() {
						t.Fatal("the decision has no send")
					}
					d.decide()
					c.want.check(t, d)
				})
			}
		})
	}
}

func TestNotSentIsUndone(t *testing.T) {
	t.Parallel()
	d := startAnswer()
	d.Answer.Read(transport.Session{}, &transport.Error{Kind: transport.KindUnreachable, NotSent: true})
	d.decide()
	if d.op.Sent != store.SentNo || d.op.Attempts != 0 || !d.op.SentAt.IsZero() || !d.op.LastSentAt.IsZero() {
		t.Errorf("a send that did not leave was charged: %+v", d.op)
	}
	// The second send of an operation: the first may have arrived.
	d = startAnswer()
	d.Before.Sent, d.Before.SentAt, d.Before.Attempts = store.SentUnknown, epoch.Add(-time.Hour), 1
	d.op.SentAt, d.op.Attempts = d.Before.SentAt, 2
	d.kind(transport.KindThrottled).decide()
	if d.op.Sent != store.SentUnknown || !d.op.SentAt.Equal(d.Before.SentAt) {
		t.Errorf("a refused second send made the first one forgotten: sent %v at %v", d.op.Sent, d.op.SentAt)
	}
}

// TestStartedAtRule: when a session that is STOPPED after a send is sent again.
func TestStartedAtRule(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) time.Time { return epoch.Add(d) } // the first send is at epoch, on the host's clock
	never := transport.Traits{Repeat: transport.RepeatNever, StaleFor: 30 * time.Second}
	authoritative := transport.Traits{Repeat: transport.RepeatByState, StaleFor: 30 * time.Second, Authoritative: true}
	for _, c := range []struct {
		name    string
		seen    time.Time // before the send
		started time.Time
		offset  time.Duration // the provider's clock minus the host's
		unknown bool          // the offset is not known
		jumped  bool          // the wall clock has jumped since the send
		setBack bool          // it was set back
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
		{name: "earlier than the send, and the clock was set back since", jumped: true, setBack: true, started: at(-20 * time.Minute), want: store.ReasonAmbiguous},
		{name: "earlier than the send, and the clock went ahead since, forgotten", jumped: true, started: at(-20 * time.Minute), age: 2 * time.Hour, want: store.ReasonAmbiguous},
		{name: "in between, by token, and the host slept since", jumped: true, started: at(time.Second)},
		{name: "no startedAt, by token, and the host slept since", jumped: true},
		{name: "by token whose memory is not known", traits: transport.Traits{Repeat: transport.RepeatByToken}, want: store.ReasonAmbiguous},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := confirmAnswer()
			if c.traits != (transport.Traits{}) {
				d.Traits = c.traits
			}
			if c.age > 0 {
				d.Answer.At = epoch.Add(c.age)
			}
			d.op.StartedSeen = c.seen
			d.Provider = ProviderClock{Offset: c.offset, Uncertainty: time.Second / 2, Known: !c.unknown}
			d.Steady, d.SetBack = !c.jumped, c.setBack
			d.Answer.Read(transport.Session{State: fsm.StateStopped, StartedAt: c.started}, nil)
			d.decide()
			if resend := c.want == ""; d.resend != resend || d.op.EndReason != c.want {
				t.Errorf("resend %v, reason %q; want resend %v, reason %q", d.resend, d.op.EndReason, resend, c.want)
			}
			sure := !c.jumped && strings.HasPrefix(c.name, "earlier") || strings.HasPrefix(c.name, "as seen")
			if d.resend && sure && !d.op.StartedSeen.Equal(c.started) {
				t.Errorf("the next confirm would compare with %v, not with %v as seen before the send", d.op.StartedSeen, c.started)
			}
			if d.resend && !sure && !d.op.StartedSeen.Equal(c.seen) {
				t.Errorf("the next confirm would take %v for a start before the first send, which is not known", d.op.StartedSeen)
			}
		})
	}
}

// TestStaleReads: after a send, a bad state counts in two cases. It is later than the last
// instant at which the send may have arrived. Or a read shows it again when reads cannot
// show the time before that instant any more.
func TestStaleReads(t *testing.T) {
	t.Parallel()
	const grace = 30 * time.Second
	for _, bad := range []struct {
		name string
		tell func(d *decision, updated time.Time)
	}{
		{"STOPPED", func(d *decision, u time.Time) {
			d.Answer.Read(transport.Session{State: fsm.StateStopped, UpdatedAt: u}, nil)
		}},
		{"START_FAILED", func(d *decision, u time.Time) {
			d.Answer.Read(transport.Session{State: fsm.StateStartFailed, UpdatedAt: u}, nil)
		}},
		{"NotFound", func(d *decision, _ time.Time) { d.kind(transport.KindNotFound) }},
	} {
		for _, from := range []struct {
			name    string
			make    func() *decision
			arrived time.Duration // after the send: it has arrived by then
		}{{"confirm", confirmAnswer, 15 * time.Second}, {"poll", pollAnswer, 10 * time.Second}} {
			t.Run(bad.name+"/"+from.name, func(t *testing.T) {
				t.Parallel()
				make := func() *decision {
					d := from.make()
					d.Sighting = Sighting{}
					d.Provider.Known = true
					if d.op.Sent == store.SentAccepted {
						d.op.AcceptedAt = d.op.LastSentAt.Add(from.arrived)
					}
					d.Traits.Repeat = transport.RepeatNever // so that NotFound in answer to a confirm decides nothing
					return d
				}
				d := make()
				sent := d.op.LastSentAt
				decided := func() bool { return d.op.Phase.Ended() || d.resend || d.op.LastError != "" }
				see := func(after time.Duration, updated time.Time) {
					d.Answer.At = sent.Add(after)
					bad.tell(d, updated)
					d.decide()
					d.Sighting = d.seen
				}
				see(from.arrived+time.Second, time.Time{})
				if decided() {
					t.Fatal("one read a second after the send arrived decided")
				}
				if want := sent.Add(from.arrived + grace); !d.op.DueAt.Equal(want) {
					t.Errorf("the next read is at %v, want %v", d.op.DueAt, want)
				}
				see(grace+time.Second, time.Time{}) // it may show the state before a slow send
				if decided() {
					t.Fatal("two reads inside the grace decided")
				}
				see(from.arrived+grace, time.Time{})
				if !decided() {
					t.Fatal("nothing was decided after the grace")
				}
				if bad.name == "NotFound" {
					return // it has no updatedAt
				}
				d = make()
				see(20*time.Second, sent.Add(2*time.Second)) // another cause, while the send was under way
				if decided() {
					t.Error("an updatedAt later than the send, but maybe not later than its effect, decided")
				}
				d = make()
				see(20*time.Second, sent.Add(from.arrived+2*time.Second)) // within the grace
				if !decided() {
					t.Error("an updatedAt later than the send's effect did not decide")
				}
			})
		}
	}
}

// TestConfirmOfCanceledOrExpired: an operation that was canceled or has expired is not sent
// again. An untrusted clock proves no expiry.
func TestConfirmOfCanceledOrExpired(t *testing.T) {
	t.Parallel()
	withCancel := func(d *decision) { d.op.CancelAt, d.op.CancelBy = epoch, "ann" }
	expired := func(d *decision) { d.op.ExpiresAt = epoch.Add(time.Minute) }
	untrusted := func(d *decision) { expired(d); d.Untrusted = true }
	for _, c := range []struct {
		name  string
		set   func(*decision)
		state fsm.State
		kind  transport.Kind
		want  fsm.Phase
		why   store.Reason
	}{
		{"canceled, not started", withCancel, fsm.StateStopped, 0, fsm.PhaseCanceled, store.ReasonCanceled},
		{"canceled, started", withCancel, fsm.StateStartInProgress, 0, fsm.PhaseStarting, ""},
		{"canceled, ready", withCancel, fsm.StateReady, 0, fsm.PhaseSucceeded, ""},
		{"canceled, reads refused", withCancel, "", transport.KindAccessDenied, fsm.PhaseQueued, ""},
		{"expired, not started", expired, fsm.StateStopped, 0, fsm.PhaseExpired, store.ReasonExpired},
		{"expired by an untrusted clock, not started", untrusted, fsm.StateStopped, 0, fsm.PhaseQueued, ""},
		{"expired, started", expired, fsm.StateStartInProgress, 0, fsm.PhaseStarting, ""},
		{"expired, reads refused", expired, "", transport.KindAccessDenied, fsm.PhaseQueued, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := confirmAnswer()
			c.set(d)
			if c.state != "" {
				d.state(c.state)
			} else {
				d.kind(c.kind)
			}
			d.decide()
			if d.resend || d.op.Phase != c.want || d.op.EndReason != c.why {
				t.Errorf("resend %v, %s %q; want no send, %s %q", d.resend, d.op.Phase, d.op.EndReason, c.want, c.why)
			}
			if c.want == fsm.PhaseCanceled && d.event.By != "ann" {
				t.Errorf("the event says by %q, want ann", d.event.By)
			}
		})
	}
	// It was canceled while the send was under way, and refused. So it was never sent.
	d := startAnswer()
	withCancel(d)
	d.kind(transport.KindThrottled).decide()
	if d.op.Phase != fsm.PhaseCanceled {
		t.Errorf("canceled during the send and refused: %s, want CANCELED", d.op.Phase)
	}
}

// TestBootTimeout: the time in which the session could not be polled does not count.
func TestBootTimeout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		after    time.Duration // of acceptance
		unpolled time.Duration
		state    fsm.State
		kind     transport.Kind
		want     fsm.Phase
	}{
		{"within", 29 * time.Minute, 0, fsm.StateStartInProgress, 0, fsm.PhaseStarting},
		{"over", 30 * time.Minute, 0, fsm.StateStartInProgress, 0, fsm.PhaseFailed},
		{"over, but it could not be polled", 50 * time.Minute, 25 * time.Minute, fsm.StateStartInProgress, 0, fsm.PhaseStarting},
		{"over, and READY", 50 * time.Minute, 0, fsm.StateReady, 0, fsm.PhaseSucceeded},
		{"over, and the poll failed", 50 * time.Minute, 0, "", transport.KindInternal, fsm.PhaseStarting},
		{"over, and throttled", 50 * time.Minute, 0, "", transport.KindThrottled, fsm.PhaseStarting},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := pollAnswer()
			d.Answer.At = d.op.AcceptedAt.Add(c.after)
			d.Unpolled = c.unpolled
			if c.state != "" {
				d.state(c.state)
			} else {
				d.kind(c.kind)
			}
			d.decide()
			if d.op.Phase != c.want || c.want == fsm.PhaseFailed && d.op.EndReason != store.ReasonTimeout {
				t.Errorf("%s %q, want %s", d.op.Phase, d.op.EndReason, c.want)
			}
		})
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	d := pollAnswer()
	d.op.Session = fsm.StateDeleted
	d.state(fsm.StateReady).decide()
	if d.fact == nil || d.fact.Reason != store.ReasonUnexpectedState || d.op.Phase != fsm.PhaseSucceeded {
		t.Errorf("DELETED and then READY: fact %+v, phase %s; want both an unexpected_state and SUCCEEDED", d.fact, d.op.Phase)
	}
	d = pollAnswer()
	d.op.Phase, d.op.EndReason, d.op.Session = fsm.PhaseFailed, store.ReasonTimeout, fsm.StateStartInProgress
	d.state(fsm.StateReady).decide()
	if d.fact == nil || d.fact.Reason != store.ReasonLateReady || d.op.Phase != fsm.PhaseFailed {
		t.Fatalf("READY after the end: fact %+v, phase %s", d.fact, d.op.Phase)
	}
	d.decide()
	if d.fact != nil || d.write {
		t.Error("late_ready is reported twice")
	}
}

func TestNothingNewIsNotWritten(t *testing.T) {
	t.Parallel()
	for _, d := range []*decision{pollAnswer(), confirmAnswer()} {
		d.op.Session = fsm.StateStartInProgress
		d.state(fsm.StateStartInProgress)
		if d.Answer.Call == CallConfirm {
			d.op.Session = fsm.StateStopInProgress
			d.state(fsm.StateStopInProgress)
		}
		for range 5 {
			if d.decide(); d.write {
				t.Error("an answer that changed nothing is written")
			}
		}
		for range 3 {
			d.kind(transport.KindInternal).decide()
		}
		if d.write {
			t.Error("the same failure again is written")
		}
	}
}

func TestErrorTextHasNoSecrets(t *testing.T) {
	t.Parallel()
	err := &transport.Error{Kind: transport.KindCredentials, Code: "SignatureDoesNotMatch", Message: "canonical string x-amz-security-token:CANARY"}
	if text := (&Answer{Err: err, Kind: err.Kind}).Text(); text != "credentials: SignatureDoesNotMatch" {
		t.Errorf("%q quotes the provider", text)
	}
	if text := Clean("a\x1b[31m\nb" + string(make([]byte, 1000))); len(text) > MaxError+len("…") || text[:7] != "a [31m " {
		t.Errorf("clean left %q", text)
	}
}
