package engine

import (
	"context"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestSessionsUnblocksTheLane: the provider is back, and a host's list of sessions gets the
// first answer. The lane goes on at once, even if the list is empty. A list that fails
// changes nothing.
func TestSessionsUnblocksTheLane(t *testing.T) {
	down := map[string]struct {
		config func(down *bool) studio.Config
		why    WaitReason
	}{
		"offline":     {func(*bool) studio.Config { return studio.Config{} }, WaitOffline},
		"credentials": {badWhile, WaitCredentials},
	}
	for name, c := range down {
		for _, empty := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				bad := true
				scenario(t, c.config(&bad), Config{}, func(b *bench) {
					if empty {
						b.close()
						b.open(noneListed{&b.wire})
					}
					b.studio.SetOffline(c.why == WaitOffline)
					b.goRun()
					id := b.start("ws-1")
					b.after(time.Hour)
					list := func() {
						for _, err := range b.Sessions(b.Context(), "studio") {
							if err != nil {
								t.Fatal(err)
							}
						}
						b.after(0)
					}
					list()
					b.wantWaiting(id, c.why)
					b.studio.SetOffline(false)
					bad = false
					list()
					b.after(3 * time.Second)
					b.want(id, fsm.PhaseSucceeded, "", 1)
				})
			})
		}
	}
}

func badWhile(down *bool) studio.Config {
	return studio.Config{Intercept: func(studio.Call) studio.Fault {
		if *down {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindCredentials}}
		}
		return studio.Fault{}
	}}
}

// noneListed is a provider that lists no session.
type noneListed struct{ *wire }

func (n noneListed) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	_, err := n.wire.List(ctx, in)
	return transport.ListOutput{}, err
}
