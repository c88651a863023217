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

// crashProvider is the provider's process. It finishes each request that has reached
// it, even if the caller dies.
type crashProvider struct {
	*studio.Studio
	host        atomic.Pointer[child.Process]
	calls, lost atomic.Int64
	last        atomic.Bool // reads succeed from now on
	added       int

	mu          sync.Mutex // guards what follows
	point       string
	left        int64
	unread      map[transport.Ref]bool // sent, not refused, and not read since
	unconfirmed []transport.Ref        // sent again without a read
}

func newCrashProvider() *crashProvider {
	p := &crashProvider{unread: map[transport.Ref]bool{}}
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

// arm makes the provider kill the host when a point is passed for the nth time. It may
// be later: a request of the host before may still pass the point.
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
	if p.unread[in.Ref] {
		p.unconfirmed = append(p.unconfirmed, in.Ref)
	}
	p.unread[in.Ref] = true
	p.mu.Unlock()
	p.pass(arrived)
	effects := p.Effects(in.Ref)
	s, err := p.Studio.Start(ctx, in)
	if p.Effects(in.Ref) > effects {
		p.pass(hadEffect)
	}
	if errors.Is(err, transport.KindThrottled) { // refused: it may be sent again as it is
		p.wasRead(in.Ref)
	}
	return s, err
}

// wasRead records that the host has got the state of a session.
func (p *crashProvider) wasRead(ref transport.Ref) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.unread, ref)
}

func (p *crashProvider) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	s, err := p.Studio.Get(ctx, ref)
	if err == nil {
		p.wasRead(ref)
	}
	return s, err
}

// List is how the client reads many sessions.
func (p *crashProvider) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	out, err := p.Studio.List(ctx, in)
	if err == nil {
		for _, s := range out.Sessions {
			p.wasRead(s.Ref)
		}
	}
	return out, err
}

// sentUnconfirmed returns the sessions that were sent a second start without a read between.
func (p *crashProvider) sentUnconfirmed() []transport.Ref {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unconfirmed
}
