package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/scale"
)

// TestKilled kills the built tool at random. The server is another program: it loses one
// answer in five, throttles, and is killed and started again. At the end, every operation
// has succeeded, and the server counts one start for each. All rounds of kills use one
// database.
func TestKilled(t *testing.T) {
	t.Parallel()
	rnd := scale.Rand(scale.Seed(t))
	rouse, studio := build(t)
	kills := scale.Of(t, 2, 20, 25) // kills of one database
	sum := map[string]int{}
	for range scale.Times(t, 1, 1, 20) {
		w := &killedWorld{t: t, rnd: rnd, rouse: rouse, studio: studio, sum: sum, acked: map[string]string{}}
		w.faults = []string{"-boot", "300ms", "-fault", "0.2", "-throttle", "4"}
		w.place()
		for range kills {
			w.kill()
		}
		w.finish()
	}
	t.Logf("%v", sum)
	if sum["kills of rouse run"] >= 20 && (sum["starts sent"] <= sum["operations"] || sum["kills of the server"] == 0) {
		t.Error("no start was sent again, or the server was never killed; the test is too kind")
	}
}

// build builds the two programs.
func build(t *testing.T) (rouse, studio string) {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir, ".", "../../examples/studio").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "rouse"), filepath.Join(dir, "studio")
}

// killedWorld is a database and a server.
type killedWorld struct {
	t             *testing.T
	rnd           *rand.Rand
	rouse, studio string // the paths of the programs
	env           []string
	address       string
	state         string   // the server's file
	faults        []string // flags of the server
	server        *child.Process
	asked         int               // the number of sessions so far
	acked         map[string]string // operations by their token
	sum           map[string]int
}

// place makes a folder for the tool and the server, and chooses an address that stays the
// same.
func (w *killedWorld) place() {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.address = l.Addr().String()
	if err := l.Close(); err != nil {
		w.t.Fatal(err)
	}
	home := w.t.TempDir()
	w.state = filepath.Join(home, "studio.json")
	w.env = append(environment(home), "AWS_ENDPOINT_URL_NIMBLE=http://"+w.address)
	w.serve()
}

// serve starts the server, and returns when it listens. The port may not be free at once.
func (w *killedWorld) serve() {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var listens atomic.Bool
		ready := make(chan struct{})
		c := &exec.Cmd{Path: w.studio, Env: w.env, Args: []string{
			"studio", "-addr", w.address, "-any", "-seed", strconv.FormatUint(w.rnd.Uint64(), 10), "-state", w.state,
		}}
		c.Args = append(c.Args, w.faults...)
		w.server = child.Start(w.t, c, func(line string) {
			if strings.HasPrefix(line, "listening on") && listens.CompareAndSwap(false, true) {
				close(ready)
			}
		})
		select {
		case <-ready:
			return
		case <-w.server.Ended:
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the server does not begin: %v", w.server.Wait())
		}
	}
}

func (w *killedWorld) span(atLeast, atMost time.Duration) time.Duration {
	return atLeast + time.Duration(w.rnd.Int64N(int64(atMost-atLeast)))
}

// kill requests some sessions, and kills a run of the tool during its work. Sometimes it
// also kills a start of the tool, and the server.
func (w *killedWorld) kill() {
	w.t.Helper()
	for range 2 {
		n := w.asked
		w.asked++
		if w.rnd.IntN(4) > 0 {
			w.start(n, nil)
			continue
		}
		w.sum["kills of rouse start"]++
		w.start(n, time.After(w.span(0, 60*time.Millisecond)))
	}
	run := child.Start(w.t, w.command("run"), nil)
	time.Sleep(w.span(50*time.Millisecond, 700*time.Millisecond)) // real processes need real time
	switch w.rnd.IntN(4) {
	case 0: // the server dies and cuts its calls
		w.sum["kills of the server"]++
		w.server.Kill()
		w.serve()
	case 1: // the server ends after the calls under way
		w.sum["ends of the server"]++
		w.server.Signal(os.Interrupt)
		if err := w.server.Wait(); err != nil {
			w.t.Errorf("the server, asked to end: %v", err)
		}
		w.serve()
	}
	time.Sleep(w.span(0, 300*time.Millisecond))
	if !run.Kill() {
		w.t.Fatalf("rouse run ended by itself: %v", run.Wait())
	}
	w.sum["kills of rouse run"]++
}

func (w *killedWorld) command(args ...string) *exec.Cmd {
	return &exec.Cmd{Path: w.rouse, Args: append([]string{"rouse"}, args...), Env: w.env}
}

