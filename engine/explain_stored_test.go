package engine

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// What a Run finds out about a wait is shown while the Run goes on, and stored for later.

// scripted is a provider that answers with the results of its functions.
type scripted struct {
	start func() (transport.Session, error)
	get   func() transport.Session
}

func (s *scripted) Start(_ context.Context, in transport.StartInput) (transport.Session, error) {
	out, err := s.start()
	out.Ref = in.Ref
	return out, err
}

func (s *scripted) Get(_ context.Context, ref Ref) (transport.Session, error) {
	out := s.get()
	out.Ref = ref
	return out, nil
}

func boots() (transport.Session, error) {
	return transport.Session{State: fsm.StateStartInProgress, StatusCode: "pending"}, nil
}

// deaf returns a session that runs, but whose port does not answer because of cause.
func deaf(cause string) transport.Session {
	const target = "port 22 (ssh) of 10.0.0.5"
	return transport.Session{
		State: fsm.StateStartInProgress, StatusCode: "PROBE_UNANSWERED", StatusMessage: "running, but " + target + " does not answer: " + cause,
		Probe: transport.ProbeResult{Target: target, Message: cause, At: time.Now().UTC()},
	}
}

// TestSilentPortIsExplained: the instance runs, and its port does not answer. Explain and
// Watch say so during a Run, and Explain after it. Each change is written once, not for
// each poll.
func TestSilentPortIsExplained(t *testing.T) {
	var cause atomic.Value
	cause.Store("connection refused")
	p := &scripted{boots, func() transport.Session { return deaf(cause.Load().(string)) }}
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.close()
		b.open(p)
		id := b.start("ws-1")
		var seen []string
		ctx, stop := context.WithCancel(b.Context())
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for x, err := range b.Watch(ctx, id) {
				if err != nil {
					t.Error(err)
					return
				}
				if n := len(seen); n == 0 || seen[n-1] != x.Seen.Probe.Message {
					seen = append(seen, x.Seen.Probe.Message)
				}
			}
		}()
		b.goRun()
		b.after(5 * time.Minute)
		first := b.op(id)
		b.after(5 * time.Minute)
		if now := b.op(id); now.Version != first.Version {
			t.Errorf("five minutes of the same answers were written %d times", now.Version-first.Version)
		}
		x := b.wantWaiting(id, WaitBooting)
		if x.Seen.Probe.Message != "connection refused" || x.Seen.StatusCode != "PROBE_UNANSWERED" ||
			b.now().Sub(x.Seen.At) > decide.Polls.Most+decide.Polls.Most/decide.JitterPart || x.Seen.Since.After(x.Operation.AcceptedAt.Add(5*time.Second)) {
			t.Errorf("the session is shown as %+v at %v", x.Seen, b.now())
		}
		if !strings.Contains(x.Text, "port 22 (ssh) of 10.0.0.5 does not answer: connection refused, read at ") {
			t.Errorf("Text is %q", x.Text)
		}
		cause.Store("no route to host")
		b.after(2 * time.Minute)
		if now := b.op(id); now.Version != first.Version+1 {
			t.Errorf("one change of the answer was written %d times", now.Version-first.Version)
		}
		b.end()
		stop()
		<-watched
		if want := []string{"", "connection refused", "no route to host"}; fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("Watch showed the port probe as %q, want %q", seen, want)
		}
		b.close()
		b.open(p)
		x = b.wantWaiting(id, WaitNotRunning)
		if x.Also != WaitBooting || x.Seen.Probe.Message != "no route to host" || x.Seen.At.IsZero() || !strings.Contains(x.Text, "no route to host") {
			t.Errorf("after the Run: %q, then %q, %+v", x.Text, x.Also, x.Seen)
		}
	})
}

// TestShortRunStoresTheProbe: a silent port replaces the boot's own message, and the Run
// ends soon after. Explain reports the port after that Run too.
func TestShortRunStoresTheProbe(t *testing.T) {
	var up atomic.Bool
	p := &scripted{boots, func() transport.Session {
		if up.Load() {
			return deaf("connection refused")
		}
		return transport.Session{State: fsm.StateStartInProgress, StatusMessage: "POST 3 of 7"}
	}}
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.close()
		b.open(p)
		id := b.start("ws-1")
		b.goRun()
		b.after(2 * time.Second)
		up.Store(true)
		b.after(3 * time.Second)
		b.end()
		if x := b.wantWaiting(id, WaitNotRunning); x.Seen.Probe.Message != "connection refused" {
			t.Errorf("after a Run of five seconds the session is shown as %+v", x.Seen)
		}
	})
}

