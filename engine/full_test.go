package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestFullStore: starts are refused before the store has no space left. Accepted operations
// are carried out to their ends. When old operations are pruned, starts are accepted
// again.
func TestFullStore(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Minute}, Config{Lane: fast, Keep: 2 * time.Hour}, func(b *bench) {
		b.db = bolt.Config{MaxSize: 1 << 20}
		b.restart()
		b.goRun()
		var ids []ID
		for full := false; !full; {
			r := Request{Ref: Ref{StudioID: "studio", SessionID: fmt.Sprintf("ws-%d", len(ids))}, Reason: strings.Repeat("y", maxText)}
			b.studio.Add(r.StudioID, r.SessionID)
			got, err := b.Start(b.Context(), r)
			switch {
			case errors.Is(err, store.ErrFull):
				full = true
			case err != nil:
				t.Fatal(err)
			default:
				ids = append(ids, got.Operation.ID)
			}
		}
		if len(ids) < 50 {
			t.Fatalf("%d starts fill a megabyte", len(ids))
		}
		if s, err := b.Stats(b.Context()); err != nil || !errors.Is(s.Full, store.ErrFull) || !s.Running {
			t.Errorf("Stats: full %v, running %v, %v", s.Full, s.Running, err)
		}
		b.after(30 * time.Second)
		b.wantWaiting(ids[0], WaitBooting) // not for space: polls have their own reserve
		b.all(ids)
		for _, id := range ids {
			b.want(id, fsm.PhaseSucceeded, "", 1)
		}
		b.after(5 * time.Hour) // the ended operations may be pruned
		b.start("again")       // wakes the Run, which prunes
		b.after(time.Minute)
		more := b.startMany("studio", len(ids)/2)
		b.all(more)
		if s, err := b.Stats(b.Context()); err != nil || s.Full != nil {
			t.Errorf("with space again, Stats has full %v, %v", s.Full, err)
		}
	})
}
