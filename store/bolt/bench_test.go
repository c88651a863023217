package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/store"
)

// pending fills a store with n operations of 100 lanes.
func pending(t testing.TB, path string, n int) {
	t.Helper()
	s := openTest(t, path, Config{noSync: true})
	for first := 0; first < n; first += 10_000 {
		ops := make([]store.Operation, min(10_000, n-first))
		for i := range ops {
			ops[i] = testOp(numbered(first + i))
			ops[i].Ref.StudioID = fmt.Sprint("studio-", i%100)
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

// TestMemory shows what a pending operation costs in memory.
func TestMemory(t *testing.T) { // not parallel: it measures the heap
	const n = 100_000
	path := testPath(t)
	pending(t, path, n)
	before := heapBytes()
	s := openTest(t, path, Config{noSync: true})
	if each := float64(heapBytes()-before) / n; each > 70 {
		t.Errorf("%.1f bytes for each pending operation, want at most 70", each)
	}
	runtime.KeepAlive(s)
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint("pending=", n), func(b *testing.B) {
			path := testPath(b)
			pending(b, path, n)
			before := heapBytes()
			var s *Store
			for b.Loop() {
				s = openTest(b, path, Config{})
				b.StopTimer()
				b.ReportMetric(float64(heapBytes()-before)/float64(n), "heap-B/pending")
				b.ReportMetric(float64(heapBytes()-before)/(1<<20), "heap-MiB")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkClaim claims and releases ten of one lane: the backlog of the others
// must not matter.
func BenchmarkClaim(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint("pending=", n), func(b *testing.B) {
			path := testPath(b)
			pending(b, path, n)
			s := openTest(b, path, Config{noSync: true})
			q := store.ClaimRequest{Now: testTime(), Lanes: []store.Room{{Lane: "studio-7", Sends: 10}}}
			for b.Loop() {
				c, err := s.Claim(b.Context(), q)
				if err != nil || len(c.Operations) != 10 {
					b.Fatal(len(c.Operations), err)
				}
				if err := s.Release(b.Context(), c.Operations); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEnqueue measures starts a second from many callers, and beside it
// what a bare bbolt loop does with the same bytes and the same batches: x-raw is
// how many times as long ours takes.
func BenchmarkEnqueue(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			s := openTest(b, testPath(b), Config{})
			commits := 0
			s.committed = func(error) { commits++ }
			ops := make([]store.Operation, b.N)
			for i := range ops {
				ops[i] = testOp(numbered(i))
			}
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					for i := c; i < b.N; i += callers {
						if _, err := s.Enqueue(context.Background(), ops[i:i+1]); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			ours := b.Elapsed()
			b.ReportMetric(float64(b.N)/ours.Seconds(), "starts/s")
			b.ReportMetric(float64(ours)/float64(raw(b, b.N, max(1, b.N/max(1, commits)))), "x-raw")
		})
	}
}

// raw puts n pairs of records, batch a commit, into a bare bbolt file.
func raw(b *testing.B, n, batch int) time.Duration {
	b.Helper()
	db, err := bbolt.Open(testPath(b), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	value := make([]byte, 130)
	begun := time.Now()
	for first := 0; first < n; first += batch {
		err := db.Update(func(tx *bbolt.Tx) error {
			for _, name := range []string{"operations", "events"} {
				bkt, err := tx.CreateBucketIfNotExists([]byte(name))
				if err != nil {
					return err
				}
				for i := first; i < min(n, first+batch); i++ {
					if err := bkt.Put(binary.BigEndian.AppendUint64(nil, uint64(i)), value); err != nil { //nolint:gosec // small
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begun)
}