// TestStatusThatChangesAlways: a status text that changes at each poll is not written at
// each poll.
func TestStatusThatChangesAlways(t *testing.T) {
	var n atomic.Int64
	p := &scripted{boots, func() transport.Session { return deaf(fmt.Sprint("try ", n.Add(1))) }}
	scenario(t, studio.Config{}, Config{BootTimeout: 2 * time.Hour}, func(b *bench) {
		b.close()
		b.open(p)
		id := b.start("ws-1")
		b.goRun()
		b.after(time.Second)
		before := b.op(id).Version
		b.after(100 * time.Minute)
		if wrote := b.op(id).Version - before; n.Load() < 400 || wrote > 60 {
			t.Errorf("%d polls, and %d writes", n.Load(), wrote)
		}
		if x := b.wantWaiting(id, WaitBooting); x.Seen.Probe.Message != fmt.Sprint("try ", n.Load()) {
			t.Errorf("it shows %q after %d polls", x.Seen.Probe.Message, n.Load())
		}
	})
}

// blocks is a store that counts changes and the writes of blocks.
type blocks struct {
	store.Store
	n, changes atomic.Int64
}

func (s *blocks) SetBlock(ctx context.Context, lane string, b store.Block) error {
	s.n.Add(1)
	return s.Store.SetBlock(ctx, lane, b)
}

func (s *blocks) Apply(ctx context.Context, cs []store.Change) ([]error, error) {
	s.changes.Add(int64(len(cs)))
	return s.Store.Apply(ctx, cs)
}

// TestRefusalSurvivesTheRun: the reason why a start waits is shown after the Run, and stored
// with the end that it leads to.
func TestRefusalSurvivesTheRun(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    *transport.Error
		then   WaitReason
		writes int64 // of the lane's block
		tried  bool  // attempts are charged
	}{
		{"wrong region", &transport.Error{Kind: transport.KindUnreachable, NotSent: true, Message: "lookup ec2.eu-nowhere-1.amazonaws.com: no such host"}, WaitOffline, 1, false},
		{"credentials", &transport.Error{Kind: transport.KindCredentials, Code: "ExpiredTokenException"}, WaitCredentials, 1, false},
		{"capacity", &transport.Error{Kind: transport.KindCapacity, Code: "InsufficientInstanceCapacity"}, WaitCapacity, 0, true},
		{"quota", &transport.Error{Kind: transport.KindQuotaExceeded, Code: "VcpuLimitExceeded"}, WaitQuota, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var refused atomic.Bool
			refused.Store(true)
			cfg := studio.Config{Intercept: func(studio.Call) studio.Fault {
				if refused.Load() {
					return studio.Fault{Err: c.err}
				}
				return studio.Fault{}
			}}
			scenario(t, cfg, Config{}, func(b *bench) {
				s := &blocks{}
				b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
				b.restart()
				id := b.start("ws-1", func(r *Request) { r.ExpiresAt = b.now().Add(10 * time.Hour) })
				other := b.start("ws-2")
				b.goRun()
				b.after(10 * time.Second)
				began := b.wantWaiting(id, c.then).Since
				b.after(time.Hour)
				live := b.wantWaiting(id, c.then)
				if !live.Since.Equal(began) {
					t.Errorf("it waits since %v, and an hour later since %v", began, live.Since)
				}
				if live.Next.Before(b.now()) {
					t.Errorf("the next step is shown at %v, but it is %v", live.Next, b.now())
				}
				if n := s.n.Load(); n != c.writes {
					t.Errorf("the lane's block was written %d times, want %d", n, c.writes)
				}
				b.restart()
				x := b.wantWaiting(id, WaitNotRunning)
				if x.Also != c.then || !x.AlsoSince.Equal(began) || x.Error != live.Error || x.Error == "" || x.ErrorAt.IsZero() ||
					x.Operation.Attempts > 0 != c.tried || c.tried && x.Next.Before(b.now()) {
					t.Errorf("after the Run: then %q since %v (%v), error %q (%q) at %v, next %v: %s", x.Also, x.AlsoSince, began, x.Error, live.Error, x.ErrorAt, x.Next, x.Text)
				}
				if !strings.Contains(x.Text, c.err.Code+c.err.Message) {
					t.Errorf("Text is %q", x.Text)
				}
				// The next Run keeps the reason, and the start expires.
				b.goRun()
				b.after(time.Minute)
				if again := b.wantWaiting(id, c.then); !again.Since.Equal(began) {
					t.Errorf("another Run says since %v, want %v", again.Since, began)
				}
				b.after(10 * time.Hour)
				b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
				if op := b.op(id); op.LastError != live.Error || op.LastKind != c.err.Kind {
					t.Errorf("it expired with the error %q (%v), want %q", op.LastError, op.LastKind, live.Error)
				}
				var last Event
				for ev, err := range b.Events(b.Context(), "") {
					if err != nil {
						t.Fatal(err)
					}
					if ev.Operation == id {
						last = ev
					}
				}
				if last.To != fsm.PhaseExpired || last.Error != live.Error {
					t.Errorf("the last event is %+v, want the error %q", last, live.Error)
				}
				refused.Store(false)
				b.all([]ID{other})
				if l, err := b.store.Lane(b.Context(), "studio"); err != nil || l.Block != (store.Block{}) {
					t.Errorf("after a good answer the lane's record says %+v, %v", l.Block, err)
				}
			})
		})
	}
}

