package nimble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/rouse-dev/rouse/transport"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// call is one invocation of an action: all attempts of it. The atomic flags are
// set by goroutines of net/http.
type call struct {
	client *Client
	ref    transport.Ref // the session asked for, as far as the input names it
	list   bool          // the answer is a page, not a session
	looks  bool          // the action changes nothing

	secrets secrets // of the attempt at hand

	entered   bool        // the HTTP client was given a request
	dialed    atomic.Bool // net/http was seen looking for a connection
	connected atomic.Bool // … and having one
	open      bool        // some attempt may have had its effect
}

// invoke sends in, a transport's input, and returns a transport.Session or a
// transport.ListOutput. Its error is always a *transport.Error.
func (c *Client) invoke(ctx context.Context, op string, in any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, &transport.Error{NotSent: true, Err: err}
	}
	call := &call{client: c}
	stack := middleware.NewStack(op, smithyhttp.NewStackRequest)
	if err := call.assemble(stack, op); err != nil {
		return nil, &transport.Error{Kind: transport.Unreachable, NotSent: true, Err: fmt.Errorf("nimble: middleware: %w", err)}
	}
	ctx = middleware.ClearStackValues(ctx)
	ctx = middleware.WithServiceID(ctx, ServiceID)
	ctx = middleware.WithOperationName(ctx, op)
	handler := smithyhttp.NewClientHandlerWithOptions(call)
	out, _, err := middleware.DecorateHandler(handler, stack).Handle(ctx, in)
	if err != nil {
		return nil, call.verdict(&smithy.OperationError{ServiceID: ServiceID, OperationName: op, Err: err})
	}
	return out, nil
}

// assemble builds the stack. The steps that the SDK's helpers look for by name
// come first.
func (c *call) assemble(stack *middleware.Stack, op string) error {
	o := c.client.options
	steps := []func(*middleware.Stack) error{
		c.ownSteps,
		func(stack *middleware.Stack) error {
			return stack.Initialize.Add(&awsmiddleware.RegisterServiceMetadata{
				Region: o.Region, ServiceID: ServiceID, SigningName: serviceName, OperationName: op,
			}, middleware.Before)
		},
		awsmiddleware.AddClientRequestIDMiddleware,
		awsmiddleware.AddSDKAgentKeyValue(awsmiddleware.APIMetadata, serviceName, apiVersion),
		awsmiddleware.AddSDKAgentKey(awsmiddleware.FrameworkMetadata, "rouse"),
		awsmiddleware.AddRequestIDRetrieverMiddleware,
		awshttp.AddResponseErrorMiddleware,
		awsmiddleware.AddRecordResponseTiming, // the Retryer judges the clock by it
		func(stack *middleware.Stack) error {
			return retry.AddRetryMiddlewares(stack, retry.AddRetryMiddlewaresOptions{
				Retryer: o.Retryer, LogRetryAttempts: o.ClientLogMode.IsRetries(),
			})
		},
		o.logging,
	}
	if o.AppID != "" {
		steps = append(steps, awsmiddleware.AddSDKAgentKey(awsmiddleware.ApplicationIdentifier, o.AppID))
	}
	for _, step := range append(steps, o.APIOptions...) {
		if err := step(stack); err != nil {
			return err
		}
	}
	return nil
}

// ownSteps adds what this package does itself, under the names that generated
// clients have for it.
func (c *call) ownSteps(stack *middleware.Stack) error {
	return errors.Join(
		stack.Serialize.Add(middleware.SerializeMiddlewareFunc("OperationSerializer", c.serialize), middleware.After),
		stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("OperationDeserializer", c.deserialize), middleware.After),
		stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("ResolveEndpointV2", c.resolve), middleware.After),
		stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Signing", c.sign), middleware.After),
	)
}

func (o Options) logging(stack *middleware.Stack) error {
	return errors.Join(
		middleware.AddSetLoggerMiddleware(stack, o.Logger),
		stack.Deserialize.Add(&smithyhttp.RequestResponseLogger{
			LogRequest:          o.ClientLogMode.IsRequest(),
			LogRequestWithBody:  o.ClientLogMode.IsRequestWithBody(),
			LogResponse:         o.ClientLogMode.IsResponse(),
			LogResponseWithBody: o.ClientLogMode.IsResponseWithBody(),
		}, middleware.After),
	)
}

// Do is the wire: the HTTP client, watched.
func (c *call) Do(req *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { c.dialed.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { c.connected.Store(true) },
	})
	req, err := ownBody(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	c.entered = true
	resp, err := c.client.http.Do(req)
	if err == nil && resp.Request != nil && resp.Request.Response != nil {
		_ = resp.Body.Close()
		return nil, &transport.Error{Kind: transport.Unreachable, HTTPStatusCode: resp.Request.Response.StatusCode,
			Message: "the HTTP client followed a redirect: configure one that does not"}
	}
	if resp != nil && resp.Body != nil {
		resp.Body = limited{io.LimitReader(resp.Body, maxAnswer+1), resp.Body}
	}
	return resp, err
}

// ownBody gives a copy of a request a body that nobody else closes. The SDK closes
// its own as soon as the answer begins, and if net/http has not seen its end by
// then it cuts the connection in the middle of the answer. By GetBody net/http may
// send again what it knows it has not sent.
func ownBody(req *http.Request) (*http.Request, error) {
	if req.Body == nil {
		return req, nil
	}
	text, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	req.Body, err = req.GetBody()
	return req, err
}

// limited is the beginning of a body, whoever reads it. It is counted after
// decompression.
type limited struct {
	io.Reader
	io.Closer
}
