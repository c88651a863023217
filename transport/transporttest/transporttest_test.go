package transporttest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
	"github.com/rouse-dev/rouse/transport/transporttest"
)

// This file tests the suite itself. Each broken transport below must fail the test for
// its fault. A failure is visible only from outside. So the test runs its own program
// again, which runs the suite on one of them.

const brokenEnv = "TRANSPORTTEST_BROKEN"

// wrap is a studio with a fault. It has the optional interfaces, too.
type wrap struct {
	*studio.Studio
	start func(context.Context, transport.StartInput) (transport.Session, error)
	get   func(context.Context, transport.Ref) (transport.Session, error)
	batch func(context.Context, []transport.Ref) ([]transport.Result, error)
	many  func(context.Context, []transport.StartInput) ([]transport.Result, error)
	list  func(context.Context, transport.ListInput) (transport.ListOutput, error)
	tr    func(transport.Ref) transport.Traits
	check func(transport.StartInput) error
}

func (w wrap) CheckStart(in transport.StartInput) error { return w.check(in) }

func (w wrap) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return w.start(ctx, in)
}

func (w wrap) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	return w.get(ctx, ref)
}

func (w wrap) BatchGet(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
	return w.batch(ctx, refs)
}

func (w wrap) BatchStart(ctx context.Context, ins []transport.StartInput) ([]transport.Result, error) {
	return w.many(ctx, ins)
}

// oneByOne is a BatchStart for a provider that has none.
func oneByOne(s *studio.Studio) func(context.Context, []transport.StartInput) ([]transport.Result, error) {
	return func(ctx context.Context, ins []transport.StartInput) ([]transport.Result, error) {
		out := make([]transport.Result, len(ins))
		for i, in := range ins {
			out[i].Session, out[i].Err = s.Start(ctx, in)
		}
		return out, nil
	}
}

func (w wrap) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	return w.list(ctx, in)
}

func (w wrap) Traits(ref transport.Ref) transport.Traits { return w.tr(ref) }

// broken is a fault, and the test that must detect it.
type broken struct {
	seenBy string
	fault  func(s *studio.Studio, w *wrap)
}

