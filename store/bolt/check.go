package bolt

import (
	"context"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// Check reads every record of the store, and looks whether each is as it was
// written and whether they agree: the feed has no gap and its chain holds, tokens
// and sessions lead to the operations that they belong to, and no session has
// two active operations. It writes nothing. It reads in pages, so what changes
// meanwhile may be seen or not. The error is why it could not go on; what is
// damaged is in the report.
//
// It sees the damage of records. The pages below them were checked by Open; where
// they were damaged since, and Check comes upon it, the error is a *CorruptError.
func (s *Store) Check(ctx context.Context) (Report, error) {
	r, err := format.CheckDB(ctx, s.path, func(fn func(b format.Buckets) error) error { return s.view(ctx, fn) }, nil)
	for _, p := range r.Problems {
		s.note(p)
	}
	return r, err
}
