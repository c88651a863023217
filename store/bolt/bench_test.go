package bolt

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// pending fills a store with n operations in so many lanes.
func pending(t testing.TB, path string, n, lanes int) {
	t.Helper()
	s := openTest(t, path, Config{noSync: true})
	for first := 0; first < n; first += 10_000 {
		ops := make([]store.Operation, min(10_000, n-first))
		for i := range ops {
			ops[i] = testOp(numbered(first + i))
			ops[i].Ref.StudioID = fmt.Sprint("studio-", i%lanes)
			ops[i].Lane = ops[i].Ref.StudioID
		}
		if _, err := s.Enqueue(t.Context(), ops); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemory measures what a pending operation costs in memory.
func TestMemory(t *testing.T) { // not parallel: it measures the heap
	const n = 100_000
	path := testPath(t)
	pending(t, path, n, 100)
	before := heapBytes()
	s := openTest(t, path, Config{noSync: true})
	if each := float64(heapBytes()-before) / n; each > 70 {
		t.Errorf("%.1f bytes for each pending operation, want at most 70", each)
	}
	runtime.KeepAlive(s)
}

// BenchmarkRecords encodes what a start stores: an operation and its event.
func BenchmarkRecords(b *testing.B) {
	op := testOp(numbered(1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := want(&op); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEnqueue measures acknowledged operations. Either so many callers store one
// operation at a time, or one caller stores 10,000 at once. Each commit is synced.
func BenchmarkEnqueue(b *testing.B) {
	for _, c := range []struct{ callers, each int }{{1, 1}, {64, 1}, {1024, 1}, {1, 10_000}} {
		b.Run(fmt.Sprintf("callers=%d/each=%d", c.callers, c.each), func(b *testing.B) {
			s := openTest(b, testPath(b), Config{})
			rounds := max(1, 5000/c.callers/c.each)
			var next atomic.Int64
			enqueue := func() {
				ops := make([]store.Operation, c.each)
				for i := range ops {
					ops[i] = testOp(numbered(int(next.Add(1))))
				}
				if _, err := s.Enqueue(b.Context(), ops); err != nil {
					b.Error(err)
				}
			}
			for b.Loop() {
				var wg sync.WaitGroup
				for range c.callers {
					wg.Go(func() {
						for range rounds {
							enqueue()
						}
					})
				}
				wg.Wait()
			}
			b.ReportMetric(float64(next.Load())/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

// BenchmarkClaim claims one operation of one lane and releases it. It alternates between a
// store with no other operation and a store with a million pending ones in 9,999 other
// lanes. All of them are due, and the claim does not ask for them.
func BenchmarkClaim(b *testing.B) {
	alone, beside := claimer(b, 1), claimer(b, 1_000_000)
	var few, many []time.Duration
	for b.Loop() {
		few = append(few, alone())
		many = append(many, beside())
	}
	slices.Sort(few)
	slices.Sort(many)
	b.ReportMetric(float64(many[len(many)/2].Nanoseconds())/1e3, "µs-claim")
	b.ReportMetric(float64(few[len(few)/2].Nanoseconds())/1e3, "µs-alone")
}

// claimer returns a function that claims one of n operations and returns how long that took.
func claimer(b *testing.B, n int) func() time.Duration {
	b.Helper()
	path := testPath(b)
	pending(b, path, n, min(n, 10_000))
	s := openTest(b, path, Config{noSync: true})
	q := store.ClaimRequest{Now: testTime(), Lanes: []store.LaneSlots{{Lane: "studio-0", Sends: 1}}}
	claims := own(b, s)
	return func() time.Duration {
		begun := time.Now()
		c, err := claims.Claim(b.Context(), q)
		took := time.Since(begun)
		if err != nil || len(c.Operations) != 1 {
			b.Fatal(len(c.Operations), err)
		}
		if err := claims.Release(b.Context(), c.Operations); err != nil {
			b.Fatal(err)
		}
		return took
	}
}

// BenchmarkMonth lets thirty days of operations begin and end, and prunes each evening to
// the newest hundredth. x-day is the file's size at the end, relative to its size after the
// first day. x-live is its size after the next Open, relative to the bytes of the keys and
// values that are left.
func BenchmarkMonth(b *testing.B) {
	for _, n := range []int{300_000, 10_000_000} {
		b.Run(fmt.Sprint("operations=", n), func(b *testing.B) {
			for b.Loop() {
				month(b, n)
			}
		})
	}
}

func month(b *testing.B, n int) {
	const days = 30
	path, live := testPath(b), n/100
	s := openTest(b, path, Config{noSync: true})
	var sizes []int64
	for day := range days {
		for first := day * n / days; first < (day+1)*n/days; first += 10_000 {
			lifeOf(b, s, first, min(10_000, (day+1)*n/days-first))
		}
		sizes = append(sizes, sizeOf(b, s))
		keep := store.Retention{EndedSince: numberedTime((day+1)*n/days - live), Events: live}
		if _, err := s.Prune(b.Context(), keep); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(sizes[days-1])/float64(sizes[0]), "x-day")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	s = openTest(b, path, Config{noSync: true})
	r, err := s.Check(b.Context())
	if err != nil || len(r.Problems) > 0 || r.Operations != live || r.Events != live {
		b.Fatalf("%+v, %v", r, err)
	}
	compacted := sizeOf(b, s)
	b.ReportMetric(float64(compacted)/float64(payload(b, s)), "x-live")
	b.ReportMetric(float64(sizes[days-1])/(1<<20), "MiB-day")
	b.ReportMetric(float64(compacted)/(1<<20), "MiB-live")
}

// numberedTime returns when operation i of lifeOf ends.
func numberedTime(i int) time.Time { return testTime().Add(time.Duration(i) * time.Second) }

// lifeOf carries n operations from their beginning to their end.
func lifeOf(b *testing.B, s *Store, first, n int) {
	b.Helper()
	ops := make([]store.Operation, n)
	for i := range ops {
		ops[i] = testOp(numbered(first + i))
	}
	got, err := s.Enqueue(b.Context(), ops)
	if err != nil {
		b.Fatal(err)
	}
	for _, to := range []fsm.Phase{fsm.PhaseStarting, fsm.PhaseSucceeded} {
		changes := make([]store.Change, n)
		for i := range got {
			o := &got[i].Operation
			from := o.Phase
			o.Phase, o.Session, o.Sent = to, fsm.StateStartInProgress, store.SentAccepted
			o.SentAt, o.LastSentAt, o.AcceptedAt = testTime(), testTime(), testTime()
			if to.Ended() {
				o.FinishedAt, o.Session = numberedTime(first+i), fsm.StateReady
			}
			changes[i] = store.Change{Operation: *o, Events: []store.Event{
				{Operation: o.ID, Ref: o.Ref, From: from, To: to, Session: o.Session, At: testTime()},
			}}
		}
		errs, err := s.Apply(b.Context(), changes)
		for i := range changes {
			if err == nil {
				err = errs[i]
			}
			got[i].Operation.Version++
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// payload returns how many bytes of keys and values a store holds.
func payload(b *testing.B, s *Store) (sum int) {
	b.Helper()
	err := s.view(b.Context(), func(bs format.Buckets) error {
		for _, name := range format.BucketNames() {
			err := bs.Tx.Bucket([]byte(name)).ForEach(func(k, v []byte) error {
				sum += len(k) + len(v)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return sum
}

func sizeOf(b *testing.B, s *Store) int64 {
	b.Helper()
	st, err := s.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return st.Bytes
}
