package ec2_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport/ec2"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The promise test over EC2: starts by a process that is killed again and again,
// over a wire that loses answers and shows the past.
const crashEnv = "ROUSE_EC2_CRASH_HOST" // file, endpoint, region and ids, in the host's process

// crashHost asks for everything, and ends when all has ended.
func crashHost(env string) error {
	args := strings.Split(env, "|")
	tr, err := ec2.NewFromConfig(aws.Config{Region: args[2], BaseEndpoint: aws.String(args[1]), Credentials: keys(secret)},
		ec2.Config{StaleFor: 300 * time.Millisecond})
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
	for part := range slices.Chunk(ids, 6) { // callers come when they come
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
		r, err := e.Start(ctx, engine.Request{Ref: ref(id), ClientToken: "token-" + id}) // verbatim, again
		if err != nil {
			return err
		}
		op, err := e.Wait(ctx, r.Operation.ID)
		if err != nil {
			return err
		}
		fmt.Println(id, op.Phase)
	}
	return nil
}

func TestCrash(t *testing.T) {
	t.Parallel()
	rnd := scale.Rand(scale.Seed(t))
	kills := scale.Of(t, 3, 8, 100)
	c := newCloud(t)
	ids := c.stopped(scale.Of(t, 20, 60, 500), nil)
	c.boot, c.stale = 400*time.Millisecond, 150*time.Millisecond
	var calls, lost atomic.Int64
	c.fault = func(r request) *fault {
		if r.action != "StartInstances" {
			return nil
		}
		switch calls.Add(1) % 8 {
		case 1: // on its way back: the effect has happened
			lost.Add(1)
			return &fault{lose: true}
		case 2: // on its way to EC2
			return &fault{drop: true}
		case 4:
			lost.Add(1)
			return &fault{after: true, status: 500, code: "InternalError", message: "after the effect"}
		case 5:
			return &fault{status: 503, code: "RequestLimitExceeded", message: "slow down"}
		}
		return nil
	}
	env := strings.Join([]string{filepath.Join(t.TempDir(), "rouse.db"), c.url, c.region, strings.Join(ids, ",")}, "|")
	for range kills {
		host := startHost(t, env)
		time.Sleep(100*time.Millisecond + time.Duration(rnd.Int64N(int64(500*time.Millisecond)))) // a real process: real time
		_ = host.cmd.Process.Kill()
		<-host.ended
		_ = host.cmd.Wait()
	}
	host := startHost(t, env)
	<-host.ended
	if err := host.cmd.Wait(); err != nil {
		t.Errorf("the last host: %v", err)
	}
	for _, id := range ids {
		if host.said[id] != string(fsm.Succeeded) || c.effects(id) != 1 {
			t.Errorf("%s ended %q and was started %d times, want once", id, host.said[id], c.effects(id))
		}
	}
	t.Logf("%d kills, %d calls to StartInstances, %d of whose answers were lost after the effect", kills, calls.Load(), lost.Load())
	if lost.Load() < int64(scale.Of(t, 1, 3, 3)) {
		t.Error("hardly an answer was lost: the test is too kind")
	}
}

type hostProcess struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when all that it said is in said
	said  map[string]string
}

func startHost(t *testing.T, env string) hostProcess {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashEnv+"="+env)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := hostProcess{cmd: cmd, ended: make(chan struct{}), said: map[string]string{}}
	go func() { // ends with the host
		defer close(h.ended)
		for in := bufio.NewScanner(out); in.Scan(); {
			id, phase, _ := strings.Cut(in.Text(), " ")
			h.said[id] = phase
		}
	}()
	return h
}