// TestFlappingLaneIsNotWrittenEachTime: a lane that is blocked and unblocked with
// each call costs at most two writes in ten seconds.
func TestFlappingLaneIsNotWrittenEachTime(t *testing.T) {
	cfg := studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindUnreachable, NotSent: true}}
		}
		return studio.Fault{}
	}}
	scenario(t, cfg, Config{}, func(b *bench) {
		s := &blocks{}
		b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
		b.restart()
		b.startMany("studio", 300)
		b.goRun()
		b.after(10 * time.Minute)
		const most = 2*60 + 2
		sends, writes := b.wire.starts.Load(), s.n.Load()
		if sends <= most {
			t.Errorf("%d sends in ten minutes: too few to block the lane more than %d times", sends, most)
		}
		if writes > most {
			t.Errorf("%d sends in ten minutes, and %d writes of the block, want at most %d", sends, writes, most)
		}
	})
}

// TestExpiredUnsentSaysWhy: an operation that was never sent ends with the reason for that.
func TestExpiredUnsentSaysWhy(t *testing.T) {
	soon := func(b *bench) func(*Request) {
		return func(r *Request) { r.ExpiresAt = b.now().Add(time.Hour) }
	}
	t.Run("paused", func(t *testing.T) {
		scenario(t, studio.Config{}, Config{}, func(b *bench) {
			id := b.start("ws-1", soon(b))
			if err := b.Pause(b.Context(), "studio", "mo"); err != nil {
				t.Fatal(err)
			}
			b.goRun()
			b.after(2 * time.Hour)
			b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
			if got := b.op(id).LastError; got != "lane studio is paused by mo" {
				t.Errorf("it expired with %q", got)
			}
		})
	})
	t.Run("nothing ran", func(t *testing.T) {
		scenario(t, studio.Config{}, Config{}, func(b *bench) {
			id := b.start("ws-1", soon(b))
			b.after(2 * time.Hour)
			b.goRun()
			b.after(time.Hour)
			b.want(id, fsm.PhaseExpired, store.ReasonExpired, 0)
			if got := b.op(id).LastError; !strings.Contains(got, ", after the expiry") {
				t.Errorf("it expired with %q", got)
			}
		})
	})
}

// TestShortageIsInTheFeed: the feed reports a shortage once for each change of reason. A
// provider whose refusals alternate does not fill the feed.
func TestShortageIsInTheFeed(t *testing.T) {
	kinds := func(n int64) transport.Kind { return transport.KindCapacity }
	both := func(n int64) transport.Kind {
		return []transport.Kind{transport.KindCapacity, transport.KindQuotaExceeded}[n%2]
	}
	turned := func(n int64) transport.Kind {
		if n < 5 {
			return transport.KindQuotaExceeded
		}
		return transport.KindCapacity
	}
	for name, c := range map[string]struct {
		kind func(int64) transport.Kind
		want []store.Reason // the first of them
		most int
	}{
		"capacity":    {kinds, []store.Reason{store.ReasonNoCapacity}, 1},
		"then quota":  {turned, []store.Reason{store.ReasonQuotaExceeded, store.ReasonNoCapacity}, 2},
		"alternating": {both, []store.Reason{store.ReasonNoCapacity, store.ReasonQuotaExceeded, store.ReasonNoCapacity}, decide.MaxShortages},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			cfg := studio.Config{Intercept: func(s studio.Call) studio.Fault {
				if s.Action != studio.Start {
					return studio.Fault{}
				}
				return studio.Fault{Err: &transport.Error{Kind: c.kind(n.Add(1) - 1), Code: "Short"}}
			}}
			scenario(t, cfg, Config{}, func(b *bench) {
				id := b.start("ws-1")
				b.goRun()
				b.after(23 * time.Hour)
				var got []store.Reason
				for ev, err := range b.Events(b.Context(), "") {
					if err != nil {
						t.Fatal(err)
					}
					if ev.From == ev.To && ev.Operation == id {
						got = append(got, ev.Reason)
						if !strings.Contains(ev.Error, "Short") || ev.To != fsm.PhaseQueued {
							t.Errorf("the event %+v has no error", ev)
						}
					}
				}
				if len(got) != c.most || fmt.Sprint(got[:len(c.want)]) != fmt.Sprint(c.want) {
					t.Errorf("after %d attempts the feed has %q, want %d that begin with %q", n.Load(), got, c.most, c.want)
				}
			})
		})
	}
}

