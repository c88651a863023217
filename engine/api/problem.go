package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
)

// Errors of the API itself. The client returns those of the engine as well.
var (
	// ErrUnauthenticated: the request has no identity.
	ErrUnauthenticated = errors.New("api: the request has no valid credentials")
	// ErrRole: the identity's role does not allow the action.
	ErrRole = errors.New("api: the role does not allow this")
	// ErrScope: a session, or the engine as a whole, is outside of the identity's scope.
	ErrScope = errors.New("api: outside of the scope")
	// ErrRequest: the request is not of a form that the server accepts.
	ErrRequest = errors.New("api: the request has the wrong form")
	// ErrTooLarge: the request's body is over the limit.
	ErrTooLarge = errors.New("api: the request is too large")
	// ErrTooMany: the client sends requests too fast. Ask again in a second.
	ErrTooMany = errors.New("api: too many requests")
	// ErrUnknownRoute: the server's version does not have the route.
	ErrUnknownRoute = errors.New("api: the server does not know this call")
	// ErrNoAnswer: the server gave no answer, or only a part of one.
	ErrNoAnswer = errors.New("api: no answer")
)

// typePrefix and a word of problemTypes make the type of a problem.
const typePrefix = "urn:rouse:problem:"

// problemType is one kind of answer that is an error. Its word is stable.
type problemType struct {
	word   string
	status int
	title  string
	err    error // what errors.Is finds on both sides; nil: the type has its own rule
}

// problemTypes maps errors to problems for the handler, and problems to errors for the
// client. The first row whose error is found counts. Words are append only.
var problemTypes = []problemType{
	{"cursor", http.StatusGone, "the feed cannot go on from this cursor", nil}, // a *engine.CursorError
	{"unknown_outcome", http.StatusServiceUnavailable, "the outcome of the commit is unknown", engine.ErrUnknown},
	{"full", http.StatusInsufficientStorage, "the store is full", engine.ErrFull},
	{"failed", http.StatusServiceUnavailable, "the store met an error and is shut", engine.ErrFailed},
	{"corrupt", http.StatusInternalServerError, "a record is corrupt", engine.ErrCorrupt},
	{"closed", http.StatusServiceUnavailable, "the engine is closed", engine.ErrClosed},
	{"not_found", http.StatusNotFound, "no such operation", engine.ErrNotFound},
	{"active", http.StatusConflict, "another operation is active for the session", engine.ErrActive},
	{"token_reused", http.StatusConflict, "the client token belongs to another session", engine.ErrTokenReused},
	{"expired", http.StatusUnprocessableEntity, "the request has expired", engine.ErrExpired},
	{"not_ended", http.StatusConflict, "the operation has not ended", engine.ErrNotEnded},
	{"unknown_lane", http.StatusNotFound, "no such lane", engine.ErrUnknownLane},
	{"unsupported", http.StatusNotImplemented, "the store or the provider cannot do this", errors.ErrUnsupported},

	{"unauthenticated", http.StatusUnauthorized, "no valid credentials", ErrUnauthenticated},
	{"role", http.StatusForbidden, "the role does not allow this", ErrRole},
	{"scope", http.StatusForbidden, "outside of the scope", ErrScope},
	{"request", http.StatusUnprocessableEntity, "the request has the wrong form", ErrRequest},
	{"too_large", http.StatusRequestEntityTooLarge, "the request is too large", ErrTooLarge},
	{"too_many", http.StatusTooManyRequests, "too many requests", ErrTooMany},
	{"unknown_route", http.StatusNotFound, "no such route", ErrUnknownRoute},

	{"no_access_token", http.StatusNotFound, "no such access token", access.ErrNoToken},
	{"access_token_revoked", http.StatusConflict, "the access token was revoked", access.ErrRevoked},

	{"invalid", http.StatusBadRequest, "the request cannot be right", engine.ErrorKindInvalid},
	{"session_not_found", http.StatusNotFound, "the provider knows no such session", engine.ErrorKindNotFound},
	{"provider_access_denied", http.StatusBadGateway, "the provider refuses access", engine.ErrorKindAccessDenied},
	{"provider_conflict", http.StatusBadGateway, "the provider reports a conflict", engine.ErrorKindConflict},
	{"provider_quota", http.StatusBadGateway, "the account's quota is used up", engine.ErrorKindQuotaExceeded},
	{"provider_throttled", http.StatusBadGateway, "the provider throttles", engine.ErrorKindThrottled},
	{"provider_capacity", http.StatusBadGateway, "the provider has no machine to give now", engine.ErrorKindCapacity},
	{"provider_credentials", http.StatusBadGateway, "the provider refuses the credentials", engine.ErrorKindCredentials},
	{"provider_internal", http.StatusBadGateway, "the provider failed", engine.ErrorKindInternal},
	{"provider_unreachable", http.StatusGatewayTimeout, "the provider cannot be reached", engine.ErrorKindUnreachable},
	{"provider_unknown", http.StatusGatewayTimeout, "the provider gave no answer", engine.ErrorKindUnknown},

	{"timeout", http.StatusGatewayTimeout, "the request took too long", context.DeadlineExceeded},
	{"canceled", http.StatusServiceUnavailable, "the request was cut off", context.Canceled},
	{"internal", http.StatusInternalServerError, "another error", nil}, // any other error
}

