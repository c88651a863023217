package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
)

// crashEnv is the variable that makes this test binary a host, see TestMain. Its value
// is a crashOrder as JSON.
const crashEnv = "ROUSE_CRASH_HOST"

func TestMain(m *testing.M) {
	for env, host := range map[string]func(order string) error{crashEnv: crashHost, linearEnv: linearServer} {
		order := os.Getenv(env)
		if order == "" {
			continue
		}
		if err := host(order); err != nil {
			fmt.Fprintln(os.Stderr, "host:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The points at which a host is killed: the steps between a commit, a call and an
// answer. At the provider's points the provider kills the host.
const (
	beforeStart   = "before the commit of a start"
	afterStart    = "after the commit of a start, before its acknowledgement"
	beforeIntent  = "before the commit of an intent"
	beforeSend    = "after the commit of an intent, before the call"
	arrived       = "in the call, before its effect" // the provider's
	hadEffect     = "in the call, after its effect"  // the provider's
	afterSend     = "after the call, before its record"
	afterAccepted = "after the record of an acceptance"
	beforeRead    = "before a read"
	afterRead     = "after a read, before the commit of its decision"
	beforeEnd     = "before the commit of an end"
	afterEnd      = "after the commit of an end"
)

var crashPoints = []string{
	beforeStart, afterStart, beforeIntent, beforeSend, arrived, hadEffect,
	afterSend, afterAccepted, beforeRead, afterRead, beforeEnd, afterEnd,
}

// crashOrder says what a host must do. It asks for the sessions First to First+Count-1,
// and is killed when it passes Point for the Nth time. The last host of a file asks for
// all sessions below First+Count, and ends when they have ended.
type crashOrder struct {
	Path, Endpoint string
	Point          string
	Nth            int64
	First, Count   int
	Last           bool
	Seed           uint64
}

func crashToken(n int) string { return "token-" + strconv.Itoa(n) }

func crashRef(n int) engine.Ref {
	return engine.Ref{StudioID: "studio-" + strconv.Itoa(n%5), SessionID: "ws-" + strconv.Itoa(n)}
}

var crashKeys = aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}

func keyed(endpoint string) *nimble.Client {
	return nimble.NewFromConfig(aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return crashKeys, nil }),
	}, func(o *nimble.Options) { o.TokenMemory, o.StaleFor = time.Hour, time.Millisecond })
}

// crashCallers is how many callers ask at once.
const crashCallers = 50

// crashHost asks, and prints what was acknowledged.
func crashHost(order string) error {
	var o crashOrder
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		return err
	}
	s, err := bolt.Open(o.Path, bolt.Config{})
	if err != nil {
		return err
	}
	trap := &trap{point: o.Point, nth: o.Nth}
	e, err := engine.New(trapStore{s, trap}, trapTransport{keyed(o.Endpoint), trap}, engine.Config{
		Timeout: 300 * time.Millisecond,
		Lane:    func(string) engine.LaneConfig { return engine.LaneConfig{Rate: 1000, Concurrency: 32} },
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	go e.Run(ctx)
	fmt.Println("open")
	if o.Last {
		if err := crashFinish(ctx, e, o); err != nil {
			return err
		}
		if err := e.Close(); err != nil {
			return err
		}
		return s.Close()
	}
	var wg sync.WaitGroup
	for c := range crashCallers {
		rnd := scale.Rand(o.Seed + uint64(c))
		wg.Go(func() {
			for n := o.First + c; n < o.First+o.Count; n += crashCallers {
				time.Sleep(rand.N(20 * time.Millisecond)) // callers arrive at any time
				ask := n
				if rnd.IntN(4) == 0 { // a caller repeats an old request
					ask = rnd.IntN(n + 1)
				}
				if err := crashStart(ctx, e, ask); err != nil {
					fmt.Fprintln(os.Stderr, "host:", err)
				}
			}
		})
	}
	wg.Wait()
	select {} // until it is killed
}

func crashStart(ctx context.Context, e *engine.Engine, n int) error {
	r, err := e.Start(ctx, engine.Request{Ref: crashRef(n), ClientToken: crashToken(n)})
	if err == nil {
		fmt.Println(r.Operation.ID, n)
	}
	return err
}

// crashFinish asks for everything once more, and waits for its end.
func crashFinish(ctx context.Context, e *engine.Engine, o crashOrder) error {
	for n := range o.First + o.Count {
		if err := crashStart(ctx, e, n); err != nil {
			return err
		}
	}
	for n := range o.First + o.Count {
		op, err := e.Find(ctx, crashRef(n))
		if err != nil {
			return err
		}
		if _, err := e.Wait(ctx, op.ID); err != nil {
			return err
		}
	}
	return nil
}

// trap kills its own process when a point is passed for the nth time.
type trap struct {
	point  string
	nth    int64
	passed atomic.Int64
}

func (t *trap) pass(point string) {
	if point == "" || point != t.point || t.passed.Add(1) < t.nth {
		return
	}
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {} // nothing happens after this point
}

// trapStore is a store with a trap before and after each commit.
type trapStore struct {
	store.Store
	trap *trap
}

func (s trapStore) Enqueue(ctx context.Context, ops []store.Operation) ([]store.Receipt, error) {
	s.trap.pass(beforeStart)
	got, err := s.Store.Enqueue(ctx, ops)
	if err == nil {
		s.trap.pass(afterStart)
	}
	return got, err
}

func (s trapStore) Apply(ctx context.Context, changes []store.Change) ([]error, error) {
	s.each(changes, beforeIntent, "", beforeEnd)
	errs, err := s.Store.Apply(ctx, changes)
	if err == nil {
		s.each(changes, "", afterAccepted, afterEnd)
	}
	return errs, err
}

// each passes a point for each change, by the kind of change.
func (s trapStore) each(changes []store.Change, intent, accepted, end string) {
	for _, c := range changes {
		switch o := c.Operation; {
		case o.Phase.Ended():
			s.trap.pass(end)
		case o.Phase == fsm.PhaseStarting:
			s.trap.pass(accepted)
		case o.Sent == store.SentUnknown && !c.Release: // an intent
			s.trap.pass(intent)
		}
	}
}

// trapTransport is a client with a trap before and after each call.
type trapTransport struct {
	*nimble.Client
	trap *trap
}

func (t trapTransport) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	t.trap.pass(beforeSend)
	s, err := t.Client.Start(ctx, in)
	t.trap.pass(afterSend)
	return s, err
}

func (t trapTransport) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	t.trap.pass(beforeRead)
	s, err := t.Client.Get(ctx, ref)
	t.trap.pass(afterRead)
	return s, err
}

func (t trapTransport) BatchGet(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
	t.trap.pass(beforeRead)
	rs, err := t.Client.BatchGet(ctx, refs)
	t.trap.pass(afterRead)
	return rs, err
}
