package ec2_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport/ec2"
)

// look is a DescribeInstances that the proxy received.
type look struct {
	at time.Duration
	n  int
}

// TestFleet lets an engine start five hundred instances of one type and zone, and one
// that does not exist. The engine makes a few start calls and one poll a round. Only the
// missing one fails.
func TestFleet(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	ids := c.stopped(scale.Of(t, 60, 500, 500), nil)
	c.boot = 4 * time.Second
	began := time.Now()
	var mu sync.Mutex
	var looks []look
	starts := 0
	c.fault = func(r request) *fault {
		mu.Lock()
		defer mu.Unlock()
		switch r.action {
		case "DescribeInstances":
			looks = append(looks, look{time.Since(began), len(r.ids)})
		case "StartInstances":
			starts++
		}
		return nil
	}
	e, err := engine.Open(filepath.Join(t.TempDir(), "rouse.db"), c.open(ec2.Config{StaleFor: time.Millisecond}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	requests := make([]engine.Request, 0, len(ids)+1)
	for _, id := range append(ids, one) {
		requests = append(requests, engine.Request{Ref: ref(id)})
	}
	receipts, err := e.StartAll(t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	go e.Run(t.Context())
	for i, r := range receipts {
		op, err := e.Wait(t.Context(), r.Operation.ID)
		switch {
		case err != nil && op.ID == "":
			t.Fatal(err)
		case i == len(ids) && (op.Phase != fsm.PhaseFailed || op.EndReason != store.ReasonNotFound):
			t.Errorf("the one that does not exist: %s (%s) %s", op.Phase, op.EndReason, op.LastError)
		case i < len(ids) && (op.Phase != fsm.PhaseSucceeded || c.effects(ids[i]) != 1):
			t.Errorf("%s: %s (%s) %s, started %d times", ids[i], op.Phase, op.EndReason, op.LastError, c.effects(ids[i]))
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if starts > 5 {
		t.Errorf("%d calls started %d instances", starts, len(ids))
	}
	// Before the start came one read of all, refused for the missing one, and reads of
	// 200 each. Then the schedule has a round a second at first, and longer ones later.
	// The instance that was sent first and the others have rounds of their own.
	rounds := 0
	for _, l := range looks {
		if l.n > 1 && l.n < len(ids) {
			rounds++
		}
	}
	if most := int(time.Since(began)/time.Second) + 1; rounds == 0 || rounds > most || len(looks) > 5+2*most {
		t.Errorf("%d rounds and %d reads in %v: %v", rounds, len(looks), time.Since(began), looks)
	}
	t.Logf("%d calls to StartInstances, %d reads in %d rounds, in %v", starts, len(looks), rounds, time.Since(began))
}
