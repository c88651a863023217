//go:build linux

package libvirt_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	scale.Parallel(6)
	goleak.VerifyTestMain(m)
}

// line is a connection to a daemon that a test can break.
type line struct {
	socket string

	mu   sync.Mutex
	off  bool
	hang bool
	lose bool // the answer to the next start
}

func (w *line) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *line) dial(ctx context.Context) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.off:
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: syscall.ECONNREFUSED}
	case w.hang:
		here, there := net.Pipe()
		go func() { // it listens, and sends nothing
			_, _ = io.Copy(io.Discard, there)
			_ = there.Close()
		}()
		return here, nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", w.socket)
	if err == nil && w.lose {
		conn = &losing{Conn: conn, line: w}
	}
	return conn, err
}

// losing is a connection that breaks when the answer to a start arrives.
type losing struct {
	net.Conn
	line *line

	mu   sync.Mutex
	sent bool
}

// domainCreate is the header of a request to start a domain, without its length.
var domainCreate = []byte{0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0, 9}

func (c *losing) Write(p []byte) (int, error) {
	if len(p) > 16 && bytes.Equal(p[4:16], domainCreate) {
		c.mu.Lock()
		c.sent = true
		c.mu.Unlock()
		c.line.set(func() { c.line.lose = false })
	}
	return c.Conn.Write(p)
}

func (c *losing) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent && err == nil {
		_ = c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func wantKind(t *testing.T, what string, err error, kind transport.Kind) *transport.Error {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("%s: %v, want %v", what, err, kind)
		return &transport.Error{}
	}
	return e
}
