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

// TestConflictBeforeASetBackClock: the clock is set back after a Conflict, by more than the
// time until the next send. The record does not show the Conflict as the answer to that
// send.
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
