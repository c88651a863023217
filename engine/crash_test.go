package engine_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestCrash kills a host under load with SIGKILL again and again, at random and at each
// point of crashPoints. The provider is another process (this one), loses one answer in
// five, and throttles. After each kill the test opens the file and compares it with what
// was acknowledged and with what the provider did. After all kills of a file one more
// host runs undisturbed, and everything must end.
func TestCrash(t *testing.T) {
	t.Parallel()
	seed, kills := scale.Seed(t), scale.Of(t, 40, 48, 48) // of a file
	sum := crashTally{kills: child.NewKills(crashPoints)}
	var files sync.WaitGroup
	turn := make(chan struct{}, 2) // two files at a time: they mostly wait
	for n := range scale.Times(t, 1, 11, 1042) {
		turn <- struct{}{}
		files.Go(func() {
			defer func() { <-turn }()
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				w := newCrashWorld(t, seed+uint64(n))
				for k := range kills {
					w.kill(k)
				}
				w.finish()
				sum.add(&w.tally)
			})
		})
	}
	files.Wait()
	if !t.Failed() {
		sum.report(t)
	}
}

// crashTally counts what happened.
type crashTally struct {
	mu     sync.Mutex // guards the other fields of a sum
	kills  *child.Kills
	again  int // starts that the provider got again
	starts int
	lost   int64
}

func (c *crashTally) add(w *crashTally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kills.Add(w.kills)
	c.again, c.starts, c.lost = c.again+w.again, c.starts+w.starts, c.lost+w.lost
}

// report logs the counts, and fails the test if it was too easy.
func (c *crashTally) report(t *testing.T) {
	t.Helper()
	t.Logf("%d sessions; %d answers to starts lost, %d starts sent again", c.starts, c.lost, c.again)
	c.kills.Report(t, 10)
	if c.lost < int64(c.starts/10) || c.again == 0 {
		t.Error("hardly an answer was lost, or no start was sent again: the test is too easy")
	}
}

// crashWorld is one file and the provider of its sessions.
type crashWorld struct {
	t        *testing.T
	rnd      *rand.Rand
	path     string
	provider *crashProvider
	server   *httptest.Server
	tally    crashTally
	next     int                  // the first session without a request
	acked    map[int]engine.ID    // by session
	ended    map[engine.ID]ending // the ends in the feed
}

type ending struct {
	phase fsm.Phase
	seq   uint64
}

func newCrashWorld(t *testing.T, seed uint64) *crashWorld {
	w := &crashWorld{
		t: t, rnd: scale.Rand(seed), path: filepath.Join(t.TempDir(), "rouse.db"), provider: newCrashProvider(),
		acked: map[int]engine.ID{}, ended: map[engine.ID]ending{},
	}
	w.tally.kills = child.NewKills(crashPoints)
	w.server = httptest.NewServer(nimble.Handler(w.provider, nimble.HandlerConfig{Credentials: nimble.Keys(crashKeys)}))
	t.Cleanup(w.server.Close)
	return w
}

// host starts a host and records what it acknowledges. open is closed when the host has
// opened the file.
func (w *crashWorld) host(o crashOrder) (p *child.Process, open chan struct{}) {
	o.Path, o.Endpoint, o.Seed = w.path, w.server.URL, w.rnd.Uint64()
	order, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.provider.expect(o.First + o.Count)
	open = make(chan struct{})
	p = child.Start(w.t, child.Self(w.t, crashEnv, string(order)), func(line string) {
		id, session, ok := strings.Cut(line, " ")
		n, err := strconv.Atoi(session)
		switch was := w.acked[n]; {
		case line == "open":
			close(open)
		case !ok || err != nil:
			w.t.Errorf("the host printed %q", line)
		case was != "" && was != engine.ID(id):
			w.t.Errorf("%s was acknowledged as %s, and then as %s", crashToken(n), was, id)
		default:
			w.acked[n] = engine.ID(id)
		}
	})
	return p, open
}

// crashCount is how many sessions a host asks for before it only waits.
const crashCount = crashCallers

// kill lets a host work, kills it, and checks the file that it left.
func (w *crashWorld) kill(n int) {
	w.t.Helper()
	o := crashOrder{First: w.next, Count: crashCount, Nth: 1 + w.rnd.Int64N(4)}
	o.Point = w.tally.kills.Next(n)
	w.provider.arm(o.Point, o.Nth)
	p, open := w.host(o)
	w.provider.host.Store(p)
	there := false
	if o.Point == "" {
		if w.rnd.IntN(5) > 0 { // otherwise at any time since its start
			<-open
		}
		time.Sleep(time.Duration(w.rnd.Int64N(int64(45 * time.Millisecond)))) // a real process: real time
	} else {
		select {
		case <-p.Ended:
			there = true
		case <-time.After(10 * time.Second):
		}
	}
	if !p.Kill() {
		w.t.Fatalf("the host ended by itself: %v", p.Wait())
	}
	w.next += crashCount
	w.tally.kills.Count(o.Point, there, w.inspect())
}

