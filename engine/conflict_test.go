package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestConflictComesAgainSoon: the provider answers the first start with Conflict.
// The request is not under way any more, so the next send waits for StaleFor alone.
func TestConflictComesAgainSoon(t *testing.T) {
	locked := &transport.Error{Kind: transport.KindConflict, Message: "another task has locked the VM"}
	soon := transport.DefaultStaleFor + 4*time.Second
	for _, traits := range []transport.Traits{
		{Repeat: transport.RepeatByState, Authoritative: true},
		{Repeat: transport.RepeatByToken, TokenMemory: time.Hour},
	} {
		t.Run(fmt.Sprint("repeat ", traits.Repeat), func(t *testing.T) {
			p := traitSwitch{traits: traits, powerSwitch: &powerSwitch{start: func(nth int, turnOn func()) error {
				if nth == 1 {
					return locked
				}
				turnOn()
				return nil
			}}}
			scenario(t, studio.Config{}, Config{}, func(b *bench) {
				b.close()
				b.open(p)
				b.goRun()
				id := b.start("ws-1")
				b.after(soon)
				if op := b.op(id); op.Phase != fsm.PhaseSucceeded || p.sends != 2 || p.effects != 1 {
					t.Errorf("%s after %v, %d sends and %d effects; want SUCCEEDED, 2 sends, 1 effect", op.Phase, soon, p.sends, p.effects)
				}
				b.end()
			})
		})
	}
}

// traitSwitch is a power switch with traits of its own.
type traitSwitch struct {
	*powerSwitch
	traits transport.Traits
}

func (s traitSwitch) Traits(transport.Ref) transport.Traits { return s.traits }

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
			j := lookJudge()
			j.traits, j.was = traits, sighting{doubt: 1, from: epoch}
			j.began = epoch.Add(c.began)
			j.op.LastError, j.op.LastKind, j.op.LastErrorAt = "text", c.kind, epoch.Add(c.heard)
			j.op.Interval = time.Second
			for _, at := range []time.Duration{c.want - time.Second, c.want} {
				j.a.began, j.a.at = epoch.Add(at), epoch.Add(at)
				j.state(fsm.StateStopped).decide()
				if want := at == c.want; j.resend != want {
					t.Errorf("%s, %+v: %v after the send it is sent again: %v, want %v", c.name, traits, at, j.resend, want)
				}
			}
		}
	}
}

// TestConflictOfALookEndsNoSend: a send was cut off, and the next Run's look meets a
// Conflict before the send must have arrived. That does not answer the send.
func TestConflictOfALookEndsNoSend(t *testing.T) {
	t.Parallel()
	j := lookJudge()
	j.was = sighting{}
	for _, c := range []struct {
		after  time.Duration
		stored bool
	}{{2 * time.Second, false}, {15 * time.Second, true}} {
		j.a.began, j.a.at = epoch.Add(c.after), epoch.Add(c.after)
		if j.kind(transport.KindConflict).decide(); j.write != c.stored {
			t.Errorf("%v after the send, the record has its Conflict: %v, want %v", c.after, j.write, c.stored)
		}
	}
}

// TestConflictBeforeASetBackClock: the clock is set back after a Conflict, by more
// than passes until the next send. The record of that send does not look as if the
// Conflict had answered it.
func TestConflictBeforeASetBackClock(t *testing.T) {
	var record Operation // in the second send
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		var id ID
		p := &powerSwitch{authoritative: true, start: func(nth int, turnOn func()) error {
			if nth == 1 {
				return &transport.Error{Kind: transport.KindConflict}
			}
			record = b.op(id)
			turnOn()
			return nil
		}}
		b.close()
		b.open(p)
		b.goRun()
		id = b.start("ws-1")
		b.after(500 * time.Millisecond)
		b.skew.Store(-int64(time.Minute))
		b.all([]ID{id})
		if record.Sent != store.SentUnknown || record.LastKind != transport.KindConflict || !record.LastErrorAt.Before(record.LastSentAt) {
			t.Errorf("the send of %v seems answered by the Conflict of %v", record.LastSentAt, record.LastErrorAt)
		}
		if op := b.op(id); op.Phase != fsm.PhaseSucceeded || p.sends != 2 || p.effects != 1 {
			t.Errorf("%s (%s), %d sends and %d effects; want SUCCEEDED, 2 sends, 1 effect", op.Phase, op.LastError, p.sends, p.effects)
		}
		b.end()
	})
}
