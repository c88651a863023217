package ec2

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// call is one request and its progress.
type call struct {
	action string
	http   aws.HTTPClient
	keys   aws.CredentialsProvider

	credentials aws.Credentials // the credentials that signed the request
	secrets     awswire.Secrets // what no error may show

	progress awswire.Progress
	status   int // the status of the answer; 0 without an answer
	header   http.Header
	most     int64         // the most bytes that the answer may have
	body     *awswire.Body // the body of the answer; nil without one
}

// invoke makes one call of an action: one request, no repeats. The error is a
// *transport.Error. The time is the provider's clock, or zero.
func invoke[In, Out any](ctx context.Context, t *Transport, action string,
	do func(context.Context, *In, ...func(*ec2.Options)) (*Out, error), in *In,
) (*Out, time.Time, error) {
	out, c, err := invokePage(ctx, t, maxAnswer, action, do, in)
	return out, awswire.ServerDate(c.header), err
}

// invokePage is like invoke, for an answer of no more than most bytes. It also returns
// the call, which is never nil. call.body.Size() is how many bytes were read.
func invokePage[In, Out any](ctx context.Context, t *Transport, most int64, action string,
	do func(context.Context, *In, ...func(*ec2.Options)) (*Out, error), in *In,
) (*Out, *call, error) {
	c := &call{action: action, http: t.http, most: min(most, maxAnswer)}
	if err := ctx.Err(); err != nil {
		return nil, c, &transport.Error{NotSent: true, Err: err}
	}
	out, err := do(ctx, in, c.options)
	if err != nil {
		failed := c.failure(err)
		c.header = nil // the error has the date
		return nil, c, failed
	}
	return out, c, nil
}

// options puts the call between the SDK and the HTTP client.
func (c *call) options(o *ec2.Options) {
	o.Retryer = aws.NopRetryer{} // the engine decides about repeats
	o.HTTPClient = c
	c.keys = o.Credentials
	o.Credentials = aws.CredentialsProviderFunc(c.retrieve)
}

// retrieve returns the error of awswire.Retrieve, which failure finds in the SDK's error.
func (c *call) retrieve(ctx context.Context) (got aws.Credentials, err error) {
	c.credentials, err = awswire.Retrieve(ctx, c.keys)
	return c.credentials, err
}

// maxAnswer limits the bytes of one answer. The answer for a thousand instances has a few
// megabytes.
const maxAnswer = 64 << 20

// maxError limits the bytes of an error, which has a few hundred.
const maxError = 1 << 20

// Do sends the request by the HTTP client, and checks the answer.
func (c *call) Do(req *http.Request) (*http.Response, error) {
	c.secrets = awswire.SecretsOf(c.credentials, req.Header)
	resp, err := c.progress.Do(c.http, req)
	if err != nil || resp == nil || resp.Body == nil {
		return resp, err
	}
	c.status, c.header = resp.StatusCode, resp.Header
	if !c.success() {
		c.most = min(c.most, maxError)
	}
	c.body = awswire.Limit(resp.Body, c.most)
	body := bufio.NewReader(c.body)
	head, err := body.Peek(512)
	if cut := err != nil && !errors.Is(err, io.EOF); !cut && !c.shaped(head) {
		_ = resp.Body.Close()
		return nil, &transport.Error{
			Kind: transport.KindUnreachable, HTTPStatusCode: c.status, // no date either, because the clock is not EC2's
			Message: "the answer is not EC2's: it does not have the shape of one",
		}
	}
	resp.Body = answer{body, c.body}
	if !c.success() {
		c.hide(resp)
	}
	return resp, nil
}

// hide removes from EC2's error the secrets that signed the request.
func (c *call) hide(resp *http.Response) {
	text, err := io.ReadAll(resp.Body)
	all := io.Reader(bytes.NewReader(c.secrets.Hide(text)))
	if err != nil {
		all = io.MultiReader(all, resp.Body) // reading it fails again
	}
	resp.Body = answer{all, c.body}
	c.secrets.Header(resp.Header)
}

func (c *call) success() bool { return c.status >= 200 && c.status < 300 }

type answer struct {
	io.Reader
	io.Closer
}

// shaped reports whether an answer begins as EC2's answers do. The SDK accepts any XML,
// so it would read a captive portal's page as an empty list of instances.
func (c *call) shaped(head []byte) bool {
	if c.success() {
		return bytes.Contains(head, []byte("<"+c.action+"Response"))
	}
	return bytes.Contains(head, []byte("<Response>")) || bytes.Contains(head, []byte("<Response "))
}

// failure returns the error of a call that failed.
func (c *call) failure(err error) *transport.Error {
	var e *transport.Error
	var api smithy.APIError
	switch {
	case errors.As(err, &e):
		out := *e
		return &out
	case errors.As(err, &api) && c.status != 0:
		return c.refusal(api, err)
	}
	return c.noAnswer(err)
}

// noAnswer returns the error of a call without an answer, or with one that cannot be read.
func (c *call) noAnswer(err error) *transport.Error {
	known := c.progress.NoAnswer(err)
	out := &transport.Error{Kind: known.Kind, NotSent: known.NotSent, Err: c.secrets.Error(err), HTTPStatusCode: c.status}
	var send *smithyhttp.RequestSendError
	if errors.As(err, &send) {
		out.Message = c.action + ": " + printable.Clean(c.secrets.Error(send.Err).Error(), 512) // leave out the SDK's empty fields
	}
	return out
}
