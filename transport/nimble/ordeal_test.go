package nimble_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestHostileProviderEndsNothing runs an engine on a hostile provider. For a quarter of
// an hour, every request gets the same hostile answer; then answers are correct. The
// provider may start sessions during that time without saying so. No operation ends
// because of it, and no session is started twice.
func TestHostileProviderEndsNothing(t *testing.T) {
	t.Parallel()
	each := uint64(scale.Of(t, 8, 1, 1)) // indices of the rows
	from := scale.Seed(t) % each
	for i, row := range hostiles() {
		if uint64(i)%each != from {
			continue
		}
		for name, works := range map[string]bool{"that works": true, "that does nothing": false} {
			if row.lie && !works {
				continue
			}
			t.Run(row.name+", "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { ordeal(t, row, works) })
			})
		}
	}
}

// answered returns the answer of a correct handler to a request.
func answered(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer
}

func ordeal(t *testing.T, row hostile, works bool) {
	s := studio.New(studio.Config{Boot: time.Minute})
	honest := nimble.Handler(s, nimble.HandlerConfig{Credentials: nimble.Keys(credentials), Region: region})
	var well, called atomic.Bool
	n := &cable{}
	n.serve = func(c net.Conn, r *http.Request, echo []byte) {
		if well.Load() {
			_ = answered(honest, r).Result().Write(c)
			return
		}
		if works && strings.HasSuffix(r.URL.Path, "/start") {
			_ = answered(honest, r)
		}
		called.Store(true)
		row.say(c, echo)
	}
	client := dial("http://studio.example.com", n.client())
	e, err := engine.Open(filepath.Join(t.TempDir(), "rouse.db"), client, engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()

	var ids []engine.ID
	refs := refsOf("ws-1", "ws-2", "ws-3") // several sessions, so that the engine reads them by lists
	if row.lie {
		refs = refs[:1] // the answer names one session
	}
	for _, ref := range refs {
		s.Add(ref.StudioID, ref.SessionID)
		got, err := e.Start(ctx, engine.Request{Ref: ref})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got.Operation.ID)
	}
	time.Sleep(15 * time.Minute)
	if !called.Load() {
		t.Error("the provider got no request")
	}
	for _, id := range ids {
		if op, err := e.Get(ctx, id); err != nil || op.Phase.Ended() {
			t.Errorf("%s is %s (%s) %s, %v", op.Ref, op.Phase, op.EndReason, op.LastError, err)
		}
	}
	well.Store(true)
	limited, cancel := context.WithTimeout(ctx, 3*time.Hour)
	for i, id := range ids {
		if op, err := e.Wait(limited, id); err != nil || op.Phase != fsm.PhaseSucceeded || s.Effects(refs[i]) != 1 {
			t.Errorf("%s: %s (%s) %s, started %d times, %v", refs[i], op.Phase, op.EndReason, op.LastError, s.Effects(refs[i]), err)
		}
	}
	cancel()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	n.serving.Wait()
}
