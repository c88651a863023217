package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/rouse-dev/rouse/engine/access"
)

// The headers by which a server says that it is one, and which.
const (
	headerAPI     = "Rouse-API"
	headerVersion = "Rouse-Version"
	apiVersion    = "1"
)

// Limits of a request's body: bytes, seconds, values and faults.
const (
	maxBody      = 1 << 20
	maxBatchBody = 8 << 20
	maxValues    = 100_000 // in a body: 4,096 requests with 24 members and labels each
	maxFaults    = 20      // of a body, that an answer names
	bodyTime     = 30 * time.Second
)

const batchPath = "/v1/operations/batch"

// Config configures a handler. The zero value works.
type Config struct {
	// Version is the program's version, which clients show if they do not fit together.
	Version string
	// Folder is where a backup is written before it is sent. Give the folder of the
	// database, which has the space. Defaults to the system's folder for temporary
	// files.
	Folder string
	// Tokens manages the access tokens of the engine's store. Without it, the routes for
	// tokens answer "unsupported".
	Tokens Tokens
}

// server serves one engine.
type server struct {
	engine Engine
	config Config
	build  func() // makes the routes by the first request, since most engines are asked nothing
	mux    *http.ServeMux
	api    huma.API
}

// Handler returns the handler of e. Each request must carry its identity in its context
// (access.NewContext); a request without one is answered with 401. Requests of any
// number of goroutines may be served at a time.
//
// The caller's http.Server limits headers, connections and time. A stream ends with the
// context of its request, so give the server a BaseContext, and end that before Shutdown.
func Handler(e Engine, c Config) http.Handler {
	s := &server{engine: e, config: c, mux: http.NewServeMux()}
	s.build = sync.OnceFunc(func() {
		s.api = humago.New(s.mux, s.humaConfig())
		s.routes()
		s.tokenRoutes()
		s.document()
	})
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w = &patient{w}
	if _, ok := access.FromContext(r.Context()); !ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeProblem(w, problemOf(ErrUnauthenticated))
		return
	}
	s.build()
	w.Header().Set(headerAPI, apiVersion)
	w.Header().Set(headerVersion, s.config.Version)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if _, pattern := s.mux.Handler(r); pattern == "" {
		writeProblem(w, problemOf(fmt.Errorf("%w: %s %.200s; GET /openapi.json names what there is", ErrUnknownRoute, r.Method, r.URL.Path)))
		return
	}
	if err := readBody(w, r); err != nil {
		w.Header().Set("Connection", "close") // the rest of the body is not read
		writeProblem(w, problemOf(err))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// readBody reads the whole body of r, within its limits. A body whose length says that
// it is too large is not read. It then lifts the deadline for reads, at which net/http
// would end the context of a request that is still served.
func readBody(w http.ResponseWriter, r *http.Request) error {
	limit := int64(maxBody)
	if r.URL.Path == batchPath {
		limit = maxBatchBody
	}
	if r.ContentLength > limit {
		return fmt.Errorf("%w: the body has %d bytes, and at most %d are allowed", ErrTooLarge, r.ContentLength, limit)
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // not every writer has deadlines
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fmt.Errorf("%w: the body has more than %d bytes", ErrTooLarge, limit)
	case err != nil:
		return fmt.Errorf("%w: read the body: %w", ErrRequest, err)
	}
	if values(text) > maxValues {
		return fmt.Errorf("%w: the body has more than %d values", ErrTooLarge, maxValues)
	}
	_ = control.SetReadDeadline(time.Time{})
	r.Body = io.NopCloser(bytes.NewReader(text))
	return nil
}

// values returns about how many values a JSON text has. Each costs far more memory than
// its text once it is parsed and checked.
func values(text []byte) int {
	n, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

func writeProblem(w http.ResponseWriter, p *problem) {
	text, err := json.Marshal(p)
	if err != nil {
		http.Error(w, "the problem cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", problemContent)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(text) // the client may be gone
}

func (s *server) humaConfig() huma.Config {
	c := huma.DefaultConfig("rouse", apiVersion)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil // no $schema link in each answer
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{asProblem}
	c.Components.Schemas = newRegistry()
	return c
}

// asProblem makes a problem of an error of huma, which says what is wrong with the form
// of a request. It leaves out the values, which may be secret or large.
func asProblem(_ huma.Context, _ string, v any) (any, error) {
	if _, ok := v.(*problem); ok {
		return v, nil
	}
	failed, ok := v.(huma.StatusError)
	if !ok {
		return v, nil
	}
	t := typeOf(ErrRequest)
	if failed.GetStatus() >= http.StatusInternalServerError {
		t = typeOf(failed)
	}
	p := newProblem(t, failed.GetStatus(), "api: "+failed.Error())
	if m, ok := v.(*huma.ErrorModel); ok {
		var wrong []string
		for _, d := range m.Errors[:min(len(m.Errors), maxFaults)] {
			p.Errors = append(p.Errors, problemField{d.Location, d.Message})
			wrong = append(wrong, d.Location+": "+d.Message)
		}
		if len(wrong) > 0 {
			p.Detail += ": " + strings.Join(wrong, "; ")
		}
	}
	return p, nil
}

// need is what a route asks of an identity.
type need struct {
	action access.Action
	all    bool // the scope must be empty: the route concerns the engine as a whole
}

// String says who may use the route.
func (n need) String() string {
	least := access.RoleViewer
	for !(access.Identity{Role: least}).May(n.action) && least < access.RoleAdmin {
		least++
	}
	if n.all && least < access.RoleAdmin { // an admin has no scope
		return least.String() + " without a scope"
	}
	return least.String()
}

// check returns ErrRole or ErrScope if the identity does not have what n asks.
func (n need) check(who access.Identity) error {
	switch {
	case !who.May(n.action):
		return fmt.Errorf("%w: %s is %v", ErrRole, who.Name, who.Role)
	case n.all && len(who.Scope) > 0:
		return fmt.Errorf("%w: this concerns every session, and %s has %v", ErrScope, who.Name, who.Scope)
	}
	return nil
}

// add adds a route. The identity is checked before the request is parsed.
func add[I, O any](s *server, o huma.Operation, n need, serve func(context.Context, access.Identity, *I) (*O, error)) {
	if o.Responses == nil {
		o.Responses = map[string]*huma.Response{}
	}
	o.Responses["default"] = s.response("An error", problemContent, reflect.TypeFor[problem]())
	o.BodyReadTimeout, o.MaxBodyBytes = -1, -1 // the body is read
	o.Extensions = map[string]any{"x-rouse-role": n.String()}
	o.Middlewares = huma.Middlewares{func(c huma.Context, next func(huma.Context)) {
		who, _ := access.FromContext(c.Context())
		if err := n.check(who); err != nil {
			_, w := humago.Unwrap(c)
			writeProblem(w, problemOf(err))
			return
		}
		next(c)
	}}
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*O, error) {
		who, _ := access.FromContext(ctx)
		out, err := serve(ctx, who, in)
		if err != nil {
			return nil, visible(problemOf(err), who)
		}
		return out, nil
	})
}

// visible takes out of p an operation that is outside of the scope of who.
func visible(p *problem, who access.Identity) *problem {
	if p.Holder != nil && !who.Covers(p.Holder.Ref) {
		p.Holder = nil
		p.Detail = "api: the client token belongs to a session outside of the scope"
	}
	return p
}
