package engine

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// million is how many operations wait in these benchmarks. Storing them takes about 15 s.
const million = 1_000_000

// pile requests n sessions of many studios. Each studio is a lane.
func (s *subject) pile(b *testing.B, n, lanes int, notBefore time.Time) {
	b.Helper()
	rs := make([]Request, 0, 20_000)
	for i := range n {
		r := s.request()
		r.StudioID = fmt.Sprint("studio-", i%lanes)
		r.NotBefore = notBefore
		if rs = append(rs, r); len(rs) < cap(rs) && i < n-1 {
			continue
		}
		if _, err := s.StartAll(b.Context(), rs); err != nil {
			b.Fatal(err)
		}
		rs = rs[:0]
	}
}

// goes begins a Run, and returns a function that ends it.
func (s *subject) goes(b *testing.B) (end func()) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

func heapInUse() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// evict syncs a file and drops it from the page cache.
func evict(b *testing.B, path string) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		b.Fatal(err)
	}
}

// used returns the processor time of this process so far.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// written returns how many bytes this process has written to the disk so far.
func written(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(n), 64)
			if err != nil {
				b.Fatal(err)
			}
			return v
		}
	}
	b.Skip("/proc/self/io does not count writes")
	return 0
}

// BenchmarkCost counts the bytes that a start writes and its processor time, and the same of
// the baseline.
func BenchmarkCost(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			s, base := newSubject(b, Config{}), newRaw(b, sizesOfStarts(b))
			round := min(300*callers, 20_000)
			var bytes, rawBytes, cpu, rawCPU []float64
			cost := func(start func() error) (bytes, micros float64) {
				wrote, took := written(b), used(b)
				crowd(b, callers, round, start)
				wrote, took = written(b)-wrote, used(b)-took
				return wrote / float64(round), float64(took.Nanoseconds()) / 1000 / float64(round)
			}
			for b.Loop() {
				n, micros := cost(s.start)
				bytes, cpu = append(bytes, n), append(cpu, micros)
				n, micros = cost(func() error { _, err := base.start(); return err })
				rawBytes, rawCPU = append(rawBytes, n), append(rawCPU, micros)
			}
			n := round * len(bytes)
			s.check(b, n, n)
			base.check(b, n, n)
			b.ReportMetric(median(bytes), "B-written/start")
			b.ReportMetric(median(rawBytes), "B-raw/start")
			b.ReportMetric(median(cpu), "cpu-µs/start")
			b.ReportMetric(median(rawCPU), "cpu-µs-raw/start")
		})
	}
}

// hung is a provider that never answers, and reports each start that arrives.
type hung struct {
	*studio.Studio
	sent chan Ref
}

func (h *hung) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	select {
	case h.sent <- in.Ref:
	default:
	}
	<-ctx.Done()
	return transport.Session{}, ctx.Err()
}

