package studio_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestLimits checks that quota and capacity count the sessions that run. A session that
// has stopped does not count, even if it was not read since.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config studio.Config
		want   transport.Kind
	}{
		{studio.Config{Quota: 2}, transport.KindQuotaExceeded},
		{studio.Config{Capacity: 2}, transport.KindCapacity},
		{studio.Config{Quota: 2, Capacity: 3}, transport.KindQuotaExceeded},
		{studio.Config{Quota: 3, Capacity: 2}, transport.KindCapacity},
	} {
		t.Run(fmt.Sprintf("%+v", test.want), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				test.config.Boot, test.config.Stop = time.Minute, time.Minute
				s := with(test.config, 3)
				for i := range 2 {
					if _, err := start(t, s, ws(i), fmt.Sprint(i)); err != nil {
						t.Fatal(err)
					}
				}
				_, err := start(t, s, ws(2), "2")
				wantKind(t, "one too many", err, test.want)
				_, err = s.Create(t.Context(), model.CreateInput{StudioID: "other", ClientToken: "2"})
				wantKind(t, "creating one too many", err, test.want)
				if _, err := start(t, s, ws(0), "0"); err != nil {
					t.Errorf("a repeat takes no room: %v", err)
				}
				_, err = start(t, s, ws(0), "new")
				wantKind(t, "a start of what runs", err, transport.KindConflict)

				time.Sleep(time.Minute)
				if _, err := s.Stop(t.Context(), transport.StopInput{Ref: ws(0), ClientToken: "0"}); err != nil {
					t.Fatal(err)
				}
				_, err = start(t, s, ws(2), "2")
				wantKind(t, "while the other stops", err, test.want)
				time.Sleep(time.Minute)
				if _, err := start(t, s, ws(2), "2"); err != nil {
					t.Errorf("there is room again: %v", err)
				}
			})
		})
	}
}

// TestRoomIsExact compares the count of running sessions with the list. A random history
// makes every kind of change.
func TestRoomIsExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const quota = 3
		r := rand.New(rand.NewPCG(1, 2))
		s := studio.New(studio.Config{Boot: time.Minute, Stop: time.Minute, Quota: quota})
		states := append(fsm.States(), "FROM_THE_FUTURE")
		refused := 0
		for i := range 3000 {
			ref, token := ws(r.IntN(8)), fmt.Sprint(i)
			running := 0
			out, err := s.List(t.Context(), transport.ListInput{StudioID: "lab"})
			if err != nil {
				t.Fatal(err)
			}
			for _, session := range out.Sessions {
				switch session.State {
				case fsm.StateCreateInProgress, fsm.StateStartInProgress, fsm.StateReady, fsm.StateStopInProgress, fsm.StateStopFailed:
					running++
				}
			}
			switch r.IntN(6) {
			case 0:
				s.Put(transport.Session{Ref: ref, State: states[r.IntN(len(states))]})
			case 1:
				_, _ = s.Stop(t.Context(), transport.StopInput{Ref: ref, ClientToken: token})
			case 2:
				_, _ = s.Delete(t.Context(), model.DeleteInput{Ref: ref, ClientToken: token})
			case 3:
				time.Sleep(time.Duration(r.Int64N(int64(40 * time.Minute))))
			default:
				_, err := start(t, s, ref, token)
				if over := errors.Is(err, transport.KindQuotaExceeded); (over && running < quota) || (err == nil && running >= quota) {
					t.Fatalf("step %d: %d run, and Start says %v", i, running, err)
				} else if over {
					refused++
				}
			}
		}
		if refused == 0 {
			t.Error("the history never met the quota")
		}
	})
}

