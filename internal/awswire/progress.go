package awswire

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Progress is how far the requests of one call came. It decides whether it is certain
// that nothing was sent. In the zero value nothing was sent. Goroutines of net/http set
// the flags.
type Progress struct {
	entered   bool        // the HTTP client was given a request
	dialed    atomic.Bool // net/http looked for a connection
	connected atomic.Bool // net/http had a connection
}

// Do sends req by h. It gives req a body of its own, and returns an error for an answer
// that h got by following a redirect. Only one goroutine may call it.
func (w *Progress) Do(h aws.HTTPClient, req *http.Request) (*http.Response, error) {
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { w.dialed.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.connected.Store(true) },
	}))
	if err := OwnBody(req); err != nil {
		return nil, err
	}
	w.entered = true
	resp, err := h.Do(req)
	if err != nil || resp == nil || resp.Body == nil { // an HTTP client that breaks its own rules returns no body
		return resp, err
	}
	if err := Redirected(resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// NoAnswer returns Kind and NotSent for a call that failed with err and got no answer. If
// an HTTP client reports nothing to httptrace, NotSent is false.
func (w *Progress) NoAnswer(err error) transport.Error {
	cause := err
	if send := (*smithyhttp.RequestSendError)(nil); errors.As(err, &send) {
		cause = send.Err
	}
	var out transport.Error
	if e := (*transport.Error)(nil); errors.As(transport.Classify(cause), &e) {
		out = *e
	}
	switch {
	case !w.entered:
		out.NotSent = true // a middleware or the retryer failed, or the context ended
	case w.connected.Load() || !w.dialed.Load():
		// A failed dial at the end proves nothing about what the client did before it.
		out.NotSent = out.NotSent && !w.connected.Load()
	case errors.Is(err, context.Canceled):
		out.NotSent = true
	default:
		out.Kind, out.NotSent = transport.KindUnreachable, true
	}
	return out
}
