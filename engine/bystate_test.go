package engine

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// powerSwitch is one machine behind a management controller. A start of a running machine
// does nothing, the state is the machine's own, and answers have no dates.
type powerSwitch struct {
	authoritative bool
	start         func(nth int, turnOn func()) error // turnOn is the effect

	sends, effects int
	on             bool
}

func (p *powerSwitch) Traits(transport.Ref) transport.Traits {
	return transport.Traits{Repeat: transport.RepeatByState, Authoritative: p.authoritative}
}

func (p *powerSwitch) Start(_ context.Context, in transport.StartInput) (transport.Session, error) {
	p.sends++
	err := p.start(p.sends, func() {
		if !p.on {
			p.on, p.effects = true, p.effects+1
		}
	})
	return transport.Session{Ref: in.Ref, State: fsm.StateStartInProgress}, err
}

func (p *powerSwitch) Get(_ context.Context, ref Ref) (transport.Session, error) {
	s := transport.Session{Ref: ref, State: fsm.StateStopped}
	if p.on {
		s.State = fsm.StateReady
	}
	return s, nil
}

// TestTransientFailureByState: a start of unknown outcome is sent again only if the
// provider's STOPPED proves that the machine is off.
func TestTransientFailureByState(t *testing.T) {
	busy := &transport.Error{Kind: transport.KindUnknown, Message: "exit status 1: BMC busy"}
	for _, c := range []struct {
		name    string
		careful bool
		start   func(nth int, turnOn func()) error
		within  time.Duration
		sends   int
		phase   fsm.Phase
		reason  store.Reason
	}{
		{name: "it fails once", within: 70 * time.Second, sends: 2, phase: fsm.PhaseSucceeded, start: func(nth int, turnOn func()) error {
			if nth == 1 {
				return busy
			}
			turnOn()
			return nil
		}},
		{name: "it fails four times", within: 6 * time.Minute, sends: 5, phase: fsm.PhaseSucceeded, start: func(nth int, turnOn func()) error {
			if nth < 5 {
				return busy
			}
			turnOn()
			return nil
		}},
		{name: "it took effect and failed", within: 20 * time.Second, sends: 1, phase: fsm.PhaseSucceeded, start: func(_ int, turnOn func()) error {
			turnOn()
			return busy
		}},
		{name: "STOPPED may be a guess", careful: true, within: 15 * time.Minute, sends: 1, phase: fsm.PhaseFailed, reason: store.ReasonAmbiguous,
			start: func(int, func()) error { return busy }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &powerSwitch{authoritative: !c.careful, start: c.start}
			scenario(t, studio.Config{}, Config{}, func(b *bench) {
				b.close()
				b.open(p)
				b.goRun()
				id := b.start("ws-1")
				b.after(c.within)
				if op := b.op(id); op.Phase != c.phase || op.EndReason != c.reason {
					t.Errorf("%s %q (%s) after %v, want %s %q", op.Phase, op.EndReason, op.LastError, c.within, c.phase, c.reason)
				}
				if p.sends != c.sends || p.effects > 1 {
					t.Errorf("%d sends and %d effects, want %d sends", p.sends, p.effects, c.sends)
				}
				b.end()
			})
		})
	}
}

// TestKilledInMidSendByState: the host dies during a send, before or after its effect. The
// next Run reads the machine, and sends again only if there was no effect.
func TestKilledInMidSendByState(t *testing.T) {
	for _, c := range []struct {
		name   string
		effect bool
		sends  int
	}{{"before its effect", false, 2}, {"after its effect", true, 1}} {
		t.Run(c.name, func(t *testing.T) {
			scenario(t, studio.Config{}, Config{}, func(b *bench) {
				var file []byte // as a kill during a send leaves it
				p := &powerSwitch{authoritative: true}
				p.start = func(nth int, turnOn func()) (err error) {
					if nth == 1 {
						if file, err = os.ReadFile(b.path); err != nil {
							b.Fatal(err)
						}
					}
					if nth > 1 || c.effect {
						turnOn()
					}
					return nil
				}
				b.close()
				b.open(p)
				b.goRun()
				id := b.start("ws-1")
				b.after(5 * time.Second)
				b.close()
				if err := os.WriteFile(b.path, file, 0o600); err != nil {
					b.Fatal(err)
				}
				b.open(p)
				if op := b.op(id); op.Sent != store.SentUnknown {
					t.Fatalf("the file does not show a send under way: sent %v", op.Sent)
				}
				b.goRun()
				b.after(70 * time.Second)
				if op := b.op(id); op.Phase != fsm.PhaseSucceeded || p.sends != c.sends || p.effects != 1 {
					t.Errorf("%s (%s) after %d sends and %d effects, want SUCCEEDED after %d sends and 1 effect",
						op.Phase, op.LastError, p.sends, p.effects, c.sends)
				}
				b.end()
			})
		})
	}
}
