package transport_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/transport"
)

// only is a transport with only the required methods. Its answers carry its name. It
// cannot be compared, as a third party's transport may be.
type only struct {
	name string
	_    []transport.Ref
}

func (o only) Start(_ context.Context, in transport.StartInput) (transport.Session, error) {
	return transport.Session{Ref: in.Ref, StatusMessage: o.name}, nil
}

func (o only) Get(_ context.Context, ref transport.Ref) (transport.Session, error) {
	return transport.Session{Ref: ref, StatusMessage: o.name}, nil
}

// batcher has all optional methods, and records the batches it got.
type batcher struct {
	only
	traits transport.Traits
	answer func([]transport.Ref) ([]transport.Result, error) // nil returns a result for each

	mu      sync.Mutex
	batches [][]transport.Ref
}

func (b *batcher) Traits(transport.Ref) transport.Traits { return b.traits }

func (b *batcher) BatchGet(_ context.Context, refs []transport.Ref) ([]transport.Result, error) {
	b.mu.Lock()
	b.batches = append(b.batches, slices.Clone(refs))
	b.mu.Unlock()
	if b.answer != nil {
		return b.answer(refs)
	}
	out := make([]transport.Result, len(refs))
	for i, ref := range refs {
		out[i].Session = transport.Session{Ref: ref, StatusMessage: b.name}
	}
	return out, nil
}

func (b *batcher) List(_ context.Context, in transport.ListInput) (transport.ListOutput, error) {
	return transport.ListOutput{NextToken: b.name + " " + in.StudioID}, nil
}

func ref(studio, session string) transport.Ref {
	return transport.Ref{StudioID: studio, SessionID: session}
}

func TestMuxRoutes(t *testing.T) {
	t.Parallel()
	var m transport.Mux
	for _, pattern := range []string{"lab", "lab-*", "lab-7*", "lab-7-west", "render*", "*"} {
		m.Handle(pattern, only{name: pattern})
	}
	for studio, want := range map[string]string{
		"lab": "lab", "lab-": "lab-*", "lab-1": "lab-*", "lab-7": "lab-7*", "lab-77": "lab-7*",
		"lab-7-west": "lab-7-west", "lab-7-west2": "lab-7*", "labs": "*", "render": "render*", "Render": "*", "x": "*",
	} {
		got, err := m.Get(t.Context(), ref(studio, "ws"))
		if err != nil || got.StatusMessage != want {
			t.Errorf("Get of studio %q went to %q, %v; want %q", studio, got.StatusMessage, err, want)
		}
		got, err = m.Start(t.Context(), transport.StartInput{Ref: ref(studio, "ws"), ClientToken: "token"})
		if err != nil || got.StatusMessage != want || got.Ref != ref(studio, "ws") {
			t.Errorf("Start in studio %q went to %q, %v; want %q", studio, got.StatusMessage, err, want)
		}
	}
}

func TestMuxWithoutRoute(t *testing.T) {
	t.Parallel()
	var m transport.Mux
	m.Handle("lab", only{})
	_, err := m.Start(t.Context(), transport.StartInput{Ref: ref("elsewhere", "ws")})
	var e *transport.Error
	if !errors.As(err, &e) || e.Kind != transport.KindNotFound || !e.NotSent || !strings.Contains(err.Error(), "elsewhere") {
		t.Errorf("Start: %v, want an unsent not found that names the studio", err)
	}
	if _, err := m.Get(t.Context(), ref("elsewhere", "ws")); !errors.Is(err, transport.KindNotFound) {
		t.Errorf("Get: %v, want not found", err)
	}
	if _, err := m.List(t.Context(), transport.ListInput{StudioID: "elsewhere"}); !errors.Is(err, transport.KindNotFound) {
		t.Errorf("List: %v, want not found", err)
	}
	if got := m.Traits(ref("elsewhere", "ws")); got != (transport.Traits{}) {
		t.Errorf("Traits: %+v, want the zero value", got)
	}
	got, err := m.BatchGet(t.Context(), []transport.Ref{ref("lab", "a"), ref("elsewhere", "b")})
	if err != nil || len(got) != 2 || got[0].Err != nil || !errors.Is(got[1].Err, transport.KindNotFound) {
		t.Errorf("BatchGet: %+v, %v; want the second alone to be not found", got, err)
	}
}

