package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
)

// pipes is a listener without a network, for tests with a clock of their own.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// serve serves h in the bubble of a test. All requests have this context.
func serve(ctx context.Context, t *testing.T, h http.Handler) (*pipes, *http.Client) {
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: h, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() { _ = server.Serve(p) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	return p, &http.Client{Transport: transport}
}

// feed is an engine whose Follow is given.
type feed struct {
	api.Engine
	follow func(ctx context.Context, after engine.Cursor) iter.Seq2[engine.Event, error]
}

func (f *feed) Events(context.Context, engine.Cursor) iter.Seq2[engine.Event, error] {
	return func(func(engine.Event, error) bool) {}
}

func (f *feed) Follow(ctx context.Context, after engine.Cursor) iter.Seq2[engine.Event, error] {
	return f.follow(ctx, after)
}

// endlessFeed yields events until ctx ends, and then calls ended.
func endlessFeed(ended func()) *feed {
	return &feed{follow: func(ctx context.Context, _ engine.Cursor) iter.Seq2[engine.Event, error] {
		return func(yield func(engine.Event, error) bool) {
			defer ended()
			for n := uint64(1); ctx.Err() == nil; n++ {
				if !yield(engine.Event{Seq: n, Cursor: engine.Cursor(fmt.Sprint(n)), Ref: request("ws-1").Ref}, nil) {
					return
				}
			}
		}
	}}
}

// silentFeed yields nothing until ctx ends.
func silentFeed() *feed {
	return &feed{follow: func(ctx context.Context, _ engine.Cursor) iter.Seq2[engine.Event, error] {
		return func(func(engine.Event, error) bool) { <-ctx.Done() }
	}}
}

// TestFollowerThatDoesNotRead cuts a follower off that reads nothing, and goes on
// serving others meanwhile.
func TestFollowerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ends := make(chan time.Duration, 2)
		p, hc := serve(t.Context(), t, as(admin, api.Handler(endlessFeed(func() { ends <- time.Since(began) }), api.Config{})))
		idle := p.dial()
		defer idle.Close()
		go func() { _, _ = io.WriteString(idle, "GET /v1/events/stream HTTP/1.1\r\nHost: x\r\n\r\n") }()
		if _, err := idle.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range api.NewClient("http://x", hc, "").Follow(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 1000 {
				break
			}
		}
		<-ends // of the client that has read enough
		if took := <-ends; took < 5*time.Second || took > 15*time.Second {
			t.Errorf("the follower that does not read is served for %v", took)
		}
	})
}

// TestHeartbeat sends comments while there is no event, and ends with the server.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		_, hc := serve(ctx, t, as(admin, api.Handler(silentFeed(), api.Config{})))
		answer, err := hc.Get("http://x/v1/events/stream")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" {
			t.Errorf("the answer is of type %q", kind)
		}
		began := time.Now()
		lines := bufio.NewScanner(answer.Body)
		for beat := range 5 {
			if !lines.Scan() || lines.Text() != ":" || time.Since(began) != time.Duration(beat)*15*time.Second {
				t.Fatalf("beat %d: %q after %v", beat, lines.Text(), time.Since(began))
			}
			lines.Scan()
		}
		stop()
		if lines.Scan() || lines.Err() != nil {
			t.Errorf("the stream goes on with %q, %v", lines.Text(), lines.Err())
		}
	})
}

// TestFollowEnds says to the follower why a stream ended.
func TestFollowEnds(t *testing.T) {
	t.Parallel()
	fails := func(err error) *feed {
		return &feed{follow: func(context.Context, engine.Cursor) iter.Seq2[engine.Event, error] {
			return func(yield func(engine.Event, error) bool) {
				if yield(engine.Event{Seq: 1, Cursor: "1", Ref: request("ws-1").Ref}, nil) {
					yield(engine.Event{}, err)
				}
			}
		}}
	}
	for name, c := range map[string]struct {
		handler http.Handler
		events  int
		want    error
		after   time.Duration
	}{
		"closed":      {as(admin, api.Handler(fails(engine.ErrClosed), api.Config{})), 1, engine.ErrClosed, 0},
		"cursor":      {as(admin, api.Handler(fails(&engine.CursorError{After: "1", First: 5, Head: 9, Pruned: true}), api.Config{})), 1, nil, 0},
		"no identity": {api.Handler(silentFeed(), api.Config{}), 0, api.ErrUnauthenticated, 0},
		"silence": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Rouse-API", "1")
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}), 0, api.ErrNoAnswer, 45 * time.Second},
		"nothing": {http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), 0, api.ErrNoAnswer, 45 * time.Second},
		"end": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Rouse-API", "1")
			_, _ = io.WriteString(w, "id: 1\ndata: {\"seq\":1,\"cursor\":\"1\"}\n\nid: 2\ndata: {\"seq\"")
		}), 1, api.ErrNoAnswer, 0},
		"long line": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Rouse-API", "1")
			_, _ = io.WriteString(w, "data: "+strings.Repeat("x", 2<<20))
		}), 0, api.ErrNoAnswer, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, hc := serve(t.Context(), t, c.handler)
				began := time.Now()
				evs, err := collect(api.NewClient("http://x", hc, "").Follow(t.Context(), ""))
				var cursor *engine.CursorError
				found := c.want != nil && errors.Is(err, c.want) || c.want == nil && errors.As(err, &cursor) && cursor.First == 5
				if len(evs) != c.events || !found || time.Since(began) != c.after {
					t.Errorf("%d events, then %v, after %v", len(evs), err, time.Since(began))
				}
			})
		})
	}
}

