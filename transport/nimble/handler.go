package nimble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"
)

// maxBody is how many bytes a request's body may have.
const maxBody = 64 << 10

// HandlerConfig configures a [Handler]. With the zero value the Handler serves every
// caller.
type HandlerConfig struct {
	// Credentials returns the credentials of an access key id, or the zero
	// aws.Credentials if there are none. If it returns an error, the client gets an
	// internal error, and only the Logger gets the text. See [Keys].
	//
	// Nil means that NO SIGNATURE IS VERIFIED. Everyone who can reach the Handler can
	// start and delete sessions. Use nil for loopback and tests only.
	Credentials func(ctx context.Context, accessKeyID string) (aws.Credentials, error)
	// Region is the region that requests must be signed for. The empty string means any
	// region.
	Region string
	// Logger gets refused signatures, failures and panics. Nil means no logging.
	Logger *slog.Logger
}

// Keys returns a function for [HandlerConfig] that knows a fixed set of credentials.
func Keys(credentials ...aws.Credentials) func(context.Context, string) (aws.Credentials, error) {
	byKey := make(map[string]aws.Credentials, len(credentials))
	for _, c := range credentials {
		byKey[c.AccessKeyID] = c
	}
	return func(_ context.Context, accessKeyID string) (aws.Credentials, error) {
		return byKey[accessKeyID], nil
	}
}

// Handler serves the protocol's six actions from p, at the paths of the protocol. A host
// that mounts it below a prefix must strip the prefix first. It keeps nothing between
// requests and is safe for concurrent use.
//
// A panic of p becomes an internal error. The host's http.Server sets time-outs, and the
// limits of headers and connections.
func Handler(p Provider, c HandlerConfig) http.Handler {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &handler{provider: p, config: c}
}

type handler struct {
	provider Provider
	config   HandlerConfig
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := uuid.NewString()
	w.Header().Set(headerRequestID, id)
	body, err := h.serve(w, r, id)
	if err == nil {
		writeJSON(w, http.StatusOK, body)
		return
	}
	out := refusalOf(err)
	if out.silent {
		panic(http.ErrAbortHandler)
	}
	if out.status == http.StatusInternalServerError {
		h.config.Logger.Error("nimble: internal error", "request", id, "method", r.Method, "path", r.URL.EscapedPath(), "error", err.Error())
	}
	out.write(w)
}

// serve returns the answer's body. Nothing is written before it has returned, so a
// panic can still become an answer.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, id string) (out any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			if cause == http.ErrAbortHandler { //nolint:errorlint // the value itself, as net/http compares it
				panic(cause)
			}
			h.config.Logger.Error("nimble: panic", "request", id, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
			out, err = nil, internalError()
		}
	}()
	path, err := wirePath(r.URL)
	if err != nil {
		return nil, err
	}
	rt, err := routeOf(r.Method, path)
	if err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid("the query cannot be read")
	}
	in := arrival{ref: rt.ref, header: r.Header, query: query}
	if in.body, in.mac, err = h.admit(w, r, id); err != nil {
		return nil, err
	}
	return rt.action(r.Context(), h.provider, in)
}

// admit verifies the signature and returns the body, which it covers.
func (h *handler) admit(w http.ResponseWriter, r *http.Request, id string) (body, mac []byte, err error) {
	if h.config.Credentials == nil {
		body, err = readRequest(w, r)
		return body, nil, err
	}
	s, err := parseSignature(r, h.config.Region)
	if err != nil {
		h.refused(r, id, err)
		return nil, nil, err
	}
	if body, err = readRequest(w, r); err != nil {
		return nil, nil, err
	}
	credentials, err := h.config.Credentials(r.Context(), s.accessKey)
	if err != nil {
		return nil, nil, fmt.Errorf("nimble: credentials: %v", err) //nolint:errorlint // the client must not see its kind
	}
	if err := s.verify(r, body, credentials); err != nil {
		h.refused(r, id, err)
		return nil, nil, err
	}
	return body, s.mac, nil
}

func (h *handler) refused(r *http.Request, id string, err error) {
	h.config.Logger.Warn("nimble: signature refused", "request", id, "remote", r.RemoteAddr, "error", err.Error())
}

func readRequest(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	large := &refusal{status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLargeException",
		message: fmt.Sprintf("the request body is larger than %d bytes", maxBody)}
	if r.ContentLength > maxBody {
		return nil, large
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, large
	case errors.Is(err, os.ErrDeadlineExceeded): // the network is slow; the request may be right
		return nil, &refusal{status: http.StatusRequestTimeout, code: "RequestTimeout", message: "the request body did not come in time"}
	case err != nil:
		return nil, invalid("the request body cannot be read")
	}
	return body, nil
}
