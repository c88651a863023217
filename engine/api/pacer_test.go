package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/rouse-dev/rouse/engine/access"
)

// TestFlood: a client that asks faster than its rate is refused until a second has passed,
// and other clients are answered meanwhile.
func TestFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := (&pacer{next: http.NotFoundHandler(), limits: map[string]*rate.Limiter{}}).handler()
		status := func(name string) int {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			h.ServeHTTP(w, r.WithContext(access.NewContext(r.Context(), access.Identity{Name: name})))
			return w.Code
		}
		answered := 0
		for range 5 * peerRate {
			if status("flood") == http.StatusNotFound {
				answered++
			}
		}
		if answered != 2*peerRate {
			t.Errorf("of %d requests at once %d are answered, want %d", 5*peerRate, answered, 2*peerRate)
		}
		if got := status("other"); got != http.StatusNotFound {
			t.Errorf("another client gets %d", got)
		}
		time.Sleep(time.Second)
		if got := status("flood"); got != http.StatusNotFound {
			t.Errorf("after a second the client gets %d", got)
		}
	})
}
