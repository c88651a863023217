package transporttest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/transport"
)

// Port is a port of 127.0.0.1 that answers as an SSH server does, for the port probe of a
// driver under test. Its Mute can be a [Subject].Mute. It is safe for concurrent use.
type Port struct {
	Number int
	mute   atomic.Bool
}

// NewPort opens a Port, and closes it when the test ends.
func NewPort(t testing.TB) *Port {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Port{Number: l.Addr().(*net.TCPAddr).Port}
	var wg sync.WaitGroup
	wg.Go(func() { p.serve(l) })
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return p
}

// Mute makes the port close each connection without sending anything, or send an
// SSH server's banner again. It ignores the ref.
func (p *Port) Mute(_ transport.Ref, mute bool) { p.mute.Store(mute) }

func (p *Port) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if !p.mute.Load() {
			_, _ = io.WriteString(c, "SSH-2.0-transporttest\r\n")
		}
		_ = c.Close()
	}
}
