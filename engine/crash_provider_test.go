package engine_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// crashProvider is the provider's process. It finishes what has reached it,
// whatever becomes of the caller.
type crashProvider struct {
	*studio.Studio
	host        atomic.Pointer[child.Process]
	calls, lost atomic.Int64
	last        atomic.Bool // looks go well from now on
	added       int

	mu       sync.Mutex // guards what follows
	point    string
	left     int64
	unlooked map[transport.Ref]bool // sent, not refused, and not looked at since
	blind    []transport.Ref        // sent again all the same
}

func newCrashProvider() *crashProvider {
	p := &crashProvider{unlooked: map[transport.Ref]bool{}}
	p.Studio = studio.New(studio.Config{Boot: 100 * time.Millisecond, Intercept: func(c studio.Call) studio.Fault {
		n := p.calls.Add(1)
		switch {
		case p.last.Load() && c.Action != studio.Start:
		case n%20 == 5: // on its way to the provider
			return studio.Fault{Err: &transport.Error{Kind: transport.KindUnknown}}
		case n%5 == 0: // on its way back: the effect has happened
			if c.Action == studio.Start {
				p.lost.Add(1)
			}
			return studio.Fault{Lost: true}
		case n%31 == 1:
			return studio.Fault{Err: &transport.Error{Kind: transport.KindThrottled, Code: "ThrottlingException", Message: "slow down"}}
		}
		return studio.Fault{}
	}})
	return p
}

// expect adds sessions below n.
func (p *crashProvider) expect(n int) {
	for ; p.added < n; p.added++ {
		p.Add(crashRef(p.added).StudioID, crashRef(p.added).SessionID)
	}
}

// arm makes the provider kill the host when a point is passed for the nth time,
// or later: what the host before it had sent may still pass it.
func (p *crashProvider) arm(point string, nth int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.point, p.left = point, nth
}

func (p *crashProvider) pass(point string) {
	p.mu.Lock()
	hit := false
	if p.point == point {
		p.left--
		hit = p.left <= 0
	}
	p.mu.Unlock()
	if hit {
		p.host.Load().Kill()
	}
}

func (p *crashProvider) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	ctx = context.WithoutCancel(ctx)
	p.mu.Lock()
	if p.unlooked[in.Ref] {
		p.blind = append(p.blind, in.Ref)
	}
	p.unlooked[in.Ref] = true
	p.mu.Unlock()
	p.pass(arrived)
	effects := p.Effects(in.Ref)
	s, err := p.Studio.Start(ctx, in)
	if p.Effects(in.Ref) > effects {
		p.pass(hadEffect)
	}
	if errors.Is(err, transport.KindThrottled) { // refused: it may be sent again as it is
		p.looked(in.Ref)
	}
	return s, err
}

// looked notes that the host has been told how a session is.
func (p *crashProvider) looked(ref transport.Ref) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.unlooked, ref)
}

func (p *crashProvider) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	s, err := p.Studio.Get(ctx, ref)
	if err == nil {
		p.looked(ref)
	}
	return s, err
}

// List is how the client looks at many.
func (p *crashProvider) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	out, err := p.Studio.List(ctx, in)
	if err == nil {
		for _, s := range out.Sessions {
			p.looked(s.Ref)
		}
	}
	return out, err
}

// sentBlind is which sessions were sent a start again without a look between.
func (p *crashProvider) sentBlind() []transport.Ref {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.blind
}
