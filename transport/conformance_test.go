package transport_test

import (
	"fmt"
	"testing"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
	"github.com/rouse-dev/rouse/transport/transporttest"
)

// TestMuxIsATransport checks that a transport behind a Mux keeps every promise that it
// keeps alone.
func TestMuxIsATransport(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, func(*testing.T) transporttest.Subject {
		s := studio.New(studio.Config{})
		var m transport.Mux
		m.Handle("lab", s)
		m.Handle("*", studio.New(studio.Config{Any: true}))
		n := 0
		return transporttest.Subject{
			Transport: &m,
			Stopped: func() transport.Ref {
				n++
				s.Add("lab", fmt.Sprint("ws-", n))
				return ref("lab", fmt.Sprint("ws-", n))
			},
			Missing: ref("lab", "missing"),
			Starts:  s.Effects,
			Offline: s.SetOffline,
		}
	})
}
