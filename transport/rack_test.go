package transport_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/transporttest"
)

// shelf is a fake of the machines that the example drives. Its faults are those of a
// network.
type shelf struct {
	mu      sync.Mutex // guards the fields below
	on      map[string]time.Time
	starts  map[string]int
	lose    bool // the next answer
	hangs   bool
	offline bool
}

func newShelf(machines ...string) *shelf {
	s := &shelf{on: map[string]time.Time{}, starts: map[string]int{}}
	for _, m := range machines {
		s.on[m] = time.Time{}
	}
	return s
}

// call runs do as a request over the network would, and loses its answer if lose is set.
// It does not hold mu while it hangs.
func (s *shelf) call(ctx context.Context, machine string, do func()) error {
	s.mu.Lock()
	if s.hangs {
		s.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.offline {
		return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ENETUNREACH}
	}
	if _, ok := s.on[machine]; !ok {
		return fmt.Errorf("%q: %w", machine, errNoMachine)
	}
	do()
	if s.lose {
		s.lose = false
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (s *shelf) On(ctx context.Context, machine string) error {
	return s.call(ctx, machine, func() {
		if s.on[machine].IsZero() {
			s.on[machine] = time.Now()
			s.starts[machine]++
		}
	})
}

func (s *shelf) Since(ctx context.Context, machine string) (on time.Time, err error) {
	err = s.call(ctx, machine, func() { on = s.on[machine] })
	return on, err
}

// set changes a fault.
func (s *shelf) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// TestExampleIsATransport checks that the driver that authors copy keeps the whole
// contract.
func TestExampleIsATransport(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, func(*testing.T) transporttest.Subject {
		s := newShelf()
		return transporttest.Subject{
			Transport: rack{power: s},
			Stopped: func() (stopped transport.Ref) {
				s.set(func() {
					stopped = ref("lab", fmt.Sprint("ws-", len(s.on)))
					s.on[stopped.SessionID] = time.Time{}
				})
				return stopped
			},
			Missing: ref("lab", "nobody"),
			Starts: func(r transport.Ref) (n int) {
				s.set(func() { n = s.starts[r.SessionID] })
				return n
			},
			LoseAnswer: func() { s.set(func() { s.lose = true }) },
			Hang:       func() { s.set(func() { s.hangs = true }) },
			Offline:    func(off bool) { s.set(func() { s.offline = off }) },
		}
	})
}
