package ec2_test

import (
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport/ec2"
	"github.com/rouse-dev/rouse/transport/probe"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// run opens an engine over c, and runs it until the test ends.
func (c *cloud) run(cfg ec2.Config, ecfg engine.Config) *engine.Engine {
	c.t.Helper()
	e, err := engine.Open(filepath.Join(c.t.TempDir(), "rouse.db"), c.open(cfg), ecfg)
	if err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = e.Run(c.t.Context()) // the run ends just before the cleanups
	}()
	c.t.Cleanup(func() {
		<-ended
		_ = e.Close()
	})
	return e
}

func ask(t *testing.T, e *engine.Engine, id string) engine.ID {
	t.Helper()
	r, err := e.Start(t.Context(), engine.Request{Ref: ref(id)})
	if err != nil {
		t.Fatal(err)
	}
	return r.Operation.ID
}

// TestWaitsForCapacity checks that a start waits, and says so, without capacity or beyond
// a quota. After a retry it starts once.
func TestWaitsForCapacity(t *testing.T) {
	t.Parallel()
	for code, why := range map[string]engine.WaitReason{
		"InsufficientInstanceCapacity": engine.WaitCapacity,
		"VcpuLimitExceeded":            engine.WaitQuota,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			id := c.stopped(1, nil)[0]
			var full atomic.Bool
			full.Store(true)
			c.fault = func(r request) *fault {
				if r.action == "StartInstances" && full.Load() {
					return &fault{status: 500, code: code, message: "not now"}
				}
				return nil
			}
			e := c.run(ec2.Config{}, engine.Config{})
			op := ask(t, e, id)
			for now := range e.Watch(t.Context(), op) {
				if now.Waiting == why {
					break
				}
			}
			full.Store(false)
			if err := e.RetryNow(t.Context(), op, "test"); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Wait(t.Context(), op); err != nil || c.effects(id) != 1 {
				t.Errorf("%v, started %d times", err, c.effects(id))
			}
		})
	}
}

// TestTerminated checks that EC2 refuses to start a terminated instance, and that a read
// says why.
func TestTerminated(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.stopped(1, nil)[0]
	if _, err := c.direct.TerminateInstances(t.Context(), &awsec2.TerminateInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	c.fault = func(r request) *fault {
		if r.action != "StartInstances" {
			return nil
		}
		return &fault{status: 400, code: "IncorrectInstanceState", message: "The instance '" + id + "' is not in a state from which it can be started."}
	}
	e := c.run(ec2.Config{StaleFor: time.Millisecond}, engine.Config{})
	op, err := e.Wait(t.Context(), ask(t, e, id))
	if err == nil || op.Phase != fsm.PhaseFailed || op.EndReason != store.ReasonStartFailed || op.Session != fsm.StateDeleted {
		t.Errorf("%s (%s) %s, %v", op.Phase, op.EndReason, op.LastError, err)
	}
}

// TestRunningButSilent starts a machine whose port does not answer from this computer.
// After the boot timeout the operation says that the machine runs.
func TestRunningButSilent(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.stopped(1, nil)[0]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // no process listens there now
	e := c.run(ec2.Config{Probe: probe.Probe{Kind: probe.KindTLS, Port: l.Addr().(*net.TCPAddr).Port}}, engine.Config{BootTimeout: 500 * time.Millisecond})
	op, err := e.Wait(t.Context(), ask(t, e, id))
	if err == nil || op.Phase != fsm.PhaseFailed || op.EndReason != store.ReasonTimeout || c.effects(id) != 1 ||
		!strings.Contains(op.LastError, "running, but port") || !strings.Contains(op.LastError, "does not answer from this computer") {
		t.Errorf("%s (%s) %q, %v", op.Phase, op.EndReason, op.LastError, err)
	}
}

// TestByName checks that a name is looked up and started once, and stays the session's
// name.
func TestByName(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	name := c.name()
	id := c.stopped(1, map[string]string{"Name": name})[0]
	e := c.run(ec2.Config{Tag: "Name"}, engine.Config{})
	op, err := e.Wait(t.Context(), ask(t, e, name))
	if err != nil || op.Session != fsm.StateReady || c.effects(id) != 1 {
		t.Errorf("%s, %v, started %d times", op.Session, err, c.effects(id))
	}
	out, err := c.direct.DescribeInstances(t.Context(), &awsec2.DescribeInstancesInput{
		Filters: []types.Filter{{Name: aws.String("tag:Name"), Values: []string{name}}},
	})
	if err != nil || out.Reservations[0].Instances[0].State.Name != types.InstanceStateNameRunning {
		t.Errorf("EC2 shows %+v, %v", out, err)
	}
}