func TestMuxHandlePanics(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(*transport.Mux){
		"empty":         func(m *transport.Mux) { m.Handle("", only{}) },
		"star within":   func(m *transport.Mux) { m.Handle("a*b", only{}) },
		"two stars":     func(m *transport.Mux) { m.Handle("a**", only{}) },
		"nil transport": func(m *transport.Mux) { m.Handle("a", nil) },
		"taken":         func(m *transport.Mux) { m.Handle("a", only{}); m.Handle("a", only{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m transport.Mux
			defer func() {
				if text, ok := recover().(string); !ok || !strings.HasPrefix(text, "transport: Mux.Handle") {
					t.Errorf("panic %q, want one that names the fault", text)
				}
				m.Handle("other", only{}) // the mutex is unlocked again
			}()
			handle(&m)
		})
	}
}

func TestMuxForwardsTraits(t *testing.T) {
	t.Parallel()
	traits := transport.Traits{Lane: "west", Repeat: transport.RepeatByState, TokenMemory: time.Hour, StaleFor: time.Second, MaxBatch: 7}
	var m transport.Mux
	m.Handle("lab", &batcher{traits: traits})
	m.Handle("bare", only{})
	if got := transport.TraitsOf(&m, ref("lab", "ws")); got != traits {
		t.Errorf("got %+v, want %+v", got, traits)
	}
	want := transport.Traits{Lane: "bare", StaleFor: transport.DefaultStaleFor}
	if got := transport.TraitsOf(&m, ref("bare", "ws")); got != want {
		t.Errorf("of a transport without traits: got %+v, want %+v", got, want)
	}
}

func TestTraitsOfCannotBatch(t *testing.T) {
	t.Parallel()
	claims := describer{traits: transport.Traits{MaxBatch: 9, Repeat: transport.RepeatByToken}}
	got := transport.TraitsOf(claims, ref("lab", "ws"))
	if want := (transport.Traits{Lane: "lab", Repeat: transport.RepeatByToken, StaleFor: transport.DefaultStaleFor}); got != want {
		t.Errorf("got %+v, want %+v: there is no BatchGet", got, want)
	}
	if got := transport.TraitsOf(&batcher{traits: transport.Traits{MaxBatch: -1}}, ref("lab", "ws")); got.MaxBatch != 0 {
		t.Errorf("a negative MaxBatch became %d", got.MaxBatch)
	}
}

type describer struct {
	only
	traits transport.Traits
}

func (d describer) Traits(transport.Ref) transport.Traits { return d.traits }

func TestMuxList(t *testing.T) {
	t.Parallel()
	var m transport.Mux
	m.Handle("lab", &batcher{only: only{name: "lister"}})
	m.Handle("bare", only{})
	if out, err := m.List(t.Context(), transport.ListInput{StudioID: "lab"}); err != nil || out.NextToken != "lister lab" {
		t.Errorf("got %+v, %v", out, err)
	}
	_, err := m.List(t.Context(), transport.ListInput{StudioID: "bare"})
	if !errors.Is(err, transport.KindInvalid) || !strings.Contains(err.Error(), "bare") {
		t.Errorf("a transport that cannot list: %v, want invalid that names the studio", err)
	}
}

// TestMuxBatch mixes transports with and without batches, of different size, in one lane.
// Each session must get its own answer, in its place.
func TestMuxBatch(t *testing.T) {
	t.Parallel()
	big := &batcher{only: only{name: "big"}, traits: transport.Traits{Lane: "x", MaxBatch: 100}}
	small := &batcher{only: only{name: "small"}, traits: transport.Traits{Lane: "x", MaxBatch: 2}}
	unable := &batcher{only: only{name: "unable"}, traits: transport.Traits{Lane: "x"}}
	var m transport.Mux
	m.Handle("big", big)
	m.Handle("small", small)
	m.Handle("unable", unable)
	m.Handle("*", only{name: "bare"})

	var refs []transport.Ref
	for i := range 5 {
		for _, studio := range []string{"small", "bare", "big", "unable"} {
			refs = append(refs, ref(studio, fmt.Sprintf("ws-%d", i)))
		}
	}
	refs = append(refs, refs[0]) // the same ref twice
	got, err := m.BatchGet(t.Context(), refs)
	if err != nil || len(got) != len(refs) {
		t.Fatalf("%d results, %v; want %d", len(got), err, len(refs))
	}
	for i, r := range got {
		if r.Err != nil || r.Session.Ref != refs[i] || r.Session.StatusMessage != refs[i].StudioID {
			t.Errorf("result %d is %+v of %q, want %s", i, r, r.Session.StatusMessage, refs[i])
		}
	}
	if len(big.batches) != 1 || len(small.batches) != 3 || len(unable.batches) != 0 {
		t.Errorf("big got %d batches, small %d, unable %d; want 1, 3, 0", len(big.batches), len(small.batches), len(unable.batches))
	}
	for _, b := range small.batches {
		if len(b) > 2 {
			t.Errorf("small takes 2 and got %d", len(b))
		}
	}
	if got, err := m.BatchGet(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("no refs: %v, %v", got, err)
	}
}

// TestMuxBatchFails checks that the failure of one transport does not affect the others.
func TestMuxBatchFails(t *testing.T) {
	t.Parallel()
	down := &transport.Error{Kind: transport.KindUnreachable, NotSent: true}
	for name, test := range map[string]struct {
		answer func([]transport.Ref) ([]transport.Result, error)
		want   transport.Kind
	}{
		"error":     {func([]transport.Ref) ([]transport.Result, error) { return nil, down }, transport.KindUnreachable},
		"too few":   {func([]transport.Ref) ([]transport.Result, error) { return make([]transport.Result, 1), nil }, transport.KindUnknown},
		"too many":  {func([]transport.Ref) ([]transport.Result, error) { return make([]transport.Result, 3), nil }, transport.KindUnknown},
		"no result": {func([]transport.Ref) ([]transport.Result, error) { return nil, nil }, transport.KindUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m transport.Mux
			m.Handle("bad", &batcher{traits: transport.Traits{MaxBatch: 10}, answer: test.answer})
			m.Handle("good", only{})
			got, err := m.BatchGet(t.Context(), []transport.Ref{ref("bad", "1"), ref("good", "2"), ref("bad", "3")})
			if err != nil || len(got) != 3 {
				t.Fatalf("%d results, %v", len(got), err)
			}
			if !errors.Is(got[0].Err, test.want) || !errors.Is(got[2].Err, test.want) || got[1].Err != nil {
				t.Errorf("got %v, %v, %v; want %v, none, %v", got[0].Err, got[1].Err, got[2].Err, test.want, test.want)
			}
		})
	}
}

