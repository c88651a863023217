package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

func (t *tool) serveCommand() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run, and serve the API to other machines",
		Long: `Run the engine, and serve its API to other programs and machines.

Serve does what "rouse run" does, and listens on a TCP port as well:
  /v1/...          the API; /openapi.json describes it
  /2020-08-01/...  the Nimble protocol, for "aws nimble" and boto3, if the
                   settings have access keys
  /livez, /readyz  for a supervisor; they need no credentials

Every other request needs credentials: an access token, an ID token or, for
the Nimble protocol, an access key. A request from this machine is no
exception.

If another process runs the engine, serve waits until that process ends.

Exit status:
  0  interrupted
  1  the port cannot be used, or the engine failed
  2  wrong usage`,
		Example: `  rouse serve --listen 127.0.0.1:8282
  rouse serve --listen 127.0.0.1:0 --json`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := t.provider.load()
			if err != nil {
				return err
			}
			listen = cmp.Or(listen, s.Serve.Listen, "127.0.0.1:8282")
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("--listen %s: %w", listen, err)
			}
			defer l.Close() // Serve closes it; this is for the case that it never begins
			t.db.mayMake = true
			t.needsFile, t.waitsTurn = true, true
			return t.with(func() (transport.Transport, error) { return t.provider.client(c.Context()) },
				func(h *host) error {
					return t.run(c.Context(), h, runFlags{serve: func() (func() error, error) { return t.listen(h, l) }})
				})
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "`ADDRESS` to listen on; port 0 takes a free one (default listen of the settings, or else 127.0.0.1:8282)")
	return c
}

// listen serves an engine on l until the function that it returns is called.
func (t *tool) listen(h *host, l net.Listener) (stop func() error, err error) {
	guard, err := t.guard(h.tokens)
	if err != nil {
		return nil, err
	}
	keys, err := t.accessKeys()
	if err != nil {
		return nil, err
	}
	secure, err := t.secured(l)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", guard.Protect(api.Handler(h.engine, h.local.Config)))
	if len(keys) > 0 {
		mux.Handle("/2020-08-01/", guard.Site(nimbleHandler(h.engine, keys, t.logger())))
	}
	health := &health{host: h}
	mux.HandleFunc("GET /livez", health.live)
	mux.HandleFunc("GET /readyz", health.ready)
	s := api.NewServer(secure, mux, t.logger())
	url := "http://" + l.Addr().String()
	if secure != l {
		url = "https://" + l.Addr().String()
	}
	if t.json {
		t.screen.record(map[string]string{"listening": url})
	} else {
		t.screen.say("listening on %s", url)
	}
	return s.Close, nil
}

// health answers a supervisor. It says nothing about what is stored.
type health struct {
	host *host

	mu      sync.Mutex
	written time.Time // when a commit was last tried
	err     error     // of that commit
}

// healthTime is how long a supervisor's question may take, and how long the answer of a
// commit counts.
const healthTime = 2 * time.Second

func (s *health) live(w http.ResponseWriter, r *http.Request) {
	ctx, done := context.WithTimeout(r.Context(), healthTime)
	defer done()
	_, err := s.host.engine.Stats(ctx)
	answerHealth(w, err)
}

// ready reports whether the engine dispatches and its store commits.
func (s *health) ready(w http.ResponseWriter, r *http.Request) {
	ctx, done := context.WithTimeout(r.Context(), healthTime)
	defer done()
	st, err := s.host.engine.Stats(ctx)
	switch {
	case err != nil:
	case !st.Running:
		err = errors.New("the engine does not run")
	case st.Full != nil:
		err = st.Full
	default:
		err = s.commit(context.WithoutCancel(ctx)) // its result counts for the next question too
	}
	answerHealth(w, err)
}

// commit stores a small record, at most once in healthTime.
func (s *health) commit(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.written) > healthTime {
		s.err = s.host.store.PutRecord(ctx, store.Record{Kind: "health", Name: "ready", Value: []byte("1")})
		s.written = time.Now()
	}
	return s.err
}

func answerHealth(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, "not ok")
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}
