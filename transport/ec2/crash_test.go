package ec2_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport/ec2"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The promise test over EC2 kills a process again and again. The process starts instances
// over a network that loses answers and shows stale reads.
const crashEnv = "ROUSE_EC2_CRASH_HOST" // file, endpoint, region, ids and types, for the host's process

// crashHost requests all starts, and ends when all operations have ended.
func crashHost(env string) error {
	args := strings.Split(env, "|")
	cfg := ec2.Config{StaleFor: 300 * time.Millisecond}
	if args[4] != "" {
		cfg.InstanceTypes, cfg.InstanceTypesAfter = strings.Split(args[4], ","), 1
	}
	tr, err := ec2.NewFromConfig(aws.Config{Region: args[2], BaseEndpoint: aws.String(args[1]), Credentials: keys(secret)}, cfg)
	if err != nil {
		return err
	}
	e, err := engine.Open(args[0], tr, engine.Config{
		Timeout: 800 * time.Millisecond,
		Lane:    func(string) engine.LaneConfig { return engine.LaneConfig{Rate: 100} },
	})
	if err != nil {
		return err
	}
	defer e.Close()
	ctx := context.Background()
	go e.Run(ctx)
	ids := strings.Split(args[3], ",")
	for part := range slices.Chunk(ids, 6) { // requests arrive at any time
		requests := make([]engine.Request, len(part))
		for i, id := range part {
			requests[i] = engine.Request{Ref: ref(id), ClientToken: "token-" + id}
		}
		if _, err := e.StartAll(ctx, requests); err != nil {
			return err
		}
		time.Sleep(rand.N(40 * time.Millisecond))
	}
	for _, id := range ids {
		r, err := e.Start(ctx, engine.Request{Ref: ref(id), ClientToken: "token-" + id}) // the same request again
		if err != nil {
			return err
		}
		op, err := insist(ctx, e, r.Operation.ID)
		if err != nil {
			return err
		}
		fmt.Println(id, op.Phase)
	}
	return nil
}

// insist waits for an operation. It retries instead of waiting the minutes that a lack of
// capacity takes.
func insist(ctx context.Context, e *engine.Engine, id engine.ID) (engine.Operation, error) {
	for {
		short, done := context.WithTimeout(ctx, 250*time.Millisecond)
		op, err := e.Wait(short, id)
		done()
		if !errors.Is(err, context.DeadlineExceeded) {
			return op, err
		}
		if err := e.RetryNow(ctx, id, "test"); err != nil {
			return op, err
		}
	}
}

// wear is a network that loses requests and answers.
type wear struct{ calls, lost atomic.Int64 }

func (w *wear) fault(r request) *fault {
	if !slices.Contains(changing, r.action) {
		return nil
	}
	switch w.calls.Add(1) % 8 {
	case 1: // the answer is lost on its way back, so the effect has happened
		w.lost.Add(1)
		return &fault{lose: true}
	case 2: // the request is lost on its way to EC2
		return &fault{drop: true}
	case 4:
		w.lost.Add(1)
		return &fault{after: true, status: 500, code: "InternalError", message: "after the effect"}
	case 5:
		return &fault{status: 503, code: "RequestLimitExceeded", message: "slow down"}
	}
	return nil
}

func TestCrash(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.boot, c.stale = 400*time.Millisecond, 50*time.Millisecond
	for _, id := range c.survives(scale.Of(t, 20, 60, 500), scale.Of(t, 3, 8, 100), "") {
		if c.effects(id) != 1 {
			t.Errorf("%s was started %d times, want once", id, c.effects(id))
		}
	}
}

// TestCrashFallback is the same test, without capacity for the own type.
func TestCrashFallback(t *testing.T) {
	t.Parallel()
	m := newProxy(t, newRAM(t)).market(own, second)
	m.boot, m.stale = 400*time.Millisecond, 50*time.Millisecond
	for _, id := range m.survives(scale.Of(t, 2, 12, 100), scale.Of(t, 2, 20, 300), second+","+third) {
		m.want(id, third, 1)
	}
}

// survives lets a host that is killed so many times start n instances.
func (c *cloud) survives(n, kills int, plan string) []string {
	t := c.t
	t.Helper()
	rnd := scale.Rand(scale.Seed(t))
	ids := c.stopped(n, nil)
	var w wear
	c.fault = w.fault
	env := strings.Join([]string{filepath.Join(t.TempDir(), "rouse.db"), c.address(), c.region, strings.Join(ids, ","), plan}, "|")
	said := map[string]string{}
	host := func() *child.Process {
		return child.Start(t, child.Self(t, crashEnv, env), func(line string) {
			id, phase, _ := strings.Cut(line, " ")
			said[id] = phase
		})
	}
	for range kills {
		p := host()
		time.Sleep(100*time.Millisecond + time.Duration(rnd.Int64N(int64(500*time.Millisecond)))) // a real process needs real time
		p.Kill()
	}
	if err := host().Wait(); err != nil {
		t.Errorf("the last host: %v", err)
	}
	for _, id := range ids {
		if said[id] != string(fsm.PhaseSucceeded) {
			t.Errorf("%s ended %q", id, said[id])
		}
	}
	t.Logf("%d kills, %d calls that change something, %d answers lost after the effect", kills, w.calls.Load(), w.lost.Load())
	if w.lost.Load() < int64(scale.Of(t, 1, 3, 3)) {
		t.Error("too few answers were lost; the test is too kind")
	}
	return ids
}