// TestMuxHasLane checks that Mux does not accept a lane that no studio of its routes can
// use.
func TestMuxHasLane(t *testing.T) {
	t.Parallel()
	var m, inner transport.Mux
	inner.Handle("lab", only{name: "a"})
	m.Handle("lab", &inner)
	m.Handle("render-*", only{name: "b"})
	m.Handle("box-*", laned{only{name: "c"}, "boxes"})
	for lane, want := range map[string]bool{
		"lab": true, "render-7": true, "boxes": true,
		"": false, "lap": false, "render": false, "box-1": false, "*": false, "render-7 ": false,
	} {
		if got := m.HasLane(lane); got != want {
			t.Errorf("lane %q: %v, want %v", lane, got, want)
		}
	}
}

// laned has one lane for all studios.
type laned struct {
	only
	lane string
}

func (l laned) Traits(transport.Ref) transport.Traits { return transport.Traits{Lane: l.lane} }

// TestMuxConcurrently is for the race detector. Routes may be added during calls.
func TestMuxConcurrently(t *testing.T) {
	t.Parallel()
	var m transport.Mux
	m.Handle("*", only{name: "any"})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			m.Handle(fmt.Sprintf("studio-%d", i), only{name: "own"})
			if got, err := m.Get(t.Context(), ref(fmt.Sprintf("studio-%d", i), "ws")); err != nil || got.StatusMessage != "own" {
				t.Errorf("got %q, %v", got.StatusMessage, err)
			}
		})
	}
	wg.Wait()
}

func ExampleMux() {
	var m transport.Mux
	m.Handle("render-*", only{name: "the farm's machines"})
	m.Handle("*", only{name: "everything else"})
	for _, studio := range []string{"render-7", "lab"} {
		session, err := m.Get(context.Background(), transport.Ref{StudioID: studio, SessionID: "ws-1"})
		fmt.Println(session.Ref, "is of", session.StatusMessage, err)
	}
	// Output:
	// render-7/ws-1 is of the farm's machines <nil>
	// lab/ws-1 is of everything else <nil>
}
