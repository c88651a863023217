package bolt

import (
	"testing"

	"github.com/rouse-dev/rouse/store"
)

// TestNoReaderHoldsATransaction: whoever has a record in hand, however long,
// keeps no page from being used again.
func TestNoReaderHoldsATransaction(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	ops := make([]store.Operation, 3*pageSize)
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
	if seen != 6*pageSize {
		t.Errorf("%d records were seen", seen)
	}
}
