package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/internal/paging"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// endlessList is a provider whose list does not end.
type endlessList struct {
	transport.Transport
	calls int
	next  func(n int) string
}

func (l *endlessList) List(context.Context, transport.ListInput) (transport.ListOutput, error) {
	l.calls++
	return transport.ListOutput{
		Sessions:  []transport.Session{{Ref: Ref{StudioID: "studio", SessionID: fmt.Sprint("ws-", l.calls)}}},
		NextToken: l.next(l.calls),
	}, nil
}

// TestSessionsOfAnEndlessList: what was listed is yielded, and then an error that
// names the bound.
func TestSessionsOfAnEndlessList(t *testing.T) {
	for want, next := range map[string]func(int) string{
		"page 2 repeats the token": func(int) string { return "again" },
		"page 3 repeats the token": func(n int) string { return fmt.Sprint(n % 2) },
		"more than 1000 pages":     func(n int) string { return fmt.Sprint(n) },
	} {
		t.Run(want, func(t *testing.T) {
			scenario(t, studio.Config{}, Config{}, func(b *bench) {
				l := &endlessList{Transport: &stale{}, next: next}
				b.close()
				b.open(l)
				listed, last := 0, error(nil)
				for k, err := range b.Sessions(b.Context(), "studio") {
					if last = err; err == nil && k.Live {
						listed++
					}
				}
				if !errors.Is(last, paging.ErrEndless) || !strings.Contains(last.Error(), want) || listed != l.calls {
					t.Errorf("%d sessions of %d calls, %v; want %q", listed, l.calls, last, want)
				}
			})
		})
	}
}
