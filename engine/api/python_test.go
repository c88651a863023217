package api_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
)

// withToken gives the requests that have a token an identity.
func withToken(token string, who access.Identity, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer "+token {
			r = r.WithContext(access.NewContext(r.Context(), who))
		}
		h.ServeHTTP(w, r)
	})
}

// TestPython runs the client of examples/python, over TCP and over a socket.
func TestPython(t *testing.T) {
	t.Parallel()
	needs(t, "python3")
	b := newBench(t, admin)
	b.run(t)
	handler := api.Handler(b.engine, api.Config{Version: "1.2.3"})
	tcp := httptest.NewServer(withToken("rouse_1234", admin, handler))
	t.Cleanup(tcp.Close)
	socket := filepath.Join(b.folder, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Skipf("there are no sockets: %v", err)
	}
	local := &httptest.Server{Listener: l, Config: &http.Server{Handler: as(admin, handler)}}
	local.Start()
	t.Cleanup(local.Close)
	for name, args := range map[string][]string{"tcp": {tcp.URL, "rouse_1234"}, "socket": {socket}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithTimeout(t.Context(), 90*time.Second)
			defer stop()
			c := exec.CommandContext(ctx, "python3", append([]string{"-B", "-W", "error", "testdata/client.py"}, args...)...)
			c.Env = append(c.Environ(), "PYTHONPATH=../../examples/python")
			if out, err := c.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "done\n") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
