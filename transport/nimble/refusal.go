package nimble

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"
)

// refusal is an error on its way to the wire.
type refusal struct {
	status     int
	code       string // X-Amzn-ErrorType
	detail     string // the body's more specific code, or "" for the same
	message    string
	context    map[string]string
	retryAfter time.Duration
	allow      string // of a 405
	silent     bool   // no answer at all: the connection is cut
}

// Error is code and message.
func (r *refusal) Error() string { return r.code + ": " + r.message }

func invalid(message string) error {
	return &refusal{status: http.StatusBadRequest, code: "ValidationException", message: message}
}

func noSuchPath() error {
	return &refusal{status: http.StatusNotFound, code: "UnknownOperationException", message: "no action has this path"}
}

func internalError() *refusal {
	return &refusal{status: http.StatusInternalServerError, code: "InternalServerErrorException",
		message: "an internal error has occurred"}
}

// refusalOf turns a provider's error into the wire's. An error that is no
// *transport.Error is not shown, as nobody vouches for its text.
//
// Kind Unknown says that no answer came, and so none is given: the connection is
// cut, and the client is left where the provider left us. Unreachable becomes an
// internal error, after which a client looks again. Credentials are passed on:
// a provider that wants others wants them from the one who asks.
func refusalOf(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	var e *transport.Error
	if !errors.As(err, &e) {
		return internalError()
	}
	out := &refusal{detail: e.Code, message: e.Message, context: e.Context, retryAfter: e.RetryAfter}
	switch e.Kind {
	case transport.KindUnknown:
		return &refusal{silent: true}
	case transport.KindUnreachable:
		return internalError()
	case transport.KindCredentials:
		out.status, out.code = http.StatusForbidden, "ExpiredTokenException"
		if kind, ok := commonKind(e.Code); ok && kind == transport.KindCredentials {
			out.code = e.Code
		}
	case transport.KindCapacity:
		out.detail = capacityCode
	}
	for _, m := range modelled {
		if m.kind == e.Kind {
			out.status, out.code = m.status, m.code
		}
	}
	if out.status == 0 {
		return internalError()
	}
	if out.message == "" {
		out.message = e.Kind.Error()
	}
	return out
}

// write sends the refusal in the wire's form.
func (r *refusal) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set(headerErrorType, printable.Clean(r.code, 128))
	if r.retryAfter > 0 {
		seconds := int64(math.Ceil(r.retryAfter.Seconds()))
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	if r.allow != "" {
		h.Set("Allow", r.allow)
	}
	body := errorBody{Message: printable.Clean(r.message, 512), Code: printable.Clean(r.detail, 128), Context: map[string]string{}}
	if body.Code == "" {
		body.Code = r.code
	}
	for k, v := range r.context {
		body.Context[printable.Clean(k, 128)] = printable.Clean(v, 512)
	}
	writeJSON(w, r.status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // a provider's time beyond the year 9999, for one
		status = http.StatusInternalServerError
		w.Header().Set(headerErrorType, internalError().code)
		body = []byte(`{"message":"the answer cannot be encoded","code":"InternalServerErrorException"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone needs no answer
}
