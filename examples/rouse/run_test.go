package main

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
)

// TestTell: without a terminal a blocked lane is a line, another one a minute
// later while nothing changes, and a line when it goes on.
func TestTell(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	tool := newTool(io.Discard, &errOut)
	told := map[string]toldLane{}
	tell := func(blocked engine.Waiting) string {
		errOut.Reset()
		tool.tell(t.Context(), engine.Stats{Lanes: []engine.LaneStats{{Name: "lab", Blocked: blocked, Since: time.Now(), Error: "unreachable: no route"}}}, told)
		return errOut.String()
	}
	later := func() {
		lane := told["lab"]
		lane.at = lane.at.Add(-again)
		told["lab"] = lane
	}
	for i, want := range []string{
		"", "rouse: lane lab waits: the provider cannot be reached: no route\n", "",
		"rouse: lane lab still waits: the provider cannot be reached, for 0s: no route\n", "", "rouse: lane lab goes on\n",
	} {
		blocked := engine.Offline
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
		t.Errorf("a lane that goes on is told again: %q", got)
	}
}

// TestSilentMetadata: where the SDK's last resort, the cloud's account of this
// machine, never answers, nobody waits for it for long.
func TestSilentMetadata(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connects, and says nothing
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
	), "start", "lab", "ws-1", "--wait")
	p.exit(1)
	if !strings.Contains(p.errOut.String(), "no AWS credentials were found") {
		t.Errorf("it says %s", p.errOut)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}
