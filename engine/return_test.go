package engine

import (
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestReturnWithoutSpike: with 10,000 operations, the provider is gone for an hour, in each of
// the ways in which providers fail. In short mode it is gone for ten minutes, with a
// tenth of the operations. When it is back, no second has more than twice the allowed
// calls, and the allowed rate is used.
func TestReturnWithoutSpike(t *testing.T) {
	const rate = 100 // a lane's calls a second
	n, hour := scale.Of(t, 1000, 10_000, 10_000), time.Duration(scale.Of(t, 10, 60, 60))*time.Minute
	lane := func(string) LaneConfig { return LaneConfig{Rate: rate, Concurrency: 64} }
	for name, gone := range map[string]studio.Fault{
		"offline":   {Err: &transport.Error{Kind: transport.KindUnreachable, NotSent: true}},
		"silent":    {Err: &transport.Error{Kind: transport.KindUnknown}, Delay: 24 * time.Hour},
		"failing":   {Err: &transport.Error{Kind: transport.KindInternal, HTTPStatusCode: 503}},
		"throttled": {Err: &transport.Error{Kind: transport.KindThrottled, RetryAfter: time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &callTimes{}
			cfg := studio.Config{Boot: 30 * time.Second, Intercept: func(studio.Call) studio.Fault {
				if c.note() {
					return gone
				}
				return studio.Fault{}
			}}
			scenario(t, cfg, Config{Lane: lane}, func(b *bench) {
				ids := b.startMany("studio", n/2)
				b.goRun()
				b.after(10 * time.Second) // some boot, some calls are in flight
				c.away(true)
				ids = append(ids, b.startMany("studio-2", n/2)...)
				for end := time.Now().Add(hour); time.Now().Before(end); {
					b.after(time.Minute)
					b.Nudge() // each minute the host reports a new network
				}
				c.away(false)
				b.Nudge()
				back := time.Now()
				b.all(ids)
				took := time.Since(back)
				if most := c.most(back); most > 2*2*rate {
					t.Errorf("%d calls in one second, with %d a second allowed for each of two lanes", most, rate)
				} else {
					t.Logf("at most %d calls in a second, %d allowed; all ended %v after the return", most, 2*rate, took)
				}
				if took > 20*time.Minute {
					t.Errorf("the allowed rate is not used: it took %v", took)
				}
				for _, id := range ids {
					b.want(id, fsm.PhaseSucceeded, "", 1)
				}
			})
		})
	}
}

// callTimes notes the times of calls.
type callTimes struct {
	mu   sync.Mutex
	gone bool
	at   []time.Time
}

// note notes a call, and reports whether the provider is gone.
func (c *callTimes) note() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
	return c.gone
}

func (c *callTimes) away(gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = gone
}

// most returns the largest number of calls in any second from since on.
func (c *callTimes) most(since time.Time) (most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := 0
	for i, at := range c.at {
		for first < i && (c.at[first].Before(since) || at.Sub(c.at[first]) >= time.Second) {
			first++
		}
		if !at.Before(since) {
			most = max(most, i-first+1)
		}
	}
	return most
}