// TestFollowByHand reads frames as a program without this client does, and goes on by
// Last-Event-ID.
func TestFollowByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	for _, session := range []string{"ws-1", "ws-2"} {
		must(b.engine.Start(t.Context(), request(session)))
	}
	read := func(id string) (frame [2]string) {
		r := must(http.NewRequestWithContext(t.Context(), "GET", b.server.URL+"/v1/events/stream", nil))
		r.Header.Set("Last-Event-ID", id)
		answer := must(b.server.Client().Do(r))
		defer answer.Body.Close()
		lines := bufio.NewScanner(answer.Body)
		for lines.Scan() {
			for i, prefix := range []string{"id: ", "data: "} {
				if value, ok := strings.CutPrefix(lines.Text(), prefix); ok {
					frame[i] = value
				}
			}
			if frame[1] != "" && lines.Text() == "" {
				return frame
			}
		}
		t.Fatal(lines.Err())
		return frame
	}
	evs := must(collect(b.engine.Events(t.Context(), "")))
	id := ""
	for i, ev := range evs {
		frame := read(id)
		if id = frame[0]; id != string(ev.Cursor) || frame[1] != stored(t, ev) {
			t.Errorf("frame %d is %q, want the event %s", i, frame, stored(t, ev))
		}
	}
}

// TestFollowScope sends the events within the scope alone.
func TestFollowScope(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	for _, session := range []string{"secret-1", "ws-1", "secret-2", "ws-2"} {
		must(b.engine.Start(t.Context(), request(session)))
	}
	artist := b.clientAs(t, access.Identity{Name: "lee", Role: access.RoleViewer, Scope: access.Scope{"comp/ws-*"}})
	var got []string
	for ev, err := range artist.Follow(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, ev.Ref.SessionID); len(got) == 2 {
			break
		}
	}
	if fmt.Sprint(got) != "[ws-1 ws-2]" {
		t.Errorf("followed %v", got)
	}
}

// TestLongPoll answers a wait when the operation has ended, or when its time is over.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	r := must(b.engine.Start(t.Context(), request("ws-1")))
	began := time.Now()
	if _, text, _ := b.send(t, "GET", "/v1/operations/"+string(r.ID)+"?wait=1", ""); !strings.Contains(text, `"phase":"QUEUED"`) || time.Since(began) < time.Second {
		t.Errorf("after %v: %s", time.Since(began), text)
	}
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if op, err := b.client.Wait(ctx, r.ID); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait: %+v, %v", op, err)
	}
	must(b.engine.Cancel(t.Context(), r.ID, "kim"))
	var end *engine.EndError
	if op, err := b.client.Wait(t.Context(), r.ID); !errors.As(err, &end) || op.Phase != engine.PhaseCanceled || end.Operation.ID != r.ID {
		t.Errorf("wait: %+v, %v", op, err)
	}
}

// TestWaitUnderTimeouts waits for longer than the timeouts of the http.Server.
func TestWaitUnderTimeouts(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	r := must(b.engine.Start(t.Context(), request("ws-1")))
	server := httptest.NewUnstartedServer(as(admin, api.Handler(b.engine, api.Config{})))
	server.Config.WriteTimeout, server.Config.ReadTimeout = 300*time.Millisecond, 300*time.Millisecond
	server.Start()
	defer server.Close()
	answer, err := server.Client().Get(server.URL + "/v1/operations/" + string(r.ID) + "?wait=1")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the answer is %d", answer.StatusCode)
	}
}

// queued is an engine whose only operation waits.
type queued struct{ api.Engine }

func (queued) Get(context.Context, engine.ID) (engine.Operation, error) {
	return engine.Operation{ID: "x", Ref: request("ws-1").Ref, Phase: engine.PhaseQueued}, nil
}

func (q queued) Wait(ctx context.Context, id engine.ID) (engine.Operation, error) {
	<-ctx.Done()
	return engine.Operation{}, ctx.Err()
}

// TestLongestPoll waits for longer than the body of a request may take.
func TestLongestPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, hc := serve(t.Context(), t, as(admin, api.Handler(queued{}, api.Config{})))
		began := time.Now()
		answer, err := hc.Get("http://x/v1/operations/x?wait=60")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || time.Since(began) != time.Minute {
			t.Errorf("the answer is %d after %v", answer.StatusCode, time.Since(began))
		}
	})
}
