package api_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/api"
)

// slowStore is an engine whose Start takes a while.
type slowStore struct {
	api.Engine
	takes time.Duration
}

func (s slowStore) Start(ctx context.Context, r engine.Request) (engine.Receipt, error) {
	select {
	case <-time.After(s.takes):
		return engine.Receipt{Operation: engine.Operation{ID: "1", Ref: r.Ref}, ID: "1", Created: true}, nil
	case <-ctx.Done():
		return engine.Receipt{}, ctx.Err()
	}
}

// newServer serves h in the bubble of a test.
func newServer(t *testing.T, h http.Handler) (*api.Server, *pipes, *api.Client) {
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	s := api.NewServer(p, h, nil)
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil }}
	t.Cleanup(transport.CloseIdleConnections)
	return s, p, api.NewClient("http://rouse", &http.Client{Transport: transport}, "")
}

// TestCloseAcknowledges: a start that is being committed as the server closes is
// acknowledged. One that takes too long has an unknown outcome, and was not canceled.
func TestCloseAcknowledges(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		takes time.Duration
		known bool
	}{
		"in time":  {2 * time.Second, true},
		"too slow": {time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, _, c := newServer(t, as(admin, api.Handler(slowStore{takes: row.takes}, api.Config{})))
				got := make(chan error, 1)
				go func() {
					_, err := c.Start(t.Context(), request("ws-1"))
					got <- err
				}()
				synctest.Wait()
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				err := <-got
				if row.known && err != nil {
					t.Error(err)
				}
				if !row.known && (!errors.Is(err, api.ErrNoAnswer) || !errors.Is(err, engine.ErrUnknown) || errors.Is(err, context.Canceled)) {
					t.Errorf("%v, want ErrNoAnswer and ErrUnknown", err)
				}
			})
		})
	}
}

// TestCloseEndsStreams: a server does not wait for streams as it closes.
func TestCloseEndsStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _, c := newServer(t, as(admin, api.Handler(silentFeed(), api.Config{})))
		got := make(chan error, 1)
		go func() {
			_, err := collect(c.Follow(t.Context(), ""))
			got <- err
		}()
		synctest.Wait()
		began := time.Now()
		if err := s.Close(); err != nil || time.Since(began) >= time.Second {
			t.Errorf("Close: %v after %v", err, time.Since(began))
		}
		if err := <-got; !errors.Is(err, api.ErrNoAnswer) {
			t.Errorf("%v, want ErrNoAnswer", err)
		}
	})
}

// waiting is an engine with one operation, which does not end.
type waiting struct{ api.Engine }

func (waiting) Get(ctx context.Context, id engine.ID) (engine.Operation, error) {
	return engine.Operation{ID: id, Phase: engine.PhaseQueued, Ref: request("ws-1").Ref}, ctx.Err()
}

func (w waiting) Wait(ctx context.Context, id engine.ID) (engine.Operation, error) {
	<-ctx.Done()
	return w.Get(ctx, id)
}

// TestCloseEndsWaits: a server that closes ends the wait of a client, who was not canceled.
func TestCloseEndsWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _, c := newServer(t, as(admin, api.Handler(waiting{}, api.Config{})))
		got := make(chan error, 1)
		go func() {
			_, err := c.Wait(t.Context(), "1")
			got <- err
		}()
		synctest.Wait()
		began := time.Now()
		if err := s.Close(); err != nil || time.Since(began) >= time.Second {
			t.Errorf("Close: %v after %v", err, time.Since(began))
		}
		if err := <-got; !errors.Is(err, api.ErrNoAnswer) || errors.Is(err, context.Canceled) {
			t.Errorf("%v, want ErrNoAnswer", err)
		}
	})
}

// TestBodyThatNeverComes: a request that is refused before its body is read does not keep
// its connection.
func TestBodyThatNeverComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p, _ := newServer(t, api.Handler(nil, api.Config{})) // no request has an identity
		defer s.Close()
		conn := p.dial()
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /v1/operations HTTP/1.1\r\nHost: rouse\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("after a minute: %v", err)
		}
	})
}
