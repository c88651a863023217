package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
)

const (
	linearClients = 8
	linearKills   = 4  // of a history
	linearGroup   = 40 // requests before clients change to another group
	forever       = math.MaxInt64
)

// TestLinearizable: clients of the protocol see what a server that does one request at a
// time would show. This holds while the engine's process is killed again and again.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	seed, requests := scale.Seed(t), scale.Of(t, 400, 1000, 1000)
	var sum linearSum
	var histories sync.WaitGroup
	turn := make(chan struct{}, 2)
	for n := range scale.Times(t, 1, 50, 5000) {
		turn <- struct{}{}
		histories.Go(func() {
			defer func() { <-turn }()
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				history := newLinearWorld(t, "", seed+uint64(n)).live(requests)
				if got := porcupine.CheckOperationsTimeout(linearModel, history, time.Minute); got != porcupine.Ok {
					t.Errorf("the history is %s: %s", got, wrongGroup(history))
				}
				sum.add(history)
			})
		})
	}
	histories.Wait()
	t.Logf("%d requests in all: %v", sum.all, sum.kinds)
	for _, kind := range []string{"shown queued", "shown starting", "shown ended", "later request", absent, active, reused, noAnswer} {
		if sum.kinds[kind] == 0 && sum.all > 5000 {
			t.Errorf("no answer was %q: the test is too easy", kind)
		}
	}
}

// TestLinearizableSelf: a server with a bug has a history that shows it. In most runs the
// first history does, but the order of requests depends on the machine.
func TestLinearizableSelf(t *testing.T) {
	t.Parallel()
	seed := scale.Seed(t)
	for _, bug := range []string{forgetful, stale, deaf} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			for n := range uint64(10) {
				history := newLinearWorld(t, bug, seed+n).live(400)
				if porcupine.CheckOperationsTimeout(linearModel, history, time.Minute) == porcupine.Illegal {
					return
				}
			}
			t.Errorf("%s, but no history shows it", bug)
		})
	}
}

// wrongGroup describes the first wrong group of a history.
func wrongGroup(history []porcupine.Operation) string {
	for _, group := range linearModel.Partition(history) {
		if got := porcupine.CheckOperationsTimeout(linearModel, group, time.Minute); got == porcupine.Ok {
			continue
		}
		text := ""
		for _, o := range group {
			text += fmt.Sprintf("\n%12d %20d  %+v: %v", o.Call, o.Return, o.Input, o.Output)
		}
		return text
	}
	return "no group by itself"
}

// linearSum counts answers.
type linearSum struct {
	mu    sync.Mutex
	all   int
	kinds map[string]int
}

func (s *linearSum) add(history []porcupine.Operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kinds == nil {
		s.kinds = map[string]int{}
	}
	s.all += len(history)
	for _, o := range history {
		out := o.Output.(linearOut)
		s.kinds[out.kind]++
		if out.wait != out.id && out.wait != "" {
			s.kinds["later request"]++
		}
		if out.kind == shown {
			s.kinds[[]string{"shown queued", "shown starting", "shown ended"}[out.phase]]++
		}
	}
}

// linearWorld is a server that is killed and started again, and what its clients saw.
type linearWorld struct {
	t      *testing.T
	rnd    *rand.Rand
	order  linearOrder
	server *child.Process
	client *nimble.Client
	began  time.Time

	mu      sync.Mutex // guards what follows
	history []porcupine.Operation
	free    map[int]int // starts without a token, by group
}

func newLinearWorld(t *testing.T, bug string, seed uint64) *linearWorld {
	provider := httptest.NewServer(nimble.Handler(newLinearProvider(), nimble.HandlerConfig{Credentials: nimble.Keys(crashKeys)}))
	t.Cleanup(provider.Close)
	w := &linearWorld{t: t, rnd: scale.Rand(seed), began: time.Now(), free: map[int]int{}}
	dir, err := os.MkdirTemp("", "rouse") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w.order = linearOrder{Path: filepath.Join(dir, "rouse.db"), Endpoint: provider.URL, Socket: filepath.Join(dir, "socket"), Bug: bug}
	wire := &http.Transport{MaxIdleConnsPerHost: linearClients, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", w.order.Socket)
	}}
	t.Cleanup(wire.CloseIdleConnections)
	w.client = nimble.NewFromConfig(aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String("http://server.test"), HTTPClient: &http.Client{Transport: wire},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return crashKeys, nil }),
	})
	return w
}

// serve starts a server, and returns when it listens.
func (w *linearWorld) serve(n int) {
	w.t.Helper()
	o := w.order
	if o.Bug == forgetful {
		o.Path += strconv.Itoa(n)
	}
	order, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	listens := make(chan struct{})
	w.server = child.Start(w.t, child.Self(w.t, linearEnv, string(order)), func(string) { close(listens) })
	select {
	case <-listens:
	case <-w.server.Ended:
		w.t.Fatalf("the server ended: %v", w.server.Wait())
	}
}

