package decide

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// TestStartedBeforeTheRequestOfThisBoot: a host was killed before it knew the provider's
// clock. Within the boot the age of a request is known.
func TestStartedBeforeTheRequestOfThisBoot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		started time.Duration // after the request, on the provider's clock
		boot    uint32
		resend  bool
	}{
		{-10 * time.Second, 1, true},
		{-time.Second, 1, false},
		{time.Second, 1, false},
		{-24 * time.Hour, 2, false},
	} {
		d := confirmAnswer()
		d.Traits = transport.Traits{Repeat: transport.RepeatByState, StaleFor: time.Second}
		d.Answer.At = epoch.Add(time.Hour)
		d.Up = uptime.Reading{Boot: c.boot, Awake: 3 * time.Hour, Elapsed: 4 * time.Hour}
		d.Answer.Up = d.Up
		d.op.CreatedUp = store.Uptime{Boot: 1, At: 3 * time.Hour}
		d.op.SentUp = store.Uptime{Boot: c.boot, At: 2*time.Hour + time.Second}
		d.op.CreatedAt = epoch.Add(-24 * time.Hour) // dated by a wrong clock
		d.op.ExpiresAt = epoch.Add(24 * time.Hour)
		d.op.SentProviderTime, d.op.Attempts = time.Time{}, 1
		d.Provider, d.Steady = ProviderClock{Offset: time.Minute, Known: true}, false
		d.Sighting = Sighting{MaybeStale: 1, From: epoch}
		d.Answer.Read(transport.Session{State: fsm.StateStopped, StartedAt: epoch.Add(time.Minute + c.started)}, nil)
		if d.decide(); d.resend != c.resend {
			t.Errorf("started %v after the request, boot %d: cleared %v, %s %s", c.started, c.boot, d.resend, d.op.Phase, d.op.LastError)
		}
	}
}

// TestDeadlineOfABlockedLane: a trial call that fails past an operation's deadline
// ends it once the lane has been blocked for ten minutes. Until then the error is stored
// once.
func TestDeadlineOfABlockedLane(t *testing.T) {
	t.Parallel()
	for _, blocked := range []time.Duration{0, TrustAfter - 1, TrustAfter} {
		d := confirmAnswer()
		d.op.LastError, d.op.LastErrorAt, d.op.LastKind = "no capacity", epoch, transport.KindCapacity
		d.Answer.At = d.op.Deadline().Add(time.Second)
		d.Answer.Trial, d.Blocked, d.Sighting = true, blocked, Sighting{}
		d.kind(transport.KindUnreachable).decide()
		if over := blocked >= TrustAfter; d.op.Phase.Ended() != over || !d.write {
			t.Errorf("blocked for %v: %s, written %v", blocked, d.op.Phase, d.write)
		}
		if d.write = false; d.op.Phase.Ended() {
			continue
		}
		d.Sighting = d.seen
		if d.decide(); d.write {
			t.Errorf("blocked for %v: the second error is written too", blocked)
		}
	}
}

// TestNoSecondSendWithinTheTimeout: an early confirm does not clear a second send while the
// first may be under way.
func TestNoSecondSendWithinTheTimeout(t *testing.T) {
	t.Parallel()
	d := confirmAnswer()
	d.Traits = transport.Traits{Repeat: transport.RepeatByState, StaleFor: time.Second}
	d.Provider = ProviderClock{Known: true, Uncertainty: time.Second / 2}
	d.Answer.At = epoch.Add(1500 * time.Millisecond)
	d.Answer.Read(transport.Session{State: fsm.StateStopped, StartedAt: epoch.Add(-time.Hour)}, nil)
	d.decide()
	if want := d.op.LastSentAt.Add(d.Timeout + time.Second); d.resend || !d.op.DueAt.Equal(want) {
		t.Errorf("resend %v %v after the first send; want another read at %v", d.resend, d.Answer.At.Sub(d.op.LastSentAt), want)
	}
}

