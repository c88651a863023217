package main

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/transport/studio"
)

// holder is an engine of the test's process on a database, and its socket.
type holder struct {
	api.Engine
	explains atomic.Int32
	close    func() error
}

// Explain gives no answer at first, as if the process had ended. net/http asks twice.
func (h *holder) Explain(ctx context.Context, id engine.ID) (engine.Explanation, error) {
	if h.explains.Add(1) <= 2 {
		panic(http.ErrAbortHandler)
	}
	return h.Engine.Explain(ctx, id)
}

func hold(t *testing.T, home string) *holder {
	t.Helper()
	db := filepath.Join(home, "rouse.db")
	e, err := engine.Open(db, studio.New(studio.Config{Any: true}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{Engine: e}
	l, err := api.ListenLocal(h, db, api.LocalConfig{})
	if err != nil {
		t.Fatal(errors.Join(err, e.Close()))
	}
	h.close = func() error { return errors.Join(l.Close(), e.Close()) }
	t.Cleanup(func() { _ = h.close() })
	return h
}

// TestAcknowledgedStart: the process that acknowledged a start ends before it has said why
// the start waits. The command prints the start once, and does not wait for its end.
func TestAcknowledgedStart(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	h := hold(t, home)
	p := launch(t, environment(home), "start", "lab", "ws-1", "--json")
	p.exit(0)
	if n := strings.Count(p.out.String(), `"sessionId":"ws-1"`); n != 1 || h.explains.Load() != 3 {
		t.Errorf("printed %d times after %d explanations: %s", n, h.explains.Load(), p.out)
	}
}
