package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
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

// TestSessionsOfAnEndlessList: Sessions yields the listed sessions, and then an error that
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

// TestFailedStateSaysTheCodeOnce: a provider's message may begin with the code.
func TestFailedStateSaysTheCodeOnce(t *testing.T) {
	const code = "Server.InsufficientInstanceCapacity"
	for message, want := range map[string]string{
		code + ": no g5.xlarge": "the session is START_FAILED: " + code + ": no g5.xlarge",
		"no g5.xlarge":          "the session is START_FAILED: " + code + ": no g5.xlarge",
		code:                    "the session is START_FAILED: " + code,
		"":                      "the session is START_FAILED: " + code,
	} {
		t.Run(message, func(t *testing.T) {
			scenario(t, studio.Config{Boot: time.Hour}, Config{}, func(b *bench) {
				id := b.start("ws-1")
				b.goRun()
				b.after(time.Second)
				b.studio.Put(transport.Session{
					Ref: Ref{StudioID: "studio", SessionID: "ws-1"}, State: fsm.StateStartFailed, StatusCode: code, StatusMessage: message,
				})
				b.after(time.Minute)
				if got := b.op(id).LastError; got != want {
					t.Errorf("%q, want %q", got, want)
				}
			})
		})
	}
}