// BenchmarkOpen measures the time from Open of a million pending operations, all due, to the
// first send, and their size in memory and on disk.
func BenchmarkOpen(b *testing.B) {
	for _, lanes := range []int{1, 10_000} {
		made := newSubject(b, Config{})
		made.pile(b, million, lanes, time.Time{})
		if err := made.Close(); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(made.path)
		if err != nil {
			b.Fatal(err)
		}
		for _, cache := range []string{"warm", "cold"} {
			b.Run(fmt.Sprintf("lanes=%d/%s", lanes, cache), func(b *testing.B) {
				var took []time.Duration
				var heap float64
				for b.Loop() {
					b.StopTimer()
					if cache == "cold" {
						evict(b, made.path)
					}
					before := heapInUse()
					b.StartTimer()
					h := &hung{Studio: studio.New(studio.Config{}), sent: make(chan Ref, 1)}
					begun := time.Now()
					e, err := Open(made.path, h, Config{Drain: time.Millisecond})
					if err != nil {
						b.Fatal(err)
					}
					s := &subject{Engine: e}
					end := s.goes(b)
					<-h.sent
					took = append(took, time.Since(begun))
					b.StopTimer()
					end() // calls that hang are in flight, not pending
					heap = heapInUse() - before
					if err := e.Close(); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				b.ReportMetric(median(took).Seconds(), "s-to-first-send")
				b.ReportMetric(heap/(1<<20), "heap-MiB")
				b.ReportMetric(float64(info.Size())/million, "file-B/pending")
			})
		}
		again, err := bolt.Open(made.path, bolt.Config{})
		if err != nil {
			b.Fatal(err)
		}
		st, err := again.Stats(b.Context())
		if err != nil || st.Operations["QUEUED"] != million {
			b.Fatal(st.Operations, err)
		}
		if err := again.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStartPending is BenchmarkStart by 64 callers on a file with a million pending
// operations. After each round it makes a round on a file that was empty.
func BenchmarkStartPending(b *testing.B) {
	const callers, round = 64, 10_000
	b.Run(fmt.Sprint("pending=", million), func(b *testing.B) {
		full, empty := newSubject(b, Config{}), newSubject(b, Config{})
		full.pile(b, million, 100, time.Now().Add(time.Hour))
		var rates, ratios []float64
		for b.Loop() {
			ours := crowd(b, callers, round, full.start)
			b.StopTimer()
			theirs := crowd(b, callers, round, empty.start)
			rates = append(rates, round/ours.Seconds())
			ratios = append(ratios, theirs.Seconds()/ours.Seconds())
			b.StartTimer()
		}
		b.StopTimer()
		n := round * len(rates)
		full.check(b, million+n, million+n)
		empty.check(b, n, n)
		b.ReportMetric(median(rates), "starts/s")
		b.ReportMetric(median(ratios), "x-empty")
	})
}

// BenchmarkIdle lets an engine with a million pending operations of 10,000 lanes,
// none of them due, run for a minute.
func BenchmarkIdle(b *testing.B) {
	before := heapInUse()
	s := newSubject(b, Config{})
	s.pile(b, million, 10_000, time.Now().Add(time.Hour))
	end := s.goes(b)
	time.Sleep(5 * time.Second) // until it has read all due times
	heap := heapInUse() - before
	was, err := os.Stat(s.path)
	if err != nil {
		b.Fatal(err)
	}
	cpu, begun := used(b), time.Now()
	for b.Loop() {
		time.Sleep(time.Minute)
	}
	share := float64(used(b)-cpu) / float64(time.Since(begun))
	is, err := os.Stat(s.path)
	if err != nil || !is.ModTime().Equal(was.ModTime()) {
		b.Fatal("the file was written: ", err)
	}
	end()
	s.check(b, million, million)
	b.ReportMetric(100*share, "cpu-%")
	b.ReportMetric(heap/(1<<20), "heap-MiB")
}

// BenchmarkIdleLane measures the time from Start to the send on an idle lane, while every
// call of another lane with a backlog hangs.
func BenchmarkIdleLane(b *testing.B) {
	for _, backlog := range []int{0, million} {
		b.Run(fmt.Sprint("backlog=", backlog), func(b *testing.B) {
			h := &hung{Studio: studio.New(studio.Config{Any: true})}
			one := &oneHangs{hung: h, sent: make(chan Ref, 1)}
			s := newSubjectOf(b, one, Config{Drain: time.Millisecond, Lane: fast})
			if backlog > 0 {
				s.pile(b, backlog, 1, time.Time{})
			}
			end := s.goes(b)
			time.Sleep(2 * time.Second)
			var lags []time.Duration
			for b.Loop() {
				r := s.request()
				r.StudioID = "idle"
				begun := time.Now()
				if _, err := s.Start(b.Context(), r); err != nil {
					b.Fatal(err)
				}
				if ref := <-one.sent; ref != r.Ref {
					b.Fatalf("%s was sent, not %s", ref, r.Ref)
				}
				lags = append(lags, time.Since(begun))
			}
			end()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(median(lags).Seconds()*1e3, "ms-to-send")
		})
	}
}

// oneHangs is a provider with one studio that never answers.
type oneHangs struct {
	*hung
	sent chan Ref
}

func (o *oneHangs) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	if in.StudioID != "idle" {
		return o.hung.Start(ctx, in)
	}
	o.sent <- in.Ref
	return o.Studio.Start(ctx, in)
}