// TestWatchShowsEachRefusal: 35 minutes of capacity refusals.
func TestWatchShowsEachRefusal(t *testing.T) {
	cfg := studio.Config{Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindCapacity}}
		}
		return studio.Fault{}
	}}
	scenario(t, cfg, Config{}, func(b *bench) {
		b.goRun()
		id := b.start("ws-1")
		ctx, stop := context.WithTimeout(b.Context(), 35*time.Minute)
		defer stop()
		yields, most := 0, 0
		var since time.Time
		for x, err := range b.Watch(ctx, id) {
			if err != nil {
				t.Fatal(err)
			}
			yields++
			if x.Operation.Attempts == 0 || x.Operation.Sent != store.SentNo { // a send is under way
				continue
			}
			if x.Waiting != WaitCapacity {
				t.Errorf("after %d refusals it waits for %q: %s", x.Operation.Attempts, x.Waiting, x.Text)
			}
			if since.IsZero() {
				since = x.Since
			}
			if !x.Since.Equal(since) {
				t.Errorf("it waits since %v, and now since %v", since, x.Since)
			}
			if x.Operation.Attempts > most {
				if most = x.Operation.Attempts; x.Next.Before(b.now()) {
					t.Errorf("after refusal %d, at %v, the next step is at %v", most, b.now(), x.Next)
				}
			}
			for _, no := range []string{"next step now", " in ", "ago"} {
				if strings.Contains(x.Text, no) {
					t.Errorf("Text has %q: %s", no, x.Text)
				}
			}
		}
		if n := int(b.wire.starts.Load()); most != n || n < 5 || yields > 3*n {
			t.Errorf("%d refusals, %d of them shown by %d yields", n, most, yields)
		}
	})
}

// TestCommitsOfOneStart: a start that succeeds at the first try is four commits.
func TestCommitsOfOneStart(t *testing.T) {
	scenario(t, studio.Config{Boot: 10 * time.Minute}, Config{}, func(b *bench) {
		s := &blocks{}
		b.wrap = func(under store.Store) store.Store { s.Store = under; return s }
		b.restart()
		id := b.start("ws-1")
		b.goRun()
		b.all([]ID{id})
		if op := b.op(id); s.changes.Load() != 3 || op.Version != 4 || s.n.Load() != 0 {
			t.Errorf("%d changes after the request, version %d, %d writes of the lane; want 3, 4 and none", s.changes.Load(), op.Version, s.n.Load())
		}
	})
}

// TestStoredNextOfAWrongClock: after a Run whose clock was ahead, Explain does not show a due
// time of that clock as the next attempt.
func TestStoredNextOfAWrongClock(t *testing.T) {
	cfg := studio.Config{Intercept: func(studio.Call) studio.Fault {
		return studio.Fault{Err: &transport.Error{Kind: transport.KindCapacity}}
	}}
	scenario(t, cfg, Config{}, func(b *bench) {
		b.skew.Store(int64(9 * time.Hour))
		b.goRun()
		id := b.start("ws-1")
		b.after(10 * time.Minute)
		b.restart()
		b.skew.Store(0)
		if x := b.wantWaiting(id, WaitNotRunning); x.Also != WaitCapacity || x.Next.Sub(b.now()) > decide.Longest || x.AlsoSince.After(b.now()) {
			t.Errorf("the next attempt is shown in %v: %s", x.Next.Sub(b.now()), x.Text)
		}
	})
}