// typeOf returns the row of an error. It is never nil.
func typeOf(err error) *problemType {
	var cursor *engine.CursorError
	if errors.As(err, &cursor) {
		return &problemTypes[0]
	}
	for i := range problemTypes {
		if t := &problemTypes[i]; t.err != nil && errors.Is(err, t.err) {
			return t
		}
	}
	return &problemTypes[len(problemTypes)-1]
}

// problem is the body of an answer that is an error, as RFC 9457 has it. Type, title and
// status are those of problemTypes, and detail is the text of the error.
type problem struct {
	Type   string         `json:"type" doc:"Names the kind of error: urn:rouse:problem: and a word. It is stable."`
	Title  string         `json:"title" doc:"The kind of error in words."`
	Status int            `json:"status" doc:"The HTTP status."`
	Detail string         `json:"detail" doc:"What failed, on what value, and what to do next."`
	Errors []problemField `json:"errors,omitempty" doc:"The parts of the request that are wrong."`

	Holder    *engine.Operation     `json:"holder,omitempty" doc:"The operation in the way (active, token_reused)."`
	Operation *engine.Operation     `json:"operation,omitempty" doc:"The operation that the request concerns (expired, not_ended)."`
	Cursor    *problemCursor        `json:"cursor,omitempty" doc:"Why the feed cannot go on (cursor)."`
	Provider  *problemProvider      `json:"provider,omitempty" doc:"What the provider, or a check of the request, said."`
	Session   *engine.SessionStatus `json:"session,omitempty" doc:"What is known of the session that could not be read."`
}

// problemField names a part of a request that is wrong.
type problemField struct {
	Location string `json:"location" doc:"The part, such as body.studioId or query.limit."`
	Message  string `json:"message"`
}

// problemCursor is an engine.CursorError.
type problemCursor struct {
	After  engine.Cursor `json:"after" doc:"The cursor that was asked for."`
	First  uint64        `json:"first" doc:"The first event that is stored."`
	Head   uint64        `json:"head" doc:"The last event that is stored."`
	Pruned bool          `json:"pruned" doc:"Events after the cursor were pruned."`
	Forked bool          `json:"forked" doc:"The cursor is of another feed."`
}