// live lets clients make a number of requests while the server is killed. Then each
// session is read, and each token used, once more.
func (w *linearWorld) live(requests int) []porcupine.Operation {
	w.t.Helper()
	w.serve(0)
	var clients sync.WaitGroup
	done := make(chan struct{})
	for range linearClients {
		rnd := scale.Rand(w.rnd.Uint64())
		clients.Go(func() {
			for made := w.made(); made < requests; made = w.made() {
				in := linearIn{
					group:   made/linearGroup + rnd.IntN(2),
					session: rnd.IntN(linearSessions),
					token:   rnd.IntN(2*linearTokens) - linearTokens, // half of them are reads
				}
				if in.token == -1 { // some of those are starts without a token
					in.token = w.noToken(in.group)
				}
				w.ask(in)
			}
		})
	}
	go func() { clients.Wait(); close(done) }()
	for k := 1; k <= linearKills; k++ {
		at := requests*k/(linearKills+1) + w.rnd.IntN(20)
		for over := false; !over && w.made() < at; time.Sleep(100 * time.Microsecond) { // real processes: real time
			select {
			case <-done:
				over = true
			default:
			}
		}
		w.server.Kill()
		w.serve(k)
	}
	<-done
	for group := range requests/linearGroup + 2 {
		for session := range linearSessions {
			w.ask(linearIn{group: group, session: session, token: -1})
			for token := range linearTokens {
				w.ask(linearIn{group: group, session: session, token: token})
			}
		}
	}
	w.server.Kill()
	return w.history
}

// noToken returns the number of a group's next start without a token, or -1 after the last.
func (w *linearWorld) noToken(group int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.free[group] == linearFree {
		return -1
	}
	w.free[group]++
	return linearTokens + w.free[group] - 1
}

func (w *linearWorld) made() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.history)
}

func (w *linearWorld) now() int64 { return time.Since(w.began).Nanoseconds() }

// ask makes a request, and records it if it may have been done.
func (w *linearWorld) ask(in linearIn) {
	in.token = max(in.token, -1)
	ref := transport.Ref{StudioID: "studio-" + strconv.Itoa(in.group%5), SessionID: fmt.Sprintf("ws-%d-%d", in.group, in.session)}
	ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	var s transport.Session
	var err error
	call := w.now()
	if in.token < 0 {
		s, err = w.client.Get(ctx, ref)
	} else {
		token := fmt.Sprintf("t-%d-%d", in.group, in.token)
		if in.free() {
			token = linearNoToken + token
		}
		s, err = w.client.Start(ctx, transport.StartInput{Ref: ref, ClientToken: token})
	}
	returned := w.now()
	out := w.read(in, s, err)
	switch {
	case out.kind == noAnswer && (in.token < 0 || notSent(err)): // it had no effect
		return
	case out.kind == noAnswer:
		returned = forever
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, porcupine.Operation{ClientId: len(w.history), Input: in, Call: call, Output: out, Return: returned})
}

func notSent(err error) bool {
	var e *transport.Error
	return errors.As(err, &e) && e.NotSent
}

// read returns an answer in the terms of the model.
func (w *linearWorld) read(in linearIn, s transport.Session, err error) linearOut {
	var e *transport.Error
	switch {
	case err == nil:
		phase := fsm.Phase(s.Tags["phase"])
		if !phase.Known() {
			w.t.Errorf("%v: an operation is %q", in, phase)
		}
		p := map[fsm.Phase]int{fsm.PhaseQueued: 0, fsm.PhaseStarting: 1}[phase]
		if phase.Ended() {
			p = 2
		}
		return linearOut{kind: shown, token: w.token(s.Tags["token"]), id: s.Tags["operation"], phase: p, created: s.Tags["created"] == "true", wait: s.Tags["wait"]}
	case errors.Is(err, transport.KindNotFound):
		return linearOut{kind: absent}
	case errors.Is(err, transport.KindConflict) && errors.As(err, &e):
		return linearOut{kind: active, token: w.token(e.Context["token"]), id: e.Context["token"]}
	case errors.Is(err, transport.KindInvalid):
		return linearOut{kind: reused}
	case errors.Is(err, transport.KindUnknown), errors.Is(err, transport.KindUnreachable):
	default:
		w.t.Errorf("%v: %v", in, err)
	}
	return linearOut{kind: noAnswer}
}

// token returns the number of a token, or -1 for an operation's id. With a bug it may be
// no token of the clients.
func (w *linearWorld) token(text string) int {
	if _, err := uuid.Parse(text); err == nil && w.order.Bug != deaf {
		return -1
	}
	var group, n int
	if _, err := fmt.Sscanf(text, "t-%d-%d", &group, &n); err != nil && w.order.Bug == "" {
		w.t.Errorf("token %q", text)
	}
	return n
}
