package decide

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// TestStartedBeforeTheRequestOfThisBoot: a host was killed before a provider's
// date was known. Within the boot the age of a request is known.
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
		d.op.CreatedAt = epoch.Add(-24 * time.Hour) // by a clock that was wrong then
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
// ends it once the lane has been blocked for ten minutes. Before, the error is
// noted once.
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

// TestNoSecondSendWithinTheTimeout: whatever made the look come early.
func TestNoSecondSendWithinTheTimeout(t *testing.T) {
	t.Parallel()
	d := confirmAnswer()
	d.Traits = transport.Traits{Repeat: transport.RepeatByState, StaleFor: time.Second}
	d.Provider = ProviderClock{Known: true, Uncertainty: time.Second / 2}
	d.Answer.At = epoch.Add(1500 * time.Millisecond)
	d.Answer.Read(transport.Session{State: fsm.StateStopped, StartedAt: epoch.Add(-time.Hour)}, nil)
	d.decide()
	if want := d.op.LastSentAt.Add(d.Timeout + time.Second); d.resend || !d.op.DueAt.Equal(want) {
		t.Errorf("resend %v %v after the first send; want another look at %v", d.resend, d.Answer.At.Sub(d.op.LastSentAt), want)
	}
}

// TestNoSecondSendByTheClockOfAnotherRun: by that clock the send was half an hour
// ago. All that is known of it is that this Run began ten seconds ago.
func TestNoSecondSendByTheClockOfAnotherRun(t *testing.T) {
	t.Parallel()
	d := confirmAnswer()
	d.Traits = transport.Traits{Repeat: transport.RepeatNever, StaleFor: time.Second}
	d.Provider = ProviderClock{Known: true, Uncertainty: time.Second / 2}
	d.Began = d.Answer.At.Add(-10 * time.Second)
	d.Answer.Read(transport.Session{State: fsm.StateStopped, StartedAt: epoch.Add(-time.Hour)}, nil)
	d.decide()
	if want := d.Began.Add(d.Timeout + time.Second); d.resend || !d.op.DueAt.Equal(want) {
		t.Errorf("resend %v, ten seconds into this Run; want another look at %v, and it is %v", d.resend, want, d.op.DueAt)
	}
}

// TestOnlySendByTheirClock: the provider's clock tells how long ago the only send
// was, however often the host was restarted since; not of a later send.
func TestOnlySendByTheirClock(t *testing.T) {
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
			t.Errorf("%+v: cleared to be sent: %v, due %v after the look", c, d.resend, d.op.DueAt.Sub(d.Answer.At))
		}
	}
}

// TestConflictEndsTheSend: the record of a Conflict that answered the last send says
// when that send was over. No other record does.
func TestConflictEndsTheSend(t *testing.T) {
	t.Parallel()
	const timeout, stale = 15 * time.Second, 30 * time.Second
	for _, c := range []struct {
		name  string
		heard time.Duration // after the send
		kind  transport.Kind
		began time.Duration // this Run, after the send
		want  time.Duration // the earliest next send, after this one
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
			d.op.LastError, d.op.LastKind, d.op.LastErrorAt = "text", c.kind, epoch.Add(c.heard)
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

// TestConflictOfALookEndsNoSend: a send was cut off, and the next Run's look meets a
// Conflict before the send must have arrived. That does not answer the send.
func TestConflictOfALookEndsNoSend(t *testing.T) {
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
