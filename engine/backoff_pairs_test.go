package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// said is one answer of a provider: a session in a state, or an error.
type said struct {
	state fsm.State
	err   *transport.Error
}

func (s said) String() string {
	if s.err == nil {
		return string(s.state)
	}
	text := s.err.Kind.Error()
	if s.err.NotSent {
		text += ", not sent"
	}
	if s.err.OnlySession {
		text += ", only this session"
	}
	return text
}

// allSaid returns every answer that the engine distinguishes.
func allSaid() (all []said) {
	for _, s := range []fsm.State{
		fsm.StateStopped, fsm.StateStartInProgress, fsm.StateReady, fsm.StateStopInProgress, fsm.StateCreateInProgress,
		fsm.StateStartFailed, fsm.StateStopFailed, fsm.StateDeleteInProgress, fsm.StateDeleted, "FROM_THE_FUTURE",
	} {
		all = append(all, said{state: s})
	}
	for k := transport.KindUnknown; k <= transport.KindUnreachable; k++ {
		all = append(all, said{err: &transport.Error{Kind: k}})
	}
	for _, k := range []transport.Kind{transport.KindUnknown, transport.KindUnreachable} {
		all = append(all, said{err: &transport.Error{Kind: k, NotSent: true}})
	}
	for _, k := range []transport.Kind{transport.KindUnknown, transport.KindUnreachable, transport.KindThrottled, transport.KindCredentials} {
		all = append(all, said{err: &transport.Error{Kind: k, OnlySession: true, NotSent: k == transport.KindUnreachable}})
	}
	return all
}

// paired is a provider with a studio, and so a lane, for each pair of answers: one to every
// start and one to every Get. The session "well" of each studio boots all the time, so
// every lane has good answers too.
type paired struct {
	traits transport.Traits
	script map[string]func(nth int) (start, get said) // by studio

	mu    sync.Mutex // guards sends
	sends map[string]int
}

func (p *paired) Traits(transport.Ref) transport.Traits { return p.traits }

func (p *paired) Start(_ context.Context, in transport.StartInput) (transport.Session, error) {
	if in.SessionID == "well" {
		return transport.Session{Ref: in.Ref, State: fsm.StateStartInProgress}, nil
	}
	p.mu.Lock()
	p.sends[in.StudioID]++
	n := p.sends[in.StudioID]
	p.mu.Unlock()
	start, _ := p.script[in.StudioID](n)
	return start.answer(in.Ref)
}

func (p *paired) Get(_ context.Context, ref transport.Ref) (transport.Session, error) {
	if ref.SessionID == "well" {
		return transport.Session{Ref: ref, State: fsm.StateStartInProgress}, nil
	}
	p.mu.Lock()
	n := p.sends[ref.StudioID]
	p.mu.Unlock()
	_, get := p.script[ref.StudioID](n)
	return get.answer(ref)
}

func (s said) answer(ref transport.Ref) (transport.Session, error) {
	if s.err != nil {
		return transport.Session{}, s.err
	}
	return transport.Session{Ref: ref, State: s.state}, nil
}

// TestBackoffOfPairs: the waits between the sends of an operation grow, whatever the provider
// answers to a start and to the Get after it. The longest quick wait is a minute, so ten
// minutes have at most about sixteen sends. Short mode takes every fourth pair.
func TestBackoffOfPairs(t *testing.T) {
	const most = 20
	all, every := allSaid(), scale.Of(t, 4, 1, 1)
	for name, traits := range map[string]transport.Traits{
		"by token":                {Repeat: transport.RepeatByToken, TokenMemory: 24 * time.Hour, StaleFor: time.Second},
		"by state, authoritative": {Repeat: transport.RepeatByState, StaleFor: time.Second, Authoritative: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := &paired{traits: traits, script: map[string]func(int) (said, said){}, sends: map[string]int{}}
			names, pairs := map[string]string{}, 0
			add := func(name string, script func(nth int) (said, said)) {
				if pairs++; pairs%every != 0 {
					return
				}
				id := fmt.Sprint("lane-", pairs)
				names[id], p.script[id] = name, script
			}
			for _, start := range all {
				for _, get := range all {
					add(fmt.Sprintf("start: %v; get: %v", start, get), func(int) (said, said) { return start, get })
				}
				for _, other := range all {
					add(fmt.Sprintf("starts: %v and %v in turn; get: STOPPED", start, other), func(nth int) (said, said) {
						return []said{start, other}[nth%2], said{state: fsm.StateStopped}
					})
				}
			}
			scenario(t, studio.Config{}, Config{}, func(b *bench) {
				b.close()
				b.open(p)
				var requests []Request
				for id := range names {
					for _, session := range []string{"well", "ws"} {
						requests = append(requests, Request{Ref: Ref{StudioID: id, SessionID: session}})
					}
				}
				receipts, err := b.StartAll(b.Context(), requests)
				if err != nil {
					b.Fatal(err)
				}
				ids := map[string]ID{}
				for i, r := range receipts {
					ids[requests[i].StudioID] = r.Operation.ID
				}
				b.goRun()
				b.after(10 * time.Minute)
				tooMany := 0
				for id, name := range names {
					p.mu.Lock()
					n := p.sends[id]
					p.mu.Unlock()
					if n > most {
						if tooMany++; tooMany <= 10 {
							b.Errorf("%d sends in ten minutes, want at most %d: %s", n, most, name)
						}
					}
					x, err := b.Explain(b.Context(), ids[id])
					if err != nil || n > 1 && !x.Operation.Phase.Ended() && x.Error == "" {
						b.Errorf("%d sends, and no error is shown: %s; %s, %v", n, name, x.Text, err)
					}
				}
				if tooMany > 0 {
					b.Errorf("%d of %d pairs send too often", tooMany, len(names))
				}
				b.end()
			})
		})
	}
}