// TestNoSecondSendByTheClockOfAnotherRun: by the clock of an earlier Run the send was half
// an hour ago. It is only certain that it was before this Run, which began ten seconds ago.
func TestNoSecondSendByTheClockOfAnotherRun(t *testing.T) {
	t.Parallel()
	d := confirmAnswer()
	d.Traits = transport.Traits{Repeat: transport.RepeatNever, StaleFor: time.Second}
	d.Provider = ProviderClock{Known: true, Uncertainty: time.Second / 2}
	d.Began = d.Answer.At.Add(-10 * time.Second)
	d.Answer.Read(transport.Session{State: fsm.StateStopped, StartedAt: epoch.Add(-time.Hour)}, nil)
	d.decide()
	if want := d.Began.Add(d.Timeout + time.Second); d.resend || !d.op.DueAt.Equal(want) {
		t.Errorf("resend %v, ten seconds into this Run; want another read at %v, got %v", d.resend, want, d.op.DueAt)
	}
}

// TestOnlySendByTheProvidersClock: the provider's clock shows how long ago the only send
// was, however often the host was restarted since. It shows nothing about a second send.
func TestOnlySendByTheProvidersClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ago   time.Duration // the intent, beyond the time-out
		again bool          // it was sent a second time
		took  time.Duration // the read
		clear bool
	}{
		{ago: IntentFresh + 5*time.Second, clear: true},
		{ago: 5 * time.Second}, // its commit may have taken longer
		{ago: IntentFresh + 5*time.Second, again: true},
		{ago: IntentFresh + 5*time.Second, took: time.Second, clear: true},
		{ago: IntentFresh + 5*time.Second, took: 10 * time.Second}, // it may show the time before the send arrived
	} {
		d := confirmAnswer()
		d.Answer.Began = d.Answer.At.Add(-c.took)
		d.Traits = transport.Traits{Repeat: transport.RepeatNever, StaleFor: time.Second}
		d.Provider = ProviderClock{Known: true, Offset: time.Hour, Uncertainty: time.Second / 2}
		d.Began = d.Answer.At.Add(-time.Second)
		d.op.SentProviderTime = d.Answer.At.Add(d.Provider.Offset - d.Timeout - c.ago)
		d.op.LastSentAt = d.op.SentAt
		if c.again {
			d.op.LastSentAt = d.op.SentAt.Add(time.Minute)
		}
		d.Answer.Read(transport.Session{State: fsm.StateStopped, StartedAt: epoch.Add(-time.Hour)}, nil)
		if d.decide(); d.resend != c.clear {
			t.Errorf("%+v: cleared to be sent: %v, due %v after the read", c, d.resend, d.op.DueAt.Sub(d.Answer.At))
		}
	}
}

// TestConflictEndsTheSend: the record of a Conflict that answered the last send says
// when that send was over. No other record does.
func TestConflictEndsTheSend(t *testing.T) {
	t.Parallel()
	const timeout, stale = 15 * time.Second, 30 * time.Second
	for _, c := range []struct {
		name     string
		answered time.Duration // after the send
		kind     transport.Kind
		began    time.Duration // this Run, after the send
		want     time.Duration // the earliest next send, after this one
	}{
		{"an answer", 2 * time.Second, transport.KindConflict, -time.Minute, 2*time.Second + stale},
		{"an answer at once", 0, transport.KindConflict, -time.Minute, stale},
		{"an answer in an earlier run", 2 * time.Second, transport.KindConflict, 5 * time.Second, 5*time.Second + stale},
		{"an answer to the send before", -time.Microsecond, transport.KindConflict, -time.Minute, timeout + stale},
		{"an answer to the send before, in an earlier run", -time.Microsecond, transport.KindConflict, 5 * time.Second, 5*time.Second + timeout + stale},
		{"a gateway's answer", 2 * time.Second, transport.KindInternal, -time.Minute, timeout + stale},
		{"no answer", 2 * time.Second, transport.KindUnknown, -time.Minute, timeout + stale},
	} {
		for _, traits := range []transport.Traits{
			{Repeat: transport.RepeatByState, Authoritative: true, StaleFor: stale},
			{Repeat: transport.RepeatByToken, TokenMemory: time.Hour, StaleFor: stale},
		} {
			d := confirmAnswer()
			d.Traits, d.Sighting = traits, Sighting{MaybeStale: 1, From: epoch}
			d.Began = epoch.Add(c.began)
			d.op.LastError, d.op.LastKind, d.op.LastErrorAt = "text", c.kind, epoch.Add(c.answered)
			d.op.Interval = time.Second
			for _, at := range []time.Duration{c.want - time.Second, c.want} {
				d.Answer.Began, d.Answer.At = epoch.Add(at), epoch.Add(at)
				d.state(fsm.StateStopped).decide()
				if want := at == c.want; d.resend != want {
					t.Errorf("%s, %+v: %v after the send it is sent again: %v, want %v", c.name, traits, at, d.resend, want)
				}
			}
		}
	}
}

