package engine

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// faltering is a provider that starts sessions. Until well is set, its answers to starts are
// internal errors.
type faltering struct {
	*wire
	well    atomic.Bool
	largest atomic.Int64 // the most sessions of one read
}

func (w *faltering) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	s, err := w.wire.Start(ctx, in)
	if err == nil && !w.well.Load() {
		err = &transport.Error{Kind: transport.KindInternal}
	}
	return s, err
}

func (w *faltering) BatchGet(ctx context.Context, refs []Ref) ([]transport.Result, error) {
	w.largest.Store(max(w.largest.Load(), int64(len(refs))))
	return w.wire.BatchGet(ctx, refs)
}

// manyToSendAgain calls f with a hundred sessions that were started, and then stopped by
// hand. The answers to the starts were errors. A Run with a slow lane has just read all
// sessions. The provider forgets their tokens in two minutes.
func manyToSendAgain(t *testing.T, f func(b *bench, provider *faltering, ids []ID)) {
	scenario(t, studio.Config{TokenMemory: time.Hour}, Config{Lane: fast}, func(b *bench) {
		provider := &faltering{wire: &b.wire}
		b.close()
		b.open(provider)
		ids := b.startMany("studio", 100)
		b.goRun()
		b.after(2 * time.Second)
		b.close()
		b.open(provider)
		for i, id := range ids {
			b.want(id, fsm.PhaseQueued, "", 1)
			in := transport.StopInput{Ref: b.op(id).Ref, ClientToken: fmt.Sprint("by-hand-", i)}
			if _, err := b.studio.Stop(b.Context(), in); err != nil {
				b.Fatal(err)
			}
		}
		b.after(58 * time.Minute)
		b.cfg.Lane = func(string) LaneConfig { return LaneConfig{Rate: 0.5} }
		b.close()
		b.open(provider)
		provider.well.Store(true)
		b.wire.starts.Store(0)
		b.goRun()
		for b.wire.starts.Load() < 3 { // after the read that clears them all
			b.after(time.Second)
		}
		provider.largest.Store(0)
		f(b, provider, ids)
	})
}

// TestTokensForgottenMeanwhile: one read has cleared many operations for another send. The
// provider forgets their tokens before their turn comes.
func TestTokensForgottenMeanwhile(t *testing.T) {
	manyToSendAgain(t, func(b *bench, _ *faltering, ids []ID) {
		b.all(ids)
		for _, id := range ids {
			b.want(id, b.op(id).Phase, b.op(id).EndReason, 1)
		}
		ends := func(r store.Reason) int {
			return len(slices.DeleteFunc(slices.Clone(ids), func(id ID) bool { return b.op(id).EndReason != r }))
		}
		if n := ends(store.ReasonAmbiguous); n == 0 || n+ends(store.ReasonReturnedToStopped) < 100 {
			b.Errorf("%d ended ambiguous, %d returned to stopped", n, ends(store.ReasonReturnedToStopped))
		}
	})
}

// TestSleepBeforeTheResend: a host that sleeps before the second send reads the sessions
// again.
func TestSleepBeforeTheResend(t *testing.T) {
	manyToSendAgain(t, func(b *bench, provider *faltering, _ []ID) {
		b.skew.Store(int64(2 * time.Minute))
		b.after(10 * time.Second)
		if n := provider.largest.Load(); n < 50 {
			b.Errorf("after two minutes of sleep the largest read had %d sessions, want all that wait", n)
		}
	})
}
