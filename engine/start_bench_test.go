package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/uuid"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// subject is an engine that is measured. Its file is checked afterwards.
type subject struct {
	*Engine
	path  string
	asked atomic.Int64 // for sessions, so far
}

func newSubject(b *testing.B, c Config) *subject {
	return newSubjectOf(b, studio.New(studio.Config{Any: true}), c)
}

func newSubjectOf(b *testing.B, t transport.Transport, c Config) *subject {
	b.Helper()
	s := &subject{path: filepath.Join(b.TempDir(), "rouse.db")}
	e, err := Open(s.path, t, c)
	if err != nil {
		b.Fatal(err)
	}
	s.Engine = e
	return s
}

// request returns a request for a session that was not requested yet.
func (s *subject) request() Request {
	return Request{Ref: Ref{StudioID: "studio", SessionID: "ws-" + strconv.FormatInt(s.asked.Add(1), 10)}}
}

func (s *subject) start() error {
	r, err := s.Start(context.Background(), s.request())
	if err == nil && !r.Created {
		err = fmt.Errorf("%s was joined", r.Operation.ID)
	}
	return err
}

// many starts n in few commits.
func (s *subject) many(b *testing.B, n int) {
	b.Helper()
	rs := make([]Request, n)
	for i := range rs {
		rs[i] = s.request()
	}
	got, err := s.StartAll(b.Context(), rs)
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range got {
		if r.Err != nil || !r.Created {
			b.Fatal(r.Created, r.Err)
		}
	}
}

// check closes the engine, opens the file again, and reads all its records.
func (s *subject) check(b *testing.B, ops, events int) {
	b.Helper()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	again, err := bolt.Open(s.path, bolt.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	r, err := again.Check(b.Context())
	if err != nil || len(r.Problems) > 0 {
		b.Fatal(err, r.Problems)
	}
	if r.Operations != ops || r.Events != events {
		b.Fatalf("the file holds %d operations and %d events, want %d and %d", r.Operations, r.Events, ops, events)
	}
}

// sizesOfStarts returns the lengths of the records of a start.
func sizesOfStarts(b *testing.B) sizes {
	b.Helper()
	s := newSubject(b, Config{})
	s.many(b, 1000)
	s.check(b, 1000, 1000)
	return sizesOf(b, s.path)
}

// crowd calls f n times by several callers, and returns how long that took.
func crowd(b *testing.B, callers, n int, f func() error) time.Duration {
	b.Helper()
	begun := time.Now()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for range (n + c) / callers {
				if err := f(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

func median[T int | float64 | time.Duration](of []T) T {
	slices.Sort(of)
	return of[len(of)/2]
}

// BenchmarkStart measures acknowledged starts in rounds. After each round it makes a round of
// the raw baseline. x-raw is the median of the engine's rate divided by the baseline's.
func BenchmarkStart(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			s, base := newSubject(b, Config{}), newRaw(b, sizesOfStarts(b))
			round := min(300*callers, 20_000)
			var rates, ratios []float64
			for b.Loop() {
				ours := crowd(b, callers, round, s.start)
				b.StopTimer()
				theirs := crowd(b, callers, round, func() error { _, err := base.start(); return err })
				rates = append(rates, float64(round)/ours.Seconds())
				ratios = append(ratios, theirs.Seconds()/ours.Seconds())
				b.StartTimer()
			}
			b.StopTimer()
			n := round * len(rates)
			s.check(b, n, n)
			base.check(b, n, n)
			b.ReportMetric(median(rates), "starts/s")
			b.ReportMetric(median(ratios), "x-raw")
		})
	}
}

// BenchmarkCeiling is BenchmarkStart of the baseline, which also encodes what it stores.
// That is the operation with its id, both records in CBOR with their sums, and the
// running hash of the feed. It makes no look-ups, keeps no tables and wakes no reader. So
// if the processor is the limit, no engine that writes such records can be faster.
func BenchmarkCeiling(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			s, base := newSubject(b, Config{}), newRaw(b, sizesOfStarts(b))
			round := min(300*callers, 20_000)
			var ratios []float64
			for b.Loop() {
				making := crowd(b, callers, round, func() error { return s.make(base) })
				theirs := crowd(b, callers, round, func() error { _, err := base.start(); return err })
				ratios = append(ratios, theirs.Seconds()/making.Seconds())
			}
			n := 2 * round * len(ratios)
			s.check(b, 0, 0)
			base.check(b, n, n)
			b.ReportMetric(median(ratios), "x-raw")
		})
	}
}

// make encodes the records of a start, and lets the baseline store as much.
func (s *subject) make(base *raw) error {
	var op store.Operation
	if err := s.operation(&op, s.request()); err != nil {
		return err
	}
	type record struct {
		Operation []byte `cbor:"1,keyasint"`
		Studio    string `cbor:"2,keyasint"`
		Session   string `cbor:"3,keyasint"`
		Phase     uint8  `cbor:"4,keyasint"`
		At, Until int64
	}
	id, err := uuid.Parse(string(op.ID))
	if err != nil {
		return err
	}
	r := record{Operation: id[:], Studio: op.Ref.StudioID, Session: op.Ref.SessionID, Phase: 1, At: op.CreatedAt.UnixNano(), Until: op.ExpiresAt.UnixNano()}
	for range 2 {
		text, err := cbor.Marshal(r)
		if err != nil {
			return err
		}
		sums.Add(crc32.ChecksumIEEE(text) + uint32(sha256.Sum256(text)[0]))
	}
	_, err = base.start()
	return err
}

// sums keeps the compiler from leaving a computation out.
var sums atomic.Uint32
