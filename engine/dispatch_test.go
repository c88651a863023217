package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestPlanKeepsTheBound: a claim asks for no more calls than there are free workers, over all
// lanes and overdue operations. Without a free worker it asks for nothing.
func TestPlanKeepsTheBound(t *testing.T) {
	scenario(t, studio.Config{}, Config{Lane: fast}, func(b *bench) {
		r := newRun(b.Context(), b.Engine, func() {})
		defer r.cut()
		b.after(decide.TrustAfter)
		r.deadline = b.now()
		const lanes = 100 // each begins with one call
		for i := range lanes {
			l := r.lane(fmt.Sprint("lane-", i))
			l.due.Send, l.due.Read, l.starts, l.batch = b.now(), b.now(), 3, 20
			r.ready.put(l, b.now())
		}
		for _, free := range []int{1000, 300, 257, 20, 1, 0, -1, -300} {
			r.inFlight = maxInFlight - free
			req := r.plan()
			calls := req.Overdue
			for _, room := range req.Lanes {
				calls += (room.Sends+2)/3 + (room.Reads+19)/20
				r.ready.put(r.lanes[room.Lane], b.now())
			}
			if req.Overdue < 0 || calls != min(max(0, free), maxClaims+lanes) {
				t.Errorf("%d workers free: a claim of %d overdue, and %d calls in all", free, req.Overdue, calls)
			}
		}
	})
}

// TestIdleLanesAreForgotten: a Run forgets idle lanes, unless something is stored of them.
func TestIdleLanesAreForgotten(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		b.goRun()
		for i := range 20 {
			lane := func(r *Request) { r.StudioID = fmt.Sprint("studio-", i) }
			id := b.start("ws-1", lane)
			b.all([]ID{id})
			b.want(id, fsm.PhaseSucceeded, "", 1)
			b.after(sweepEvery)
		}
		if err := b.Pause(b.Context(), "studio-19", "mo"); err != nil {
			t.Fatal(err)
		}
		b.after(time.Hour)
		b.all([]ID{b.start("ws-2")}) // housekeeping needs an awake dispatcher
		b.after(2 * sweepEvery)
		b.all([]ID{b.start("ws-3")})
		r := b.Engine.run
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.lanes) > 2 || len(r.stored) > 2 || r.stored["studio-19"] == nil {
			t.Errorf("%d lanes and %d stored lanes, and the paused lane is %v", len(r.lanes), len(r.stored), r.stored["studio-19"])
		}
	})
}