// TestConflictOfAReadEndsNoSend: a send was cut off, and the next Run's read is answered
// with Conflict before the send must have arrived. That does not answer the send.
func TestConflictOfAReadEndsNoSend(t *testing.T) {
	t.Parallel()
	d := confirmAnswer()
	d.Sighting = Sighting{}
	for _, c := range []struct {
		after  time.Duration
		stored bool
	}{{2 * time.Second, false}, {15 * time.Second, true}} {
		d.Answer.Began, d.Answer.At = epoch.Add(c.after), epoch.Add(c.after)
		if d.kind(transport.KindConflict).decide(); d.write != c.stored {
			t.Errorf("%v after the send, the record has its Conflict: %v, want %v", c.after, d.write, c.stored)
		}
	}
}

// TestSendDatedInTheFuture: the clock was a month ahead at a send whose answer was lost, and
// was set back. The operation waits for the grace from the first read on, not for a month.
func TestSendDatedInTheFuture(t *testing.T) {
	t.Parallel()
	d := confirmAnswer()
	at := d.Answer.At
	d.Sighting, d.Steady, d.SetBack = Sighting{}, false, true
	d.op.SentAt, d.op.LastSentAt = at.Add(30*24*time.Hour), at.Add(30*24*time.Hour)
	d.Traits = transport.Traits{Repeat: transport.RepeatByState, Authoritative: true, StaleFor: 30 * time.Second}
	d.state(fsm.StateStopped).decide()
	if latest := at.Add(d.Timeout + d.Traits.StaleFor); d.resend || d.op.DueAt.After(latest) {
		t.Fatalf("resend %v, due %v after the first read; want another read within %v", d.resend, d.op.DueAt.Sub(at), latest.Sub(at))
	}
	d.Sighting = d.seen
	d.Answer.At = at.Add(d.Timeout + d.Traits.StaleFor)
	d.Answer.Began = d.Answer.At
	if d.decide(); !d.resend {
		t.Errorf("after the grace: %s, due %v later; want another send", d.op.Phase, d.op.DueAt.Sub(d.Answer.At))
	}
}

// TestGraceByAWrongClock: the clock that dated the acceptance was wrong, so it does not
// prove that the grace is over.
func TestGraceByAWrongClock(t *testing.T) {
	t.Parallel()
	const day, stale = 24 * time.Hour, 45 * time.Second
	for _, c := range []struct {
		name     string
		accepted time.Duration // before the answer, by the record
		asleep   time.Duration // by this much the wall clock went ahead since, in this run
		began    time.Duration // this run, before the answer
		trusted  bool
		want     time.Duration // the grace ends so long after the answer
	}{
		{"the next run's clock is a day ahead", day, 0, time.Second, false, stale - time.Second},
		{"an earlier run's clock was half a day behind", day / 2, 0, time.Second, true, stale - time.Second},
		{"this run's clock was half a day behind", day/2 + 3*time.Second, day / 2, day, true, stale - 3*time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := pollAnswer()
			at := d.Answer.At
			d.Traits.StaleFor, d.Untrusted, d.Steady = stale, !c.trusted, false
			d.op.AcceptedAt, d.Asleep, d.Began = at.Add(-c.accepted), c.asleep, at.Add(-c.began)
			d.op.BootDeadline = d.op.AcceptedAt.Add(d.BootTimeout)
			if d.state(fsm.StateStopped).decide(); d.op.Phase.Ended() || !d.op.DueAt.Equal(at.Add(c.want)) {
				t.Errorf("%s %q, due in %v; want another read in %v", d.op.Phase, d.op.EndReason, d.op.DueAt.Sub(at), c.want)
			}
		})
	}
}

