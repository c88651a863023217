package paging_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/internal/paging"
	"github.com/rouse-dev/rouse/transport"
)

// TestBounds checks that reading stops an answer without an end at the first limit that
// it exceeds, and that the error names that limit.
func TestBounds(t *testing.T) {
	t.Parallel()
	own := errors.New("refused")
	for name, test := range map[string]struct {
		page  func(n int) (string, int64, error)
		delay time.Duration
		calls int
		want  string // "" means that it ends without an error
	}{
		"one page":      {page: func(int) (string, int64, error) { return "", 1, nil }, calls: 1},
		"three pages":   {page: func(n int) (string, int64, error) { return strings.Repeat("x", 3-n), 1, nil }, calls: 3},
		"a repeat":      {page: func(int) (string, int64, error) { return "x", 1, nil }, calls: 2, want: "page 2 repeats the token"},
		"in turn":       {page: func(n int) (string, int64, error) { return fmt.Sprint("x", n%3), 1, nil }, calls: 4, want: "page 4 repeats the token"},
		"without end":   {page: func(n int) (string, int64, error) { return fmt.Sprint(n), 1, nil }, calls: paging.GetCalls, want: "more than 50 pages"},
		"large":         {page: func(n int) (string, int64, error) { return fmt.Sprint(n), 10 << 20, nil }, calls: 7, want: "more than 64 MiB"},
		"large at last": {page: func(int) (string, int64, error) { return "", 65 << 20, nil }, calls: 1, want: "more than 64 MiB"},
		"slow":          {page: func(n int) (string, int64, error) { return fmt.Sprint(n), 1, nil }, delay: 9 * time.Second, calls: 7, want: "longer than 1m0s"},
		"a long token":  {page: func(int) (string, int64, error) { return strings.Repeat("x", 7<<10), 1, nil }, calls: 1, want: "token of more than 6144 bytes"},
		"its own error": {page: func(int) (string, int64, error) { return "", 0, own }, calls: 1, want: "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, calls := paging.New("ListThings", paging.GetCalls), 0
				var err error
				for more := true; more && err == nil; {
					more, err = r.Page(t.Context(), func(ctx context.Context) (string, int64, error) {
						calls++
						select {
						case <-time.After(test.delay):
						case <-ctx.Done():
							return "", 0, ctx.Err()
						}
						return test.page(calls)
					})
				}
				var e *transport.Error
				switch bound := errors.As(err, &e); {
				case calls != test.calls:
					t.Errorf("%d calls, want %d", calls, test.calls)
				case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
					t.Errorf("%v, want %q", err, test.want)
				case bound && (e.Kind != transport.KindInternal || !strings.Contains(e.Message, "the answer to ListThings does not end: ")):
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

// TestContextEnds checks that the end of the caller's context is not reported as a limit.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, done := context.WithTimeout(t.Context(), time.Second)
		defer done()
		_, err := paging.New("ListThings", paging.ListCalls).Page(ctx, func(ctx context.Context) (string, int64, error) {
			<-ctx.Done()
			return "", 0, ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, transport.KindInternal) {
			t.Errorf("%v", err)
		}
	})
}
