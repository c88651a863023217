package nimble

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// maxAnswer is how many bytes of an answer are read, after decompression.
const maxAnswer = 1 << 20

// deserialize reads an answer into out.Result, a transport.Session or a
// transport.ListOutput, or into an error that is a *transport.Error.
func (c *call) deserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, md middleware.Metadata, err error,
) {
	out, md, err = next.HandleDeserialize(ctx, in)
	if err != nil {
		return out, md, err
	}
	resp, ok := out.RawResponse.(*smithyhttp.Response)
	if !ok {
		return out, md, fmt.Errorf("nimble: an answer of type %T is not HTTP's", out.RawResponse)
	}
	// Close without reading the rest, which may have no end.
	defer func() { _ = resp.Body.Close() }()
	body, readErr := io.ReadAll(resp.Body)
	body, readErr = c.secrets.Hide(unescape(body)), c.secrets.Error(readErr)
	c.secrets.Header(resp.Header)
	if resp.StatusCode != http.StatusOK {
		return out, md, refused(resp.Response, body, readErr)
	}
	if out.Result, err = c.accepted(resp.Response, body, readErr); err != nil {
		return out, md, err
	}
	return out, md, nil
}

// refused returns the error for an answer other than 200.
func refused(resp *http.Response, body []byte, readErr error) *transport.Error {
	code, b, shaped := readError(resp.Header, body)
	if !shaped {
		return foreign(resp, body, readErr)
	}
	e := answered(resp)
	e.Kind = kindOf(resp.StatusCode, code, b.Code)
	e.Code, e.Message, e.Context = code, b.Message, b.Context
	e.RetryAfter = awswire.RetryAfter(resp.Header)
	if e.Kind == transport.KindCredentials {
		// Such a message may quote the canonical request, session token included.
		e.Message, e.Context = "the provider did not accept the credentials, or the clock", nil
	}
	if e.Message == "" {
		e.Message = http.StatusText(resp.StatusCode)
	}
	e.Err = apiError(code, e.Message, resp.StatusCode)
	return e
}

// foreign returns the error for an answer that is a proxy's or a captive portal's, not
// the service's. If the answer was cut short, its origin is not known.
func foreign(resp *http.Response, body []byte, readErr error) *transport.Error {
	e := answered(resp)
	e.Kind, e.Date = transport.KindUnreachable, time.Time{}
	what := resp.Header.Get("Content-Type")
	if what == "" {
		what = "no content type"
	}
	if to := resp.Header.Get("Location"); to != "" {
		what += ", to " + to
	}
	e.Message = printable.Clean(fmt.Sprintf("not an answer of the service: %s, %s", http.StatusText(resp.StatusCode), what), 512)
	if readErr != nil && !looksForeign(body) {
		e.Kind, e.Err = transport.KindUnknown, readErr
	}
	return e
}

// accepted decodes a 200.
func (c *call) accepted(resp *http.Response, body []byte, readErr error) (any, error) {
	body = bytes.TrimSpace(body)
	if looksForeign(body) || readErr == nil && len(body) == 0 {
		return nil, foreign(resp, body, nil)
	}
	if readErr != nil {
		return nil, unreadable(resp, readErr)
	}
	if c.list {
		return c.acceptedList(resp, body)
	}
	var answer sessionAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, undecodable(resp, body, err)
	}
	// A captive portal's object may have a "session" too. The service's session has an id
	// or a state.
	if answer.Session == nil || answer.Session.SessionID == "" && answer.Session.State == "" {
		return nil, foreign(resp, body, nil)
	}
	s := fromWire(*answer.Session, c.ref.StudioID, awswire.ServerDate(resp.Header))
	switch {
	case s.SessionID == "":
		s.SessionID = c.ref.SessionID
	case c.ref.SessionID != "" && s.SessionID != c.ref.SessionID:
		return nil, unreadable(resp, fmt.Errorf("asked for session %q, got session %.128q", c.ref.SessionID, s.SessionID))
	}
	return s, nil
}

func (c *call) acceptedList(resp *http.Response, body []byte) (any, error) {
	var answer listAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, undecodable(resp, body, err)
	}
	if answer.Sessions == nil {
		return nil, foreign(resp, body, nil)
	}
	date := awswire.ServerDate(resp.Header)
	out := transport.ListOutput{NextToken: answer.NextToken}
	for _, s := range *answer.Sessions {
		out.Sessions = append(out.Sessions, fromWire(s, c.ref.StudioID, date))
	}
	return out, nil
}

// looksForeign reports whether body cannot be the beginning of a JSON object. An
// empty body can.
func looksForeign(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) > 0 && body[0] != '{'
}

// undecodable returns the error for a body that cannot be decoded. A body that is not
// JSON is not the service's. An object that was cut short, or has members of another
// type, may be the service's.
func undecodable(resp *http.Response, body []byte, err error) *transport.Error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && int(syntax.Offset) < len(body) {
		return foreign(resp, body, nil)
	}
	return unreadable(resp, err)
}

// unreadable returns the error for a 200 that cannot be read. The request may have
// had its effect.
func unreadable(resp *http.Response, err error) *transport.Error {
	e := answered(resp)
	e.Message = printable.Clean("the answer cannot be read: "+err.Error(), 512)
	e.Err = err
	return e
}

func answered(resp *http.Response) *transport.Error {
	return &transport.Error{
		HTTPStatusCode: resp.StatusCode,
		RequestID:      printable.Clean(resp.Header.Get(headerRequestID), 128),
		Date:           awswire.ServerDate(resp.Header),
	}
}
