package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// starter is a provider that starts a hundred sessions by one call.
type starter struct {
	*wire
	calls, lost atomic.Int64
}

func (s *starter) Traits(ref Ref) transport.Traits {
	tr := s.wire.Traits(ref)
	tr.MaxStarts = 100
	return tr
}

func (s *starter) BatchStart(ctx context.Context, ins []transport.StartInput) ([]transport.Result, error) {
	s.calls.Add(1)
	out := make([]transport.Result, len(ins))
	for i, in := range ins {
		out[i].Session, out[i].Err = s.Start(ctx, in)
	}
	if s.lost.Add(-1) >= 0 { // the answer to the whole batch is lost
		return nil, errors.New("the connection was cut")
	}
	return out, nil
}

// TestBatchStarts: sends that are due together share a call and a commit. A member that is
// refused or canceled does not affect the others. A lost answer is lost for all members,
// and no session is started twice.
func TestBatchStarts(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Minute}, Config{Lane: fast}, func(b *bench) {
		s := &starter{wire: &b.wire}
		b.close()
		b.open(s)
		ids := b.startMany("studio", 500)
		missing, err := b.Start(b.Context(), Request{Ref: Ref{StudioID: "studio", SessionID: "missing"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Cancel(b.Context(), ids[0], ""); err != nil {
			t.Fatal(err)
		}
		s.lost.Store(2)
		b.goRun()
		b.all(append(ids, missing.Operation.ID))
		b.want(ids[0], fsm.PhaseCanceled, store.ReasonCanceled, 0)
		b.want(missing.Operation.ID, fsm.PhaseFailed, store.ReasonNotFound, 0)
		for _, id := range ids[1:] {
			b.want(id, fsm.PhaseSucceeded, "", 1)
		}
		if n := s.calls.Load(); n > 12 {
			t.Errorf("500 sessions were started by %d calls", n)
		}
	})
}
