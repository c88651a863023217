package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// The figures of docs/performance.md in simulated time. go test -v shows them.

// single is a provider without batches: a call reads one session.
type single struct{ w *wire }

func (s single) Traits(ref Ref) transport.Traits { return s.w.Traits(ref) }

func (s single) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return s.w.Start(ctx, in)
}

func (s single) Get(ctx context.Context, ref Ref) (transport.Session, error) {
	return s.w.Get(ctx, ref)
}

// TestReadyIsNoticed: READY is noticed soon. The median lag is at most a quarter of the boot,
// and no lag is longer than the longest interval.
func TestReadyIsNoticed(t *testing.T) {
	for _, boot := range []time.Duration{5 * time.Second, 47 * time.Second, 3 * time.Minute, 11 * time.Minute} {
		for _, batches := range []bool{true, false} {
			t.Run(fmt.Sprintf("boot=%v/batches=%v", boot, batches), func(t *testing.T) {
				scenario(t, studio.Config{Boot: boot}, Config{Lane: fast}, func(b *bench) {
					if !batches {
						b.close()
						b.open(single{&b.wire})
					}
					b.goRun()
					ids := make([]ID, 100)
					for i := range ids {
						ids[i] = b.start(fmt.Sprint("ws-", i))
						b.after(370 * time.Millisecond)
					}
					b.all(ids)
					lags := make([]time.Duration, len(ids))
					longest := time.Duration(0)
					for i, id := range ids {
						op := b.op(id)
						lags[i] = op.FinishedAt.Sub(op.AcceptedAt.Add(boot))
						longest = max(longest, lags[i])
					}
					mid := median(lags)
					t.Logf("READY was noticed %v late at the median (%.0f %% of the boot), %v at most", mid, 100*mid.Seconds()/boot.Seconds(), longest)
					if mid > boot/4 || longest > decide.Polls.Most+decide.Polls.Most/decide.JitterPart {
						t.Errorf("READY was noticed %v late at the median, %v at most", mid, longest)
					}
				})
			})
		}
	}
}

// applies is a store that counts calls of Apply and their changes.
type applies struct {
	store.Store
	calls, changes atomic.Int64
}

func (a *applies) Apply(ctx context.Context, cs []store.Change) ([]error, error) {
	a.calls.Add(1)
	a.changes.Add(int64(len(cs)))
	return a.Store.Apply(ctx, cs)
}

// TestBatchesAreFewWrites: while a thousand sessions boot, their polls write nothing. Each
// call that shows READY sessions makes one commit.
func TestBatchesAreFewWrites(t *testing.T) {
	for _, batches := range []bool{true, false} {
		t.Run(fmt.Sprint("batches=", batches), func(t *testing.T) {
			scenario(t, studio.Config{Boot: 2 * time.Minute}, Config{Lane: fast}, func(b *bench) {
				if !batches {
					b.close()
					b.open(single{&b.wire})
				}
				a := &applies{Store: b.store}
				b.store = a
				ids := b.startMany("studio", 1000)
				b.goRun()
				b.after(time.Minute) // all are accepted, and boot
				calls, changes, reads := a.calls.Load(), a.changes.Load(), b.wire.reads.Load()
				b.all(ids)
				calls, changes, reads = a.calls.Load()-calls, a.changes.Load()-changes, b.wire.reads.Load()-reads
				t.Logf("in the second minute %d reads, and %d commits of %d changes", reads, calls, changes)
				if changes != 1000 {
					t.Errorf("%d changes of 1,000 sessions that became READY", changes)
				}
				if batches && calls > 40 {
					t.Errorf("%d commits of 1,000 sessions that became READY together", calls)
				}
			})
		})
	}
}

// TestThrottledShare: a provider that allows 20 calls a second refuses at most one call in
// twenty.
func TestThrottledShare(t *testing.T) {
	scenario(t, studio.Config{Throttle: 20, Latency: 20 * time.Millisecond},
		Config{Lane: func(string) LaneConfig { return LaneConfig{Rate: 100, Concurrency: 64} }}, func(b *bench) {
			p := &refusals{wire: &b.wire}
			b.close()
			b.open(p)
			ids := b.startMany("studio", 2000)
			b.goRun()
			b.after(10 * time.Second)
			calls, refused := p.calls(), p.refused.Load()
			b.after(90 * time.Second)
			calls, refused = p.calls()-calls, p.refused.Load()-refused
			t.Logf("%d calls in 90 s, 1,800 allowed, %d of them refused: %.0f %% of the rate used, %.1f %% refused",
				calls, refused, float64(calls-refused)/18, 100*float64(refused)/float64(calls))
			if calls-refused < 1530 || refused*20 > calls {
				t.Errorf("%d of %d calls refused; 1,800 were allowed", refused, calls)
			}
			b.all(ids)
			for _, id := range ids {
				b.want(id, fsm.PhaseSucceeded, "", 1)
			}
		})
}

// refusals counts the calls that a provider throttled.
type refusals struct {
	*wire
	refused atomic.Int64
}

func (r *refusals) calls() int64 { return r.starts.Load() + r.reads.Load() }

func (r *refusals) count(err error) {
	if errors.Is(err, transport.KindThrottled) {
		r.refused.Add(1)
	}
}

func (r *refusals) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	s, err := r.wire.Start(ctx, in)
	r.count(err)
	return s, err
}

func (r *refusals) Get(ctx context.Context, ref Ref) (transport.Session, error) {
	s, err := r.wire.Get(ctx, ref)
	r.count(err)
	return s, err
}

func (r *refusals) BatchGet(ctx context.Context, refs []Ref) ([]transport.Result, error) {
	out, err := r.wire.BatchGet(ctx, refs)
	r.count(err)
	return out, err
}