func faults() map[string]broken {
	return map[string]broken{
		"none": {"", func(*studio.Studio, *wrap) {}},
		"forgets tokens": {"StartRepeatedByToken", func(s *studio.Studio, w *wrap) {
			var n atomic.Int64
			w.start = func(ctx context.Context, in transport.StartInput) (transport.Session, error) {
				in.ClientToken = fmt.Sprint(in.ClientToken[:min(len(in.ClientToken), 40)], n.Add(1))
				return s.Start(ctx, in)
			}
		}},
		"starts what runs": {"StartOfRunning", func(s *studio.Studio, w *wrap) {
			w.start = func(ctx context.Context, in transport.StartInput) (transport.Session, error) {
				got, err := s.Start(ctx, in)
				if errors.Is(err, transport.KindConflict) {
					s.Put(transport.Session{Ref: in.Ref, State: fsm.StateStopped})
					return s.Start(ctx, in)
				}
				return got, err
			}
		}},
		"answers for another": {"StartMakesReady", func(s *studio.Studio, w *wrap) {
			w.start = func(ctx context.Context, in transport.StartInput) (transport.Session, error) {
				got, err := s.Start(ctx, in)
				got.SessionID += "-other"
				return got, err
			}
		}},
		"local time": {"StartMakesReady", func(s *studio.Studio, w *wrap) {
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := s.Get(ctx, ref)
				got.UpdatedAt = got.UpdatedAt.In(time.FixedZone("here", 3600))
				return got, err
			}
		}},
		"sends bad ids": {"InvalidRefs", func(s *studio.Studio, w *wrap) {
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := s.Get(ctx, ref)
				if errors.Is(err, transport.KindInvalid) {
					err = &transport.Error{Kind: transport.KindInvalid}
				}
				return got, err
			}
		}},
		"checks more than it refuses": {"StartChecker", func(_ *studio.Studio, w *wrap) {
			w.check = func(in transport.StartInput) error { return in.ValidateWords("") }
		}},
		"checks less than it refuses": {"StartChecker", func(_ *studio.Studio, w *wrap) {
			w.check = func(in transport.StartInput) error { return in.Ref.Validate() }
		}},
		"takes any token": {"InvalidTokens", func(s *studio.Studio, w *wrap) {
			w.start = func(ctx context.Context, in transport.StartInput) (transport.Session, error) {
				if transport.CheckToken(in.ClientToken) != nil {
					in.ClientToken = "default"
				}
				return s.Start(ctx, in)
			}
		}},
		"error without kind": {"Missing", func(s *studio.Studio, w *wrap) {
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := s.Get(ctx, ref)
				if err != nil {
					err = fmt.Errorf("get: %s", err.Error())
				}
				return got, err
			}
		}},
		"tells the secret": {"Missing", func(s *studio.Studio, w *wrap) {
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := s.Get(ctx, ref)
				if errors.Is(err, transport.KindNotFound) {
					err = &transport.Error{Kind: transport.KindNotFound, Context: map[string]string{"key": "planted-secret"}}
				}
				return got, err
			}
		}},
		"starts by looking": {"GetChangesNothing", func(s *studio.Studio, w *wrap) {
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				_, _ = s.Start(ctx, transport.StartInput{Ref: ref, ClientToken: "look-" + ref.SessionID})
				return s.Get(ctx, ref)
			}
		}},
		"shares its maps": {"AnswersAreCopies", func(s *studio.Studio, w *wrap) {
			tags := map[string]string{"a": "b"}
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := s.Get(ctx, ref)
				got.Tags = tags
				return got, err
			}
		}},
		"keeps the probe's result": {"ProbeResult", func(_ *studio.Studio, w *wrap) {
			get := w.get
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := get(ctx, ref)
				if !got.Probe.OK {
					got.Probe = transport.ProbeResult{}
				}
				return got, err
			}
		}},
		"a probe of no time": {"ProbeResult", func(_ *studio.Studio, w *wrap) {
			get := w.get
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := get(ctx, ref)
				got.Probe.At = time.Time{}
				return got, err
			}
		}},
		"traits that change": {"Traits", func(s *studio.Studio, w *wrap) {
			var n atomic.Int64
			w.tr = func(ref transport.Ref) transport.Traits {
				tr := s.Traits(ref)
				tr.TokenMemory = time.Duration(n.Add(1))
				return tr
			}
		}},
		"a batch in another order": {"BatchOrder", func(s *studio.Studio, w *wrap) {
			w.batch = func(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
				got, err := s.BatchGet(ctx, refs)
				if len(got) > 1 {
					got[0], got[1] = got[1], got[0]
				}
				return got, err
			}
		}},
		"a batch without the missing": {"BatchOrder", func(s *studio.Studio, w *wrap) {
			w.batch = func(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
				got, err := s.BatchGet(ctx, refs)
				for i, r := range got {
					if r.Err != nil {
						return append(got[:i:i], got[i+1:]...), nil
					}
				}
				return got, err
			}
		}},
		"a batch of nothing fails": {"BatchEdges", func(s *studio.Studio, w *wrap) {
			w.batch = func(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
				if len(refs) == 0 {
					return nil, &transport.Error{Kind: transport.KindInvalid}
				}
				return s.BatchGet(ctx, refs)
			}
		}},
		"starts none for one": {"BatchStarts", func(s *studio.Studio, w *wrap) {
			w.many = func(ctx context.Context, ins []transport.StartInput) ([]transport.Result, error) {
				for _, in := range ins {
					if _, err := s.Get(ctx, in.Ref); err != nil {
						return slices.Repeat([]transport.Result{{Err: err}}, len(ins)), nil
					}
				}
				return oneByOne(s)(ctx, ins)
			}
		}},
		"starts some twice": {"BatchStarts", func(s *studio.Studio, w *wrap) {
			w.many = func(ctx context.Context, ins []transport.StartInput) ([]transport.Result, error) {
				out, err := oneByOne(s)(ctx, ins)
				for _, in := range ins {
					if out[0].Err == nil && in.Ref == out[0].Session.Ref {
						s.Put(transport.Session{Ref: in.Ref, State: fsm.StateStopped})
						in.ClientToken = "again"
						_, _ = s.Start(ctx, in)
					}
				}
				return out, err
			}
		}},
		"a batch of starts in another order": {"BatchStarts", func(s *studio.Studio, w *wrap) {
			w.many = func(ctx context.Context, ins []transport.StartInput) ([]transport.Result, error) {
				out, err := oneByOne(s)(ctx, ins)
				slices.Reverse(out)
				return out, err
			}
		}},
		"a start of nothing fails": {"BatchStartEdges", func(s *studio.Studio, w *wrap) {
			w.many = func(ctx context.Context, ins []transport.StartInput) ([]transport.Result, error) {
				if len(ins) == 0 {
					return nil, &transport.Error{Kind: transport.KindInvalid}
				}
				return oneByOne(s)(ctx, ins)
			}
		}},
		"a list that repeats": {"List", func(s *studio.Studio, w *wrap) {
			w.list = func(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
				out, err := s.List(ctx, in)
				return transport.ListOutput{Sessions: append(out.Sessions, out.Sessions...)}, err
			}
		}},
		"works though cancelled": {"ContextCancelled", func(s *studio.Studio, w *wrap) {
			w.start = func(ctx context.Context, in transport.StartInput) (transport.Session, error) {
				return s.Start(context.WithoutCancel(ctx), in)
			}
		}},
		"hangs beyond its context": {"ContextEnds", func(s *studio.Studio, w *wrap) {
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				return s.Get(context.WithoutCancel(ctx), ref)
			}
		}},
		"claims a lost start unsent": {"LostAnswer", func(s *studio.Studio, w *wrap) {
			w.start = func(ctx context.Context, in transport.StartInput) (transport.Session, error) {
				got, err := s.Start(ctx, in)
				if errors.Is(err, transport.KindUnknown) {
					err = &transport.Error{Kind: transport.KindUnreachable, NotSent: true}
				}
				return got, err
			}
		}},
		"repeats by itself": {"LostAnswer", func(s *studio.Studio, w *wrap) {
			w.start = func(ctx context.Context, in transport.StartInput) (transport.Session, error) {
				got, err := s.Start(ctx, in)
				if errors.Is(err, transport.KindUnknown) {
					return s.Start(ctx, in)
				}
				return got, err
			}
		}},
		"blames the session while offline": {"Offline", func(s *studio.Studio, w *wrap) {
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := s.Get(ctx, ref)
				if errors.Is(err, transport.KindUnreachable) {
					err = &transport.Error{Kind: transport.KindUnreachable, NotSent: true, OnlySession: true}
				}
				return got, err
			}
		}},
		"blames the lane for a session": {"SessionUnreachable", func(s *studio.Studio, w *wrap) {
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := s.Get(ctx, ref)
				var e *transport.Error
				if errors.As(err, &e) && e.OnlySession {
					err = &transport.Error{Kind: e.Kind, NotSent: e.NotSent}
				}
				return got, err
			}
		}},
		"shows a boot as STOPPED": {"AuthoritativeState", func(s *studio.Studio, w *wrap) {
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := s.Get(ctx, ref)
				if got.State == fsm.StateStartInProgress {
					got.State = fsm.StateStopped
				}
				return got, err
			}
		}},
		"a refusal while offline": {"Offline", func(s *studio.Studio, w *wrap) {
			w.get = func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
				got, err := s.Get(ctx, ref)
				if errors.Is(err, transport.KindUnreachable) {
					err = &transport.Error{Kind: transport.KindNotFound}
				}
				return got, err
			}
		}},
	}
}