// start requests a session, and kills the command when the time is up. A request is
// acknowledged if the command exits with 0.
func (w *killedWorld) start(n int, killAt <-chan time.Time) {
	w.t.Helper()
	token := "token-" + strconv.Itoa(n)
	var said bytes.Buffer
	c := w.command("start", "studio-"+strconv.Itoa(n%10), "ws-"+strconv.Itoa(n), "--token", token, "--json")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	p := child.Start(w.t, c, func(line string) { said.WriteString(line + "\n") })
	select {
	case <-p.Ended:
	case <-killAt:
		if p.Kill() {
			return
		}
	}
	var op engine.Operation
	if err := errors.Join(p.Wait(), json.Unmarshal(said.Bytes(), &op)); err != nil {
		w.t.Fatalf("rouse start: %v\n%s%s", err, &said, &stderr)
	}
	if was := w.acked[token]; was != "" && was != string(op.ID) {
		w.t.Errorf("%s was acknowledged as %s, and then as %s", token, was, op.ID)
	}
	w.acked[token] = string(op.ID)
}

// finish requests everything once more, lets one run end it all, and counts.
func (w *killedWorld) finish() {
	w.t.Helper()
	for n := range w.asked {
		w.start(n, nil)
	}
	if out, err := w.command("run", "--until-idle", "--for", "2m").CombinedOutput(); err != nil {
		w.t.Fatalf("rouse run --until-idle: %v\n%s", err, out)
	}
	w.server.Signal(os.Interrupt)
	if err := w.server.Wait(); err != nil {
		w.t.Errorf("the server, asked to end: %v", err)
	}
	w.output("check")
	starts := w.starts()
	tokens := map[string]bool{}
	for _, line := range w.output("ls", "--json") {
		var op engine.Operation
		if err := json.Unmarshal([]byte(line), &op); err != nil {
			w.t.Fatalf("%s: %v", line, err)
		}
		if tokens[op.ClientToken] || w.acked[op.ClientToken] != string(op.ID) {
			w.t.Errorf("operation %s of %s, which was acknowledged as %s", op.ID, op.ClientToken, w.acked[op.ClientToken])
		}
		tokens[op.ClientToken] = true
		name := op.Ref.StudioID + " " + op.Ref.SessionID
		if op.Phase != fsm.PhaseSucceeded || starts[name] != 1 {
			w.t.Errorf("%s is %s (%s), and the server started it %d times", name, op.Phase, op.LastError, starts[name])
		}
		delete(starts, name)
	}
	for name, n := range starts {
		if n > 0 {
			w.t.Errorf("the server started %s %d times, for no operation", name, n)
		}
	}
	if len(tokens) != w.asked {
		w.t.Errorf("%d operations for %d tokens", len(tokens), w.asked)
	}
	w.sum["operations"] += len(tokens)
	w.ends()
}

// ends checks that the feed has no gap, and has one end for each operation.
func (w *killedWorld) ends() {
	w.t.Helper()
	ends, seq := map[string]int{}, uint64(0)
	for _, line := range w.output("events", "--json") {
		var ev engine.Event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			w.t.Fatalf("%s: %v", line, err)
		}
		if seq++; ev.Seq != seq {
			w.t.Fatalf("event %d after %d", ev.Seq, seq-1)
		}
		if ev.To.Ended() {
			ends[string(ev.Operation)]++
		}
	}
	for token, id := range w.acked {
		if ends[id] != 1 {
			w.t.Errorf("%s (%s) has %d ends in the feed", id, token, ends[id])
		}
	}
}

// output returns what a command of the tool prints, by lines.
func (w *killedWorld) output(args ...string) []string {
	w.t.Helper()
	out, err := w.command(args...).Output()
	if err != nil {
		w.t.Fatalf("rouse %q: %v\n%s", args, err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// starts returns the server's counts, by studio and session.
func (w *killedWorld) starts() map[string]int {
	w.t.Helper()
	text, err := os.ReadFile(w.state)
	if err != nil {
		w.t.Fatal(err)
	}
	var state struct {
		Sessions []struct {
			StudioID, SessionID string
			Starts              int
			Calls               []int // the first element counts starts
		}
	}
	if err := json.Unmarshal(text, &state); err != nil {
		w.t.Fatal(err)
	}
	out := map[string]int{}
	for _, s := range state.Sessions {
		out[fmt.Sprint(s.StudioID, " ", s.SessionID)] = s.Starts
		w.sum["starts sent"] += s.Calls[0]
	}
	return out
}

// exitOf returns the exit status of a command that failed, or -1, and what it wrote to
// standard error.
func exitOf(err error) (code int, said string) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return -1, err.Error()
	}
	return exit.ExitCode(), string(exit.Stderr)
}