// finish lets the last host end everything, and checks the result.
func (w *crashWorld) finish() {
	w.t.Helper()
	w.provider.arm("", 0)
	w.provider.last.Store(true)
	p, _ := w.host(crashOrder{First: w.next, Last: true})
	if err := p.Wait(); err != nil {
		w.t.Fatalf("the last host: %v", err)
	}
	w.inspect()
	if len(w.acked) != w.next || len(w.ended) != w.next {
		w.t.Errorf("of %d sessions %d were acknowledged, and %d operations ended", w.next, len(w.acked), len(w.ended))
	}
	for n, id := range w.acked {
		if e := w.ended[id]; e.phase != fsm.PhaseSucceeded {
			w.t.Errorf("%s (%s) ended %q", id, crashToken(n), e.phase)
		}
		if effects := w.provider.Effects(crashRef(n)); effects != 1 {
			w.t.Errorf("%s was started %d times", crashRef(n), effects)
		}
	}
	w.tally.starts = w.next
	w.tally.again = w.provider.Calls(studio.Start) - w.next
	w.tally.lost = w.provider.lost.Load()
}

// inspect compares the file with what was acknowledged, with what it held before, and
// with what the provider did. It returns how many operations are stored that were not
// acknowledged.
func (w *crashWorld) inspect() (unsaid int) {
	w.t.Helper()
	s, err := bolt.Open(w.path, bolt.Config{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	ctx := w.t.Context()
	if r, err := s.Check(ctx); err != nil || len(r.Problems) > 0 {
		w.t.Fatalf("the file is not sound: %v, %v", r.Problems, err)
	}
	stored := map[string]store.Operation{}
	for op, err := range s.List(ctx, store.Filter{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if other, twice := stored[op.ClientToken]; twice {
			w.t.Errorf("%s has two operations: %s and %s", op.ClientToken, other.ID, op.ID)
		}
		stored[op.ClientToken] = op
	}
	w.inspectFeed(ctx, s, stored)
	for n := range w.next {
		op, have := stored[crashToken(n)]
		id, acked := w.acked[n]
		if acked && op.ID != id {
			w.t.Errorf("%s was acknowledged as %s, and is %q", crashToken(n), id, op.ID)
		}
		if have && !acked {
			unsaid++
			w.acked[n] = op.ID // from now on it is known
		}
		if effects := w.provider.Effects(crashRef(n)); effects > 1 {
			w.t.Errorf("%s was started %d times", crashRef(n), effects)
		}
	}
	if unconfirmed := w.provider.sentUnconfirmed(); len(unconfirmed) > 0 {
		w.t.Fatalf("sent again without a confirming read: %v", unconfirmed)
	}
	return unsaid
}

// inspectFeed checks that the feed is dense and has not changed, and that feed and
// records agree on what has ended.
func (w *crashWorld) inspectFeed(ctx context.Context, s store.Store, stored map[string]store.Operation) {
	w.t.Helper()
	ended, seq := map[engine.ID]ending{}, uint64(0)
	for after := store.Cursor(""); ; {
		page, err := s.Events(ctx, after, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, ev := range page {
			if seq++; ev.Seq != seq || ev.Reason == store.ReasonCorrupt {
				w.t.Fatalf("event %d (%s) after %d", ev.Seq, ev.Reason, seq-1)
			}
			if ev.To.Ended() {
				if _, twice := ended[ev.Operation]; twice {
					w.t.Errorf("%s has two ends in the feed", ev.Operation)
				}
				ended[ev.Operation] = ending{ev.To, ev.Seq}
			}
			after = ev.Cursor
		}
	}
	for id, was := range w.ended {
		if ended[id] != was {
			w.t.Errorf("%s ended as %v, and now as %v", id, was, ended[id])
		}
	}
	for _, op := range stored {
		if e := ended[op.ID]; op.Phase.Ended() != (e.seq > 0) || op.Phase.Ended() && op.Phase != e.phase {
			w.t.Errorf("%s is %s, and the feed says %q", op.ID, op.Phase, e.phase)
		}
	}
	w.ended = ended
}
