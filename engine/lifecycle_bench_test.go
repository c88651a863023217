package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// promptly is a provider whose sessions are READY at the second read.
type promptly struct {
	mu     sync.Mutex // guards both
	starts map[Ref]int
	reads  map[Ref]int
}

func (p *promptly) Traits(Ref) transport.Traits {
	return transport.Traits{Repeat: transport.RepeatByToken, TokenMemory: time.Hour, StaleFor: time.Millisecond, MaxBatch: 100}
}

func (p *promptly) Start(_ context.Context, in transport.StartInput) (transport.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts[in.Ref]++
	return transport.Session{Ref: in.Ref, State: fsm.StateStartInProgress}, nil
}

func (p *promptly) Get(_ context.Context, ref Ref) (transport.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.read(ref), nil
}

func (p *promptly) BatchGet(_ context.Context, refs []Ref) ([]transport.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]transport.Result, len(refs))
	for i, ref := range refs {
		out[i].Session = p.read(ref)
	}
	return out, nil
}

func (p *promptly) read(ref Ref) transport.Session {
	p.reads[ref]++
	if p.reads[ref] < 2 {
		return transport.Session{Ref: ref, State: fsm.StateStartInProgress}
	}
	return transport.Session{Ref: ref, State: fsm.StateReady}
}

// check fails the benchmark unless each of n sessions was started once and read twice.
func (p *promptly) check(b *testing.B, n int) {
	b.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.starts) != n {
		b.Errorf("%d sessions were started, want %d", len(p.starts), n)
	}
	for ref, starts := range p.starts {
		if starts != 1 || p.reads[ref] != 2 {
			b.Fatalf("%s was started %d times and read %d times", ref, starts, p.reads[ref])
		}
	}
}

// hurry is how many times as fast the wall clock of BenchmarkLifecycle runs. The seconds
// between two polls are no work, so the benchmark shortens them.
const hurry = 100

// BenchmarkLifecycle takes 10,000 operations from Start by 64 callers to READY. Each is
// acknowledged, intended, sent, accepted and read twice, and each change is durable. The
// baseline makes the same four commits for each, by 64 callers.
func BenchmarkLifecycle(b *testing.B) {
	const n, callers = 10_000, 64
	p := &promptly{starts: map[Ref]int{}, reads: map[Ref]int{}}
	s := newSubjectOf(b, p, Config{Lane: func(string) LaneConfig { return LaneConfig{Concurrency: callers, Rate: 1e9} }})
	begun := time.Now()
	s.wall = func() time.Time { return begun.Add(hurry * time.Since(begun)) }
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	running.Go(func() {
		for ctx.Err() == nil { // timers do not run faster
			time.Sleep(time.Millisecond)
			s.Nudge()
		}
	})
	base := newRaw(b, sizesOfStarts(b))
	var rates, ratios []float64
	for b.Loop() {
		ours := crowd(b, callers, n, s.start) + s.drained(b, n*(len(rates)+1))
		b.StopTimer()
		theirs := crowd(b, callers, n, base.lifecycle)
		rates = append(rates, n/ours.Seconds())
		ratios = append(ratios, theirs.Seconds()/ours.Seconds())
		b.StartTimer()
	}
	b.StopTimer()
	stop()
	running.Wait()
	total := n * len(rates)
	p.check(b, total)
	s.check(b, total, 3*total)
	base.check(b, total, 3*total)
	b.ReportMetric(median(rates), "ops/s")
	b.ReportMetric(median(ratios), "x-raw")
}

// drained waits until n operations have SUCCEEDED, and returns how long it took.
func (s *subject) drained(b *testing.B, n int) time.Duration {
	b.Helper()
	begun := time.Now()
	for {
		st, err := s.store.Stats(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if st.Operations[fsm.PhaseSucceeded] == n {
			return time.Since(begun)
		}
		if time.Since(begun) > time.Minute {
			b.Fatalf("no operation has ended for a while: %v", st.Operations)
		}
		time.Sleep(time.Millisecond)
	}
}

// lifecycle commits a start, an intent, an acceptance and an end.
func (r *raw) lifecycle() error {
	key, err := r.start()
	if err == nil {
		err = r.put(&rawWrite{op: key})
	}
	if err == nil {
		err = r.put(&rawWrite{op: key, event: true})
	}
	if err == nil {
		err = r.put(&rawWrite{op: key, event: true, ended: true})
	}
	return err
}

// BenchmarkEvents reads the feed from its beginning.
func BenchmarkEvents(b *testing.B) {
	const n = 100_000
	s := newSubject(b, Config{})
	s.many(b, n)
	for b.Loop() {
		next := uint64(1)
		for ev, err := range s.Events(b.Context(), "") {
			if err != nil || ev.Seq != next {
				b.Fatal(ev.Seq, next, err)
			}
			next++
		}
		if next != n+1 {
			b.Fatalf("read %d events", next-1)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
	s.check(b, n, n)
}

// BenchmarkFollow measures how long after the commit of a start a follower has its event.
// The commit is before Start returns.
func BenchmarkFollow(b *testing.B) {
	s := newSubject(b, Config{})
	received := make(chan store.ID)
	ctx, stop := context.WithCancel(b.Context())
	var following sync.WaitGroup
	following.Go(func() {
		for ev, err := range s.Follow(ctx, "") {
			if err != nil {
				b.Error(err)
				return
			}
			received <- ev.Operation
		}
	})
	var lags []time.Duration
	for b.Loop() {
		r, err := s.Start(ctx, s.request())
		if err != nil {
			b.Fatal(err)
		}
		returned := time.Now()
		if id := <-received; id != r.Operation.ID {
			b.Fatalf("the event is of %s, not of %s", id, r.Operation.ID)
		}
		lags = append(lags, time.Since(returned))
	}
	stop()
	following.Wait()
	n := len(lags)
	s.check(b, n, n)
	b.ReportMetric(float64(median(lags).Nanoseconds())/1e3, "µs-lag")
}

// BenchmarkStartAll requests 10,000 sessions in one call. The baseline stores as many by the
// same commits.
func BenchmarkStartAll(b *testing.B) {
	const n = 10_000
	b.Run(fmt.Sprint("n=", n), func(b *testing.B) {
		s, base := newSubject(b, Config{}), newRaw(b, sizesOfStarts(b))
		var rates, ratios []float64
		for b.Loop() {
			begun := time.Now()
			s.many(b, n)
			ours := time.Since(begun)
			b.StopTimer()
			begun = time.Now()
			for left := n; left > 0; left -= enqueueChunk {
				if err := base.startMany(min(left, enqueueChunk)); err != nil {
					b.Fatal(err)
				}
			}
			rates = append(rates, n/ours.Seconds())
			ratios = append(ratios, time.Since(begun).Seconds()/ours.Seconds())
			b.StartTimer()
		}
		b.StopTimer()
		total := n * len(rates)
		s.check(b, total, total)
		base.check(b, total, total)
		b.ReportMetric(median(rates), "starts/s")
		b.ReportMetric(median(ratios), "x-raw")
	})
}

func (r *raw) startMany(n int) error {
	ws := make([]*rawWrite, n)
	for i := range ws {
		ws[i] = &rawWrite{op: r.keys.Add(1), event: true}
	}
	return r.put(ws...)
}
