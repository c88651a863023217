package studio_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
	"github.com/rouse-dev/rouse/transport/transporttest"
)

func TestTransport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]studio.Config{
		"AtOnce": {},
		"Slow":   {Boot: 2 * time.Millisecond, Stop: time.Millisecond, Latency: time.Millisecond, StaleFor: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transporttest.Run(t, func(*testing.T) transporttest.Subject { return subject(c) })
		})
	}
}

func subject(c studio.Config) transporttest.Subject {
	var lose, hang atomic.Bool
	c.Intercept = func(studio.Call) studio.Fault {
		if hang.Load() {
			return studio.Fault{Delay: time.Hour}
		}
		return studio.Fault{Lost: lose.CompareAndSwap(true, false)}
	}
	s := studio.New(c)
	made := 0
	return transporttest.Subject{
		Transport: s,
		Stopped: func() transport.Ref {
			made++
			ref := transport.Ref{StudioID: "lab", SessionID: fmt.Sprintf("ws-%d", made)}
			s.Add(ref.StudioID, ref.SessionID)
			return ref
		},
		Missing:    transport.Ref{StudioID: "lab", SessionID: "missing"},
		Starts:     s.Effects,
		LoseAnswer: func() { lose.Store(true) },
		Hang:       func() { hang.Store(true) },
		Offline:    s.SetOffline,
	}
}