// TestBootIsDatedAgain: a correction of the wall clock during a boot moves the beginning of
// the boot, and the record says so to the next run. An untrusted clock does not move it
// back, since the next run's clock may be right.
func TestBootIsDatedAgain(t *testing.T) {
	t.Parallel()
	const years = 10 * 365 * 24 * time.Hour
	for _, c := range []struct {
		name      string
		accepted  time.Duration // before the answer, by the record
		asleep    time.Duration // by this much the wall clock went ahead since
		untrusted bool
		want      time.Duration // before the answer, after the decision
	}{
		{"right clock", time.Minute, 0, false, time.Minute},
		{"the clock was three hours ahead", -3 * time.Hour, 0, false, 0},
		{"the clock was a year ahead", -365 * 24 * time.Hour, 0, false, 0},
		{"the clock was ten years behind", years + time.Minute, years, false, time.Minute},
		{"the clock is ten years behind, and untrusted", -years, 0, true, -years},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := pollAnswer()
			at := d.Answer.At
			d.op.Session = fsm.StateStartInProgress
			d.op.AcceptedAt = at.Add(-c.accepted)
			d.op.BootDeadline = d.op.AcceptedAt.Add(d.BootTimeout)
			d.Asleep, d.Unpolled, d.Untrusted = c.asleep, c.asleep, c.untrusted
			d.state(fsm.StateStartInProgress).decide()
			want := at.Add(-c.want)
			if d.op.Phase != fsm.PhaseStarting || !d.op.AcceptedAt.Equal(want) || !d.op.BootDeadline.Equal(want.Add(d.BootTimeout)) {
				t.Errorf("%s, accepted %v before the answer, boot deadline %v after it; want %v before", d.op.Phase, at.Sub(d.op.AcceptedAt), d.op.BootDeadline.Sub(at), c.want)
			}
			if moved := c.want != c.accepted; d.write != moved {
				t.Errorf("the record is written: %v, want %v", d.write, moved)
			}
		})
	}
}

// TestSilenceDatedInTheFuture: reads without an answer began while the clock was years
// ahead. Past the deadline, ten more minutes of them end the operation, and the record has
// the right time of the first.
func TestSilenceDatedInTheFuture(t *testing.T) {
	t.Parallel()
	d := confirmAnswer()
	at := d.op.Deadline().Add(time.Hour)
	future := at.Add(2 * 365 * 24 * time.Hour)
	d.Sighting = Sighting{Reads: 3, MaybeStale: 1, From: future, Silent: future}
	d.op.LastError, d.op.LastKind, d.op.LastErrorAt = "text", transport.KindUnknown, future
	for i, after := range []time.Duration{0, TrustAfter - time.Second, TrustAfter} {
		d.Answer.Began, d.Answer.At = at.Add(after), at.Add(after)
		d.kind([]transport.Kind{transport.KindUnknown, transport.KindInternal}[i%2]).decide()
		if !d.write || d.op.LastErrorAt.After(d.Answer.At) {
			t.Errorf("the error is dated %v, after the answer of %v", d.op.LastErrorAt, d.Answer.At)
		}
		if over := after == TrustAfter; d.op.Phase.Ended() != over || over && d.op.EndReason != store.ReasonUnobservable {
			t.Errorf("%v after the first such answer: %s %q, want an end: %v", after, d.op.Phase, d.op.EndReason, over)
		}
		d.Sighting = d.seen
	}
}
