package bolt

import (
	"sync"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// TestNoReaderHoldsATransaction checks that a caller that handles a record, however long,
// does not keep pages from being reused.
func TestNoReaderHoldsATransaction(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	ops := make([]store.Operation, 3*format.PageSize)
	for i := range ops {
		ops[i] = testOp(numbered(i))
	}
	if _, err := s.Enqueue(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
	open := func(who string) {
		t.Helper()
		if n := s.db.Stats().OpenTxN; n != 0 {
			t.Errorf("%s holds %d transactions", who, n)
		}
	}
	seen := 0
	for o, err := range s.List(t.Context(), store.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen%100 == 0 {
			open("a list at " + string(o.ID))
		}
	}
	for at := store.Cursor(""); ; {
		page, err := s.Events(t.Context(), at, 100)
		if err != nil {
			t.Fatal(err)
		}
		open("a reader of the feed")
		if len(page) == 0 {
			break
		}
		seen += len(page)
		at = page[len(page)-1].Cursor
	}
	if seen != 6*format.PageSize {
		t.Errorf("%d records were seen", seen)
	}
}

// TestFoundWhileItEnds checks that a look-up by session finds an operation before, during
// and after its end.
func TestFoundWhileItEnds(t *testing.T) {
	t.Parallel()
	s := openTest(t, quickPath(t), Quick())
	for i := range 200 {
		o := put(t, s, numbered(i))
		done := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					if got, err := s.BySession(t.Context(), o.Ref); err != nil || got.ID != o.ID {
						t.Errorf("%s: %v, %v", o.Ref, got.ID, err)
						return
					}
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
		o.Phase, o.EndReason, o.FinishedAt = fsm.PhaseExpired, store.ReasonExpired, testTime()
		errs, err := s.Apply(t.Context(), []store.Change{{Operation: o, Events: []store.Event{{Operation: o.ID, Ref: o.Ref, From: fsm.PhaseQueued, To: fsm.PhaseExpired, Reason: store.ReasonExpired, At: testTime()}}}})
		close(done)
		readers.Wait()
		if err != nil || errs[0] != nil {
			t.Fatal(err, errs)
		}
		if t.Failed() {
			return
		}
	}
}
