package engine_test

import (
	"context"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// loadProvider keeps as little of a session as it can, so that the test measures the
// engine. A session that is READY can be started again: the artist has left.
type loadProvider struct {
	boot time.Duration

	mu       sync.Mutex // guards what follows
	begun    time.Time  // zero: not yet
	sessions map[transport.Ref]loadSession
}

type loadSession struct {
	token string
	ready time.Time     // or, if that is zero:
	part  time.Duration // this long after the load has begun
}

func newLoadProvider(boot time.Duration) *loadProvider {
	return &loadProvider{boot: boot, sessions: map[transport.Ref]loadSession{}}
}

// begin lets the starts before the load end, spread over the time of a boot.
func (p *loadProvider) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = time.Now()
	n := time.Duration(0)
	for ref, s := range p.sessions {
		s.part = p.boot * n / time.Duration(len(p.sessions))
		p.sessions[ref] = s
		n++
	}
}

func (p *loadProvider) Start(_ context.Context, in transport.StartInput) (transport.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s, known := p.sessions[in.Ref]
	switch {
	case known && s.token == in.ClientToken:
	case known && !p.isReady(s, now):
		return transport.Session{}, &transport.Error{Kind: transport.KindConflict, Message: "it boots"}
	default:
		s = loadSession{token: in.ClientToken}
		if !p.begun.IsZero() {
			s.ready = now.Add(p.boot)
		}
		p.sessions[in.Ref] = s
	}
	return p.show(in.Ref, s, now), nil
}

func (p *loadProvider) isReady(s loadSession, now time.Time) bool {
	if s.ready.IsZero() {
		return !p.begun.IsZero() && now.Sub(p.begun) >= s.part
	}
	return !now.Before(s.ready)
}

func (p *loadProvider) show(ref transport.Ref, s loadSession, now time.Time) transport.Session {
	out := transport.Session{Ref: ref, State: fsm.StateStartInProgress, Date: now}
	if p.isReady(s, now) {
		out.State = fsm.StateReady
	}
	return out
}

func (p *loadProvider) Get(_ context.Context, ref transport.Ref) (transport.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, known := p.sessions[ref]
	if !known {
		return transport.Session{Ref: ref, State: fsm.StateStopped, Date: time.Now()}, nil
	}
	return p.show(ref, s, time.Now()), nil
}

func (p *loadProvider) BatchGet(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
	out := make([]transport.Result, len(refs))
	for i, ref := range refs {
		out[i].Session, out[i].Err = p.Get(ctx, ref)
	}
	return out, nil
}

func (p *loadProvider) Traits(transport.Ref) transport.Traits {
	return transport.Traits{Repeat: transport.RepeatByToken, TokenMemory: time.Hour, StaleFor: time.Millisecond, MaxBatch: 100}
}