// TestThrottle checks that a call after RetryAfter is allowed.
func TestThrottle(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []float64{0.5, 1, 2.5, 10} {
		t.Run(fmt.Sprint(perSecond), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := with(studio.Config{Throttle: perSecond}, 1)
				began, allowed, refused := time.Now(), 0, 0
				for allowed < 40 {
					_, err := s.Get(t.Context(), ws(0))
					if err == nil {
						allowed++
						continue
					}
					e := wantKind(t, "too fast", err, transport.KindThrottled)
					if refused++; e.RetryAfter <= 0 {
						t.Fatalf("%v does not say when to come again", err)
					}
					time.Sleep(e.RetryAfter)
				}
				most := perSecond*time.Since(began).Seconds() + max(1, perSecond) + 1
				if float64(allowed) > most || refused == 0 || refused > allowed+1 {
					t.Errorf("%d calls in %v, %d refused; want at most %.1f", allowed, time.Since(began), refused, most)
				}
			})
		})
	}
}

func TestOffline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := with(studio.Config{Latency: 10 * time.Second}, 3)
		s.SetOffline(true)
		began := time.Now()
		_, err := start(t, s, ws(0), "0")
		if e := wantKind(t, "offline", err, transport.KindUnreachable); !e.NotSent || time.Since(began) != 0 {
			t.Errorf("offline: %v, not sent %v, after %v", err, e.NotSent, time.Since(began))
		}
		s.SetOffline(false)

		// One call was cut before its effect, and one after it.
		for i, cutAt := range []time.Duration{time.Second, 9 * time.Second} {
			time.AfterFunc(cutAt, func() { s.SetOffline(true) })
			_, err = start(t, s, ws(i), fmt.Sprint(i))
			if e := wantKind(t, "cut", err, transport.KindUnknown); e.NotSent {
				t.Errorf("cut after %v: %v claims that nothing was sent", cutAt, err)
			}
			s.SetOffline(false)
			if n := s.Effects(ws(i)); n != i {
				t.Errorf("cut after %v: %d starts, want %d", cutAt, n, i)
			}
		}
		if n := s.Calls(studio.Start); n != 2 {
			t.Errorf("%d calls reached the studio, want 2", n)
		}
	})
}

func TestContexts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := with(studio.Config{Latency: 10 * time.Second}, 3)
		for i, patience := range []time.Duration{0, time.Second, 9 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			began := time.Now()
			_, err := s.Start(ctx, transport.StartInput{Ref: ws(i), ClientToken: fmt.Sprint(i)})
			cancel()
			e := wantKind(t, "impatient", err, transport.KindUnknown)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != patience || e.NotSent != (patience == 0) {
				t.Errorf("patience %v: %v after %v, not sent %v", patience, err, time.Since(began), e.NotSent)
			}
			if want := i / 2; s.Effects(ws(i)) != want { // only the last start had its effect
				t.Errorf("patience %v: %d starts, want %d", patience, s.Effects(ws(i)), want)
			}
		}
	})
}

// TestIntercept checks each fault, selected by action, session and count.
func TestIntercept(t *testing.T) {
	t.Parallel()
	denied := &transport.Error{Kind: transport.KindAccessDenied}
	for name, test := range map[string]struct {
		fault   studio.Fault
		want    error
		effects int
		takes   time.Duration
	}{
		"nothing":           {studio.Fault{}, nil, 1, 0},
		"refused":           {studio.Fault{Err: denied}, transport.KindAccessDenied, 0, 0},
		"answer lost":       {studio.Fault{Lost: true}, transport.KindUnknown, 1, 0},
		"request lost":      {studio.Fault{Lost: true, Err: denied}, transport.KindUnknown, 0, 0},
		"slow":              {studio.Fault{Delay: time.Minute}, nil, 1, time.Minute},
		"hangs":             {studio.Fault{Delay: 24 * time.Hour}, context.DeadlineExceeded, 0, time.Hour},
		"accepted in vain":  {studio.Fault{StatusCode: "INTERNAL_ERROR"}, nil, 1, 0},
		"slow, then denied": {studio.Fault{Delay: time.Second, Err: denied}, transport.KindAccessDenied, 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := with(studio.Config{Intercept: func(c studio.Call) studio.Fault {
					if c.Action == studio.Start && c.Ref == ws(1) && c.ClientToken == "b" {
						return test.fault
					}
					return studio.Fault{}
				}}, 3)
				if _, err := start(t, s, ws(2), "a"); err != nil {
					t.Fatalf("another session suffers: %v", err)
				}
				wantState(t, s, ws(1), fsm.StateStopped) // other actions have no fault
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				began := time.Now()
				_, err := s.Start(ctx, transport.StartInput{Ref: ws(1), ClientToken: "b"})
				if !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if took := time.Since(began); took != test.takes || s.Effects(ws(1)) != test.effects {
					t.Errorf("%d starts after %v, want %d after %v", s.Effects(ws(1)), took, test.effects, test.takes)
				}
			})
		})
	}
}

