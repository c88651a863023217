package bolt

import (
	"fmt"
	"testing"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// TestPruneLeavesNoRows checks that the rows that point to a pruned operation are removed
// with it. Otherwise the file would grow forever.
func TestPruneLeavesNoRows(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	for i := range 10 {
		o := testOp(numbered(i))
		o.ClientToken = fmt.Sprint("token-", i)
		rs, err := s.Enqueue(t.Context(), []store.Operation{o})
		if err != nil {
			t.Fatal(err)
		}
		o = rs[0].Operation
		o.Phase, o.FinishedAt = fsm.PhaseFailed, testTime()
		if _, err := s.Apply(t.Context(), []store.Change{{Operation: o}}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Prune(t.Context(), store.Retention{EndedSince: testTime().Add(1)}); n != 10 || err != nil {
		t.Fatalf("%d pruned, %v", n, err)
	}
	clean(t, s)
	err := s.db.View(func(tx *bbolt.Tx) error {
		for _, name := range []string{format.BucketOperations, format.BucketTokens, format.BucketEnded} {
			if n := tx.Bucket([]byte(name)).Stats().KeyN; n != 0 {
				t.Errorf("bucket %s: %d rows left", name, n)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
