package bolt

import (
	"context"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// Check reads every record of the store. It checks that each is as it was written and
// that they agree. The feed must have no gap, and its chain must hold. Tokens and
// sessions must point to their operations, and a session has at most one active
// operation.
//
// Check writes nothing. It reads in pages, so it may or may not see what changes meanwhile.
// Damage of records is in the report. The error says why Check could not go on.
//
// Open has checked the pages below the records. If Check meets a page that was damaged since
// then, it returns a *CorruptError.
func (s *Store) Check(ctx context.Context) (Report, error) {
	r, err := format.CheckDB(ctx, s.path, func(fn func(b format.Buckets) error) error { return s.view(ctx, fn) }, nil)
	for _, p := range r.Problems {
		s.note(p)
	}
	return r, err
}
