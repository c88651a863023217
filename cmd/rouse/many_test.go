package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/scale"
)

// TestManyProcesses: many processes ask for starts through the socket of a "rouse run" that
// is killed and begun again. Each start that was acknowledged ends once, and the server's own
// count is one start for each session.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	rouse, studio := build(t)
	w := &killedWorld{t: t, rnd: scale.Rand(scale.Seed(t)), rouse: rouse, studio: studio, sum: map[string]int{}, acked: map[string]string{}}
	w.faults = []string{"-boot", "300ms"}
	w.place()
	askers, each, kills := scale.Of(t, 8, 20, 50), scale.Of(t, 5, 10, 20), scale.Of(t, 3, 5, 10)

	var mu sync.Mutex
	acked := map[string]string{} // operations by session
	var refused, asked atomic.Int32
	run := child.Start(t, w.command("run"), nil)
	var askersEnd sync.WaitGroup
	for a := range askers {
		askersEnd.Go(func() {
			for i := range each {
				session := fmt.Sprintf("ws-%d-%d", a, i)
				out, err := w.command("start", "lab", session, "--json").Output()
				asked.Add(1)
				if err != nil {
					refused.Add(1)
					if code, said := exitOf(err); code != exitLocked {
						t.Errorf("rouse start lab %s: exit status %d, want 0 or %d: %s", session, code, exitLocked, said)
					}
					continue
				}
				var op engine.Operation
				if err := json.Unmarshal(out, &op); err != nil {
					t.Errorf("rouse start lab %s printed %s: %v", session, out, err)
					continue
				}
				mu.Lock()
				acked[session] = string(op.ID)
				mu.Unlock()
			}
		})
	}
	all := int32(askers * each)
	for k := range int32(kills) { // at times that spread over the work
		for asked.Load() < all*(k+1)/int32(kills+2) {
			time.Sleep(5 * time.Millisecond) // real processes: real time
		}
		if !run.Kill() {
			t.Fatalf("rouse run ended by itself: %v", run.Wait())
		}
		run = child.Start(t, w.command("run"), nil)
	}
	askersEnd.Wait()
	run.Signal(os.Interrupt)
	if err := run.Wait(); err != nil {
		t.Errorf("rouse run, interrupted: %v", err)
	}
	if out, err := w.command("run", "--until-idle", "--for", "2m").CombinedOutput(); err != nil {
		t.Fatalf("rouse run --until-idle: %v\n%s", err, out)
	}
	t.Logf("%d starts by %d processes at a time, %d kills: %d not acknowledged", all, askers, kills, refused.Load())
	w.acked = acked
	w.ends()
	w.server.Signal(os.Interrupt)
	if err := w.server.Wait(); err != nil {
		t.Errorf("the server, asked to end: %v", err)
	}
	for name, n := range w.starts() {
		_, session, _ := strings.Cut(name, " ")
		if n > 1 || n == 0 && acked[session] != "" {
			t.Errorf("the server started %s %d times", name, n)
		}
	}
	if sockets, err := filepath.Glob(filepath.Join(filepath.Dir(w.state), "*.sock")); err != nil || len(sockets) > 0 {
		t.Errorf("sockets that no process serves are left: %v, %v", sockets, err)
	}
}

// TestOverlappingStarts: processes that ask for the same sessions at once, while another
// runs the engine, are all acknowledged, and each session has one operation.
func TestOverlappingStarts(t *testing.T) {
	t.Parallel()
	provider, env := fixture(t, time.Hour)
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	launch(t, env, "start", "lab", "first").exit(0)
	holder := launch(t, env, "run")
	holder.until("STARTING")
	var calls sync.WaitGroup
	for i := range 10 {
		calls.Go(func() {
			for j := range 3 {
				p := launch(t, env, "start", "lab", "ws-"+strconv.Itoa((i+j)%4))
				p.exit(0)
			}
		})
	}
	calls.Wait()
	ls := launch(t, env, "ls", "--json")
	ls.exit(0)
	if n := strings.Count(ls.out.String(), "\n"); n != 5 {
		t.Errorf("%d operations, want 5:\n%s", n, ls.out)
	}
	holder.interrupt()
	holder.exit(0)
}
