package ec2_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"
)

// life is what a host does to one instance before it is killed.
type life struct {
	out  []string // the types that EC2 lacks
	back bool     // Config.PutTypeBack
	// before prepares the instance. The host calls live again and again until it
	// succeeds.
	before func(*market, string)
	live   func(context.Context, *ec2.Transport, string) error
	kind   string // the type in the end
	starts int
}

func begin(ctx context.Context, tr *ec2.Transport, id string) error {
	return pursue(ctx, tr, id, "token", 4)
}

// ran prepares an instance that has run as another type.
func ran(m *market, id string) {
	m.record(id, "changed t3.micro to t3.small launched 2025-12-31T00:00:00Z by dead")
	m.become(id, second)
}

// TestCut kills the host at each of its calls, before and after the effect. Then it kills
// the next host at each of its calls. The instance is started once, with the right type,
// and its record is complete.
func TestCut(t *testing.T) {
	t.Parallel()
	lives := map[string]life{
		"the next type":                      {out: []string{own}, live: begin, kind: second, starts: 1},
		"the one after it":                   {out: []string{own, second}, live: begin, kind: third, starts: 1},
		"own type by the start":              {back: true, before: ran, live: begin, kind: own, starts: 1},
		"own type by the start, no capacity": {out: []string{own}, back: true, before: ran, live: begin, kind: second, starts: 1},
		"own type by the stop": {back: true, before: ran, kind: own, live: func(ctx context.Context, tr *ec2.Transport, id string) error {
			_, err := tr.Stop(ctx, transport.StopInput{Ref: ref(id)})
			return err
		}},
		"no capacity for any type": {out: []string{own, second, third}, kind: own, live: func(ctx context.Context, tr *ec2.Transport, id string) error {
			var last error
			for range 4 { // each is a whole round, wherever it begins
				if _, last = tr.Start(ctx, start(id)); ctx.Err() != nil || !errors.Is(last, transport.KindCapacity) {
					return errors.Join(errors.New("not a refusal"), last)
				}
				if strings.HasSuffix(strings.Split(last.Error(), " (")[0], "its type is now t3.micro") {
					return nil
				}
			}
			return last
		}},
	}
	for name, l := range lives {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newProxy(t, newRAM(t)).market(l.out...).cutEverywhere(l, scale.Of(t, 1, 30, 30))
		})
	}
	t.Run("over moto", func(t *testing.T) {
		t.Parallel()
		if scale.Of(t, 0, 1, 1) == 0 {
			t.Skip("moto is slow; ROUSE_TEST=ci runs this")
		}
		newMarket(t, own).cutEverywhere(lives["the next type"], 0)
	})
}

// cutEverywhere cuts a life at each of its calls, and the next life at up to so many of
// its calls.
func (m *market) cutEverywhere(l life, most int) {
	cuts := 0
	for first, came := 1, true; came && !m.t.Failed(); first++ {
		came = false
		for second := 0; second <= most; second++ {
			for _, after := range []bool{false, true} {
				one, both := m.lived(l, after, first, second)
				if cuts++; one {
					came = true
				}
				if second > 0 && !both {
					second = most // the next life has no more calls
				}
			}
		}
	}
	m.t.Logf("%d lives", cuts)
}

// lived runs a life that is cut at call first, and the next life, which is cut at call
// second; 0 means not cut. It reports whether the first cut happened, and whether both
// did.
func (m *market) lived(l life, after bool, first, second int) (one, both bool) {
	m.t.Helper()
	id := m.stopped(1, nil)[0]
	if l.before != nil {
		l.before(m, id)
	}
	cfg := others
	cfg.PutTypeBack = l.back
	cuts := 0
	for _, at := range []int{first, second, 0} {
		err := m.killedAt(at, after, func(ctx context.Context) error { return l.live(ctx, m.open(cfg), id) })
		switch {
		case at > 0 && errors.Is(err, context.Canceled):
			cuts++
		case at == first && cuts == 0:
			return false, false
		case err != nil:
			m.t.Errorf("cut at call %d and %d, after the effect %v: then %v", first, second, after, err)
		}
	}
	m.want(id, l.kind, l.starts)
	if m.t.Failed() {
		m.t.Logf("cut at call %d and %d, after the effect %v", first, second, after)
	}
	return cuts > 0, cuts > 1
}

// killedAt runs live until its call number at, counted from one. That call gets no
// answer, and no call follows it.
func (m *market) killedAt(at int, after bool, live func(context.Context) error) error {
	ctx, kill := context.WithCancel(m.t.Context())
	defer kill()
	var mu sync.Mutex
	n := 0
	m.fault = func(request) *fault {
		mu.Lock()
		defer mu.Unlock()
		if n++; n != at {
			return nil
		}
		return &fault{drop: !after, lose: after, then: kill}
	}
	defer func() { m.fault = nil }()
	err := live(ctx)
	if ctx.Err() != nil {
		return errors.Join(context.Canceled, err)
	}
	return err
}

// TestTwoHosts lets two hosts begin the same start at once. Each host undoes the change
// of the other host. The instance is started once, and its own type is not lost.
func TestTwoHosts(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprintf("back=%v", back), func(t *testing.T) {
			t.Parallel()
			m := newProxy(t, newRAM(t)).market(own, second)
			m.careless = true
			cfg := others
			cfg.PutTypeBack = back
			for range scale.Of(t, 20, 400, 20_000) {
				id := m.stopped(1, nil)[0]
				if back {
					ran(m, id)
				}
				var wg sync.WaitGroup
				for _, token := range []string{"one", "two"} {
					wg.Go(func() {
						if err := pursue(t.Context(), m.open(cfg), id, token, 20); err != nil {
							t.Errorf("%s: %v", token, err)
						}
					})
				}
				wg.Wait()
				m.want(id, third, 1)
				if t.Failed() {
					t.Fatalf("they did %q", m.trades())
				}
				m.lock.Lock()
				m.calls = nil
				m.lock.Unlock()
			}
		})
	}
}
