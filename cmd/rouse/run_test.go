package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// TestTell checks the lines about a blocked lane without a terminal. One line comes at
// once, another a minute later while nothing changes, and one when the lane is unblocked.
func TestTell(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	tool := newTool(io.Discard, &errOut)
	told := map[string]reportedLane{}
	tell := func(blocked engine.WaitReason) string {
		errOut.Reset()
		tool.reportLanes(t.Context(), engine.Stats{Lanes: []engine.LaneStats{{Name: "lab", Blocked: blocked, Since: time.Now(), Error: "unreachable: no route"}}}, told)
		return errOut.String()
	}
	later := func() {
		lane := told["lab"]
		lane.at = lane.at.Add(-again)
		told["lab"] = lane
	}
	for i, want := range []string{
		"", "rouse: lane lab is blocked: the provider cannot be reached: no route\n", "",
		"rouse: lane lab is still blocked: the provider cannot be reached, for 0s: no route\n", "", "rouse: lane lab is unblocked\n",
	} {
		blocked := engine.WaitOffline
		if i == 0 || i == 5 {
			blocked = ""
		}
		if i == 3 {
			later()
		}
		if got := tell(blocked); got != want {
			t.Errorf("step %d: it prints %q, want %q", i, got, want)
		}
	}
	later()
	if got := tell(""); got != "" {
		t.Errorf("a lane that is unblocked is reported again: %q", got)
	}
}

func TestFailureLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		phase     fsm.Phase
		reason    store.Reason
		lastError string
		want      string
	}{
		{fsm.PhaseFailed, store.ReasonInvalid, "invalid: ValidationException: no such type (HTTP 400)", `lab ws-1 FAILED (invalid): no such type (ValidationException, HTTP 400); next: correct that, then "rouse retry lab ws-1"`},
		{fsm.PhaseFailed, store.ReasonAmbiguous, "", `lab ws-1 FAILED: the session may have been started, and another send could start it twice (ambiguous); next: check whether the session runs; if it does not, "rouse retry lab ws-1"`},
		{fsm.PhaseFailed, store.ReasonReturnedToStopped, "", `lab ws-1 FAILED: the session was started and has stopped again (returned_to_stopped); next: "rouse retry lab ws-1"`},
		{fsm.PhaseExpired, store.ReasonExpired, "unreachable: no route", `lab ws-1 EXPIRED: it could not be sent in time: no route; next: "rouse retry lab ws-1"`},
		{fsm.PhaseFailed, "", "", `lab ws-1 FAILED: no reason is recorded; next: "rouse retry lab ws-1"`},
	} {
		o := engine.Operation{Ref: ref("lab", "ws-1"), Phase: c.phase, EndReason: c.reason, LastError: c.lastError}
		if got := failureLine(o); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}

// TestManyFailures checks that a run explains a bounded number of failures.
func TestManyFailures(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	tool := newTool(io.Discard, &errOut)
	feed := &feedPrinter{tool: tool, ends: map[fsm.Phase]int{}}
	const n = 1000
	err := feed.follow(func(yield func(engine.Event, error) bool) {
		for i := range n {
			if !yield(engine.Event{Seq: uint64(i + 1), From: fsm.PhaseQueued, To: fsm.PhaseFailed, Ref: ref("lab", fmt.Sprint(i))}, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	explained := 0
	pruned := func(context.Context, engine.ID) (engine.Operation, error) {
		explained++
		return engine.Operation{}, store.ErrNotFound
	}
	if got, err := tool.explainFailures(t.Context(), pruned, feed); err != nil || got != n || explained != mostFailures {
		t.Errorf("%d failures, of which %d were explained, %v", got, explained, err)
	}
	if want := "rouse: and 980 more failures: see \"rouse ls --phase FAILED --phase EXPIRED\"\n"; errOut.String() != want {
		t.Errorf("it prints %q, want %q", errOut.String(), want)
	}
}

// TestFailureAskedForAgain checks that a failure is not reported once its session was
// requested again. The later operation shows how that went.
func TestFailureAskedForAgain(t *testing.T) {
	t.Parallel()
	tool := newTool(io.Discard, io.Discard)
	feed := &feedPrinter{tool: tool, ends: map[fsm.Phase]int{}}
	events := []engine.Event{
		{From: fsm.PhaseStarting, To: fsm.PhaseFailed, Ref: ref("lab", "a")}, {From: fsm.PhaseStarting, To: fsm.PhaseFailed, Ref: ref("lab", "b")},
		{To: fsm.PhaseQueued, Ref: ref("lab", "a")}, {From: fsm.PhaseQueued, To: fsm.PhaseSucceeded, Ref: ref("lab", "a")},
		{From: fsm.PhaseStarting, To: fsm.PhaseFailed, Ref: ref("lab", "c")}, {To: fsm.PhaseQueued, Ref: ref("lab", "c")}, {From: fsm.PhaseQueued, To: fsm.PhaseExpired, Ref: ref("lab", "c")},
	}
	err := feed.follow(func(yield func(engine.Event, error) bool) {
		for i, ev := range events {
			ev.Seq, ev.Operation = uint64(i+1), engine.ID(fmt.Sprint(i+1))
			if !yield(ev, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var explained []engine.ID
	get := func(_ context.Context, id engine.ID) (engine.Operation, error) {
		explained = append(explained, id)
		return engine.Operation{}, store.ErrNotFound
	}
	if n, err := tool.explainFailures(t.Context(), get, feed); err != nil || n != 2 || !slices.Equal(explained, []engine.ID{"2", "7"}) {
		t.Errorf("%d failures %v, %v; want 2 and 7", n, explained, err)
	}
}

// TestSilentMetadata queues a start where the SDK's last source of credentials never
// answers. That source is the cloud's metadata service. The wait continues as offline,
// and says what cannot be reached.
func TestSilentMetadata(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts connections, and sends nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	provider, env := fixture(t, shortBoot)
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p := launch(t, append(env,
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=",
		"AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://"+silent.Addr().String(),
	), "start", "lab", "ws-1", "--wait", "--for", "8s")
	p.exit(1)
	for _, want := range []string{"the time of --for", "the source of the credentials cannot be reached: no answer in time", "stays QUEUED"} {
		if !strings.Contains(p.errOut.String(), want) {
			t.Errorf("it says %s, and not %q", p.errOut, want)
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	p = launch(t, env, "run", "--until-idle")
	p.exit(0)
	if !strings.Contains(p.errOut.String(), "1 SUCCEEDED; 0 active") {
		t.Errorf("with credentials it says %s", p.errOut)
	}
}