// fixes returns what the suite must print about a fault in addition to its name. That is
// the fix, which the author of a driver would otherwise have to guess.
func fixes() map[string]string {
	return map[string]string{
		"local time":               "at.UTC()",
		"sends bad ids":            "call ref.Validate() first",
		"takes any token":          "call in.Validate() first",
		"keeps the probe's result": "put the probe's result there",
		"error without kind":       "return transport.Classify(err)",
		"works though cancelled":   "transport.Classify(ctx.Err())",

		"blames the session while offline": "OnlySession, which would leave the lane unblocked",
		"blames the lane for a session":    "set OnlySession",
		"shows a boot as STOPPED":          "leave Authoritative false",
	}
}

// unreachable is the error of a session whose machine does not answer.
var unreachable = &transport.Error{Kind: transport.KindUnreachable, NotSent: true, OnlySession: true}

// TestBroken runs the suite on the transport that the environment names. Without the
// variable, it runs the suite on the transport without a fault.
func TestBroken(t *testing.T) {
	name := os.Getenv(brokenEnv)
	if name == "" {
		name = "none"
	}
	fault, ok := faults()[name]
	if !ok {
		t.Fatalf("no fault %q", name)
	}
	transporttest.Run(t, func(*testing.T) transporttest.Subject {
		var lose, hang atomic.Bool
		var dead atomic.Pointer[transport.Ref]
		s := studio.New(studio.Config{Boot: 20 * time.Millisecond, Intercept: func(c studio.Call) studio.Fault {
			if hang.Load() {
				return studio.Fault{Delay: time.Minute}
			}
			if ref := dead.Load(); ref != nil && c.Ref == *ref {
				return studio.Fault{Err: unreachable}
			}
			return studio.Fault{Lost: lose.CompareAndSwap(true, false)}
		}})
		muted := map[transport.Ref]bool{} // the suite changes it while no call is in progress
		get := func(ctx context.Context, ref transport.Ref) (transport.Session, error) {
			got, err := s.Get(ctx, ref)
			if got.State == fsm.StateReady {
				got.Probe = transport.ProbeResult{Target: "port 22 (ssh) of ws", OK: true, At: time.Now().UTC()}
			}
			if got.State == fsm.StateReady && muted[ref] {
				got.State, got.StatusCode, got.StatusMessage = fsm.StateStartInProgress, "MUTE", "running, but: mute"
				got.Probe.OK, got.Probe.Message = false, "mute"
			}
			return got, err
		}
		w := &wrap{Studio: s, start: s.Start, get: get, many: oneByOne(s), list: s.List, check: transport.StartInput.Validate}
		w.batch = func(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
			got, err := s.BatchGet(ctx, refs)
			for i := range got {
				if ref := dead.Load(); ref != nil && refs[i] == *ref {
					got[i] = transport.Result{Err: unreachable}
				}
			}
			return got, err
		}
		w.tr = func(ref transport.Ref) transport.Traits {
			tr := s.Traits(ref)
			tr.MaxStarts, tr.Authoritative = 10, true
			return tr
		}
		fault.fault(s, w)
		n := 0
		return transporttest.Subject{
			Transport: w,
			Stopped: func() transport.Ref {
				n++
				ref := transport.Ref{StudioID: "lab", SessionID: fmt.Sprint("ws-", n)}
				s.Add(ref.StudioID, ref.SessionID)
				return ref
			},
			Missing:     transport.Ref{StudioID: "lab", SessionID: "missing"},
			Starts:      s.Effects,
			LoseAnswer:  func() { lose.Store(true) },
			Hang:        func() { hang.Store(true) },
			Offline:     s.SetOffline,
			Unreachable: func(ref transport.Ref) { dead.Store(&ref) },
			Mute:        func(ref transport.Ref, mute bool) { muted[ref] = mute },
			Secret:      "planted-secret",
			Patience:    500 * time.Millisecond,
		}
	})
}