// TestNth checks that calls are counted per session and action. A call without a session
// is counted per action. Intercept may call the studio.
func TestNth(t *testing.T) {
	t.Parallel()
	var got []string
	var s *studio.Studio
	s = studio.New(studio.Config{Intercept: func(c studio.Call) studio.Fault {
		got = append(got, fmt.Sprintf("%s %s %d %d", c.Action, c.Ref.SessionID, c.Nth, s.Calls(c.Action)))
		return studio.Fault{}
	}})
	s.Add("lab", "a", "b")
	for _, id := range []string{"a", "b", "a", "none", "none"} {
		_, _ = s.Get(t.Context(), transport.Ref{StudioID: "lab", SessionID: id})
	}
	_, _ = start(t, s, transport.Ref{StudioID: "lab", SessionID: "a"}, "x")
	_, _ = s.List(t.Context(), transport.ListInput{StudioID: "lab"})
	_, _ = s.List(t.Context(), transport.ListInput{StudioID: "other"})
	want := []string{"Get a 1 1", "Get b 1 2", "Get a 2 3", "Get none 4 4", "Get none 5 5", "Start a 1 1", "List  1 1", "List  2 2"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if name := studio.Action(99).String(); name != "Action(99)" || s.Calls(99) != 0 {
		t.Errorf("an action that there is not is %q, called %d times", name, s.Calls(99))
	}
}

// TestFault checks that Fault loses the right share of answers, with and without effect.
// It loses the same answers in any order of sessions.
func TestFault(t *testing.T) {
	t.Parallel()
	const n = 2000
	lost := func(seed uint64, order []int) map[int]bool {
		s := with(studio.Config{Fault: 0.2, Seed: seed}, n)
		var mu sync.Mutex
		out := map[int]bool{}
		var wg sync.WaitGroup
		for part := range slices.Chunk(order, n/8) {
			wg.Go(func() {
				for _, i := range part {
					_, err := start(t, s, ws(i), fmt.Sprint(i))
					if err != nil && !errors.Is(err, transport.KindUnknown) {
						t.Errorf("%v, want an answer or none", err)
					}
					if s.Effects(ws(i)) != 1 {
						t.Errorf("started %d times, error %v", s.Effects(ws(i)), err)
					}
					mu.Lock()
					out[i] = err != nil
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return out
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	first := lost(1, order)
	slices.Reverse(order)
	if again := lost(1, order); !maps.Equal(first, again) {
		t.Error("one seed loses different answers in another order")
	}
	if other := lost(2, order); maps.Equal(first, other) {
		t.Error("two seeds lose the same answers")
	}
	count := 0
	for _, is := range first {
		if is {
			count++
		}
	}
	if count < n*15/100 || count > n*25/100 {
		t.Errorf("lost %d of %d answers, want about a fifth", count, n)
	}
	for _, p := range []float64{-1, 1, 2} {
		s := with(studio.Config{Fault: p}, 1)
		if _, err := s.Get(t.Context(), ws(0)); (err != nil) != (p > 0) {
			t.Errorf("probability %v: %v", p, err)
		}
	}
}