// problemProvider is an engine.ProviderError.
type problemProvider struct {
	Kind         string            `json:"kind"` // a word that this version does not know is read as unknown
	NotSent      bool              `json:"notSent,omitempty"`
	OnlySession  bool              `json:"onlySession,omitempty"`
	Code         string            `json:"code,omitempty"`
	Message      string            `json:"message,omitempty"`
	RequestID    string            `json:"requestId,omitempty"`
	HTTPStatus   int               `json:"httpStatus,omitempty"`
	RetryAfterMS int64             `json:"retryAfterMs,omitempty"`
	Date         time.Time         `json:"date,omitzero"`
	Context      map[string]string `json:"context,omitempty"`
	Cause        string            `json:"cause,omitempty"`
}

// problemOf returns the problem of an error.
func problemOf(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	t := typeOf(err)
	p = newProblem(t, t.status, err.Error())
	var conflict *engine.ConflictError
	var expiry *engine.ExpiryError
	var cursor *engine.CursorError
	var provider *engine.ProviderError
	switch {
	case errors.As(err, &conflict):
		p.Holder = &conflict.Holder
	case errors.As(err, &expiry):
		p.Operation = &expiry.Operation
	case errors.As(err, &cursor):
		p.Cursor = &problemCursor{cursor.After, cursor.First, cursor.Head, cursor.Pruned, cursor.Forked}
	case errors.As(err, &provider):
		kind, _ := provider.Kind.MarshalText() // it has no error
		p.Provider = &problemProvider{
			Kind: string(kind), NotSent: provider.NotSent, OnlySession: provider.OnlySession, Code: provider.Code, Message: provider.Message,
			RequestID: provider.RequestID, HTTPStatus: provider.HTTPStatusCode, RetryAfterMS: provider.RetryAfter.Milliseconds(),
			Date: provider.Date, Context: provider.Context,
		}
		if provider.Err != nil {
			p.Provider.Cause = provider.Err.Error()
		}
	}
	return p
}

func newProblem(t *problemType, status int, detail string) *problem {
	return &problem{Type: typePrefix + t.word, Title: t.title, Status: status, Detail: detail}
}

// Error returns the detail. With GetStatus and ContentType, huma sends the problem.
func (p *problem) Error() string             { return p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) ContentType(string) string { return problemContent }

const problemContent = "application/problem+json"

// answerError is an error that a server answered.
type answerError struct {
	problem *problem
	cause   error
}

func (e *answerError) Error() string { return e.problem.Detail }
func (e *answerError) Unwrap() error { return e.cause }

// err returns the error that the server's engine returned, as far as problemTypes has
// it. A type that this version does not know has no cause.
func (p *problem) err() error {
	e := &answerError{problem: p}
	word := strings.TrimPrefix(p.Type, typePrefix)
	for i := range problemTypes {
		if t := &problemTypes[i]; t.word == word {
			e.cause = t.err
			break
		}
	}
	switch {
	case p.Cursor != nil:
		c := p.Cursor
		e.cause = &engine.CursorError{After: c.After, First: c.First, Head: c.Head, Pruned: c.Pruned, Forked: c.Forked}
	case p.Holder != nil && e.cause != nil:
		e.cause = &engine.ConflictError{Err: e.cause, Holder: *p.Holder}
	case p.Operation != nil && errors.Is(e.cause, engine.ErrExpired):
		e.cause = &engine.ExpiryError{Operation: *p.Operation}
	case p.Provider != nil:
		v := p.Provider
		var kind engine.ErrorKind
		_ = kind.UnmarshalText([]byte(v.Kind)) // a newer server's stays ErrorKindUnknown
		provider := &engine.ProviderError{
			Kind: kind, NotSent: v.NotSent, OnlySession: v.OnlySession, Code: v.Code, Message: v.Message, RequestID: v.RequestID,
			HTTPStatusCode: v.HTTPStatus, RetryAfter: time.Duration(v.RetryAfterMS) * time.Millisecond, Date: v.Date, Context: v.Context,
		}
		if v.Cause != "" {
			provider.Err = errors.New(v.Cause)
		}
		e.cause = provider
	}
	return e
}