func TestSuiteSeesFaults(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, fault := range faults() {
		if fault.seenBy == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestBroken$/^"+fault.seenBy+"$")
			cmd.Env = append(os.Environ(), brokenEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestBroken/"+fault.seenBy) {
				t.Errorf("%s does not see it: %v\n%s", fault.seenBy, err, out)
			}
			if !strings.Contains(string(out), fixes()[name]) {
				t.Errorf("%s does not say %q:\n%s", fault.seenBy, fixes()[name], out)
			}
			if lines := strings.Count(string(out), "\n"); lines > 12 {
				t.Errorf("%s says it in %d lines:\n%s", fault.seenBy, lines, out)
			}
		})
	}
}

// bare is a transport with only the required methods, as a third party's first version
// may be.
type bare struct{ transport.Transport }

func TestBareTransport(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, func(*testing.T) transporttest.Subject {
		s := studio.New(studio.Config{Any: true})
		n := 0
		return transporttest.Subject{
			Transport: bare{s},
			Stopped: func() transport.Ref {
				n++
				return transport.Ref{StudioID: "lab", SessionID: fmt.Sprint("ws-", n)}
			},
		}
	})
}

// TestSkipsSayWhatIsMissing checks that a skipped test says what it needs to run.
func TestSkipsSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), self, "-test.v", "-test.run=^TestBareTransport$").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"Traits.Repeat is RepeatNever: implement transport.Describer to claim RepeatByToken",
		"implement transport.BatchGetter", "implement transport.BatchStarter", "implement transport.Lister",
		"Subject.Missing is not set", "Subject.Hang is not set", "Subject.LoseAnswer is not set", "Subject.Offline is not set",
		"Subject.Mute is not set",
		"Subject.Unreachable is not set", "Traits.Authoritative is not set",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no test is skipped with %q:\n%s", want, out)
		}
	}
}
