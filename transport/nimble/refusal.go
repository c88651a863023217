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

// refusal is an error in the form in which it is sent.
type refusal struct {
	status     int
	code       string // X-Amzn-ErrorType
	detail     string // the code in the body; "" means the same as code
	message    string
	context    map[string]string
	retryAfter time.Duration
	allow      string // the methods that the header of a 405 lists
	silent     bool   // whether to close the connection without an answer
}

// Error returns code and message.
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

// refusalOf returns the refusal for a provider's error. It does not show an error that is
// not a *transport.Error, because its text may hold anything.
//
// For KindUnknown there was no answer, so the client gets none. The handler closes the
// connection, and the client knows as little as this process. KindUnreachable becomes an
// internal error, after which a client reads the session. KindCredentials is passed on,
// because the client's credentials may be those that the provider wants.
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

// write sends the refusal.
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
	if err != nil { // for example, a provider's time is after the year 9999
		status = http.StatusInternalServerError
		w.Header().Set(headerErrorType, internalError().code)
		body = []byte(`{"message":"the answer cannot be encoded","code":"InternalServerErrorException"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}
