package nimble

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/transport"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// call is one invocation of an action, with all its attempts.
type call struct {
	client *Client
	ref    transport.Ref // the session asked for, if the input names one
	list   bool          // the answer is a page of sessions, not one session
	reads  bool          // the action changes nothing

	secrets awswire.Secrets // what the current attempt signed with
	body    *awswire.Body   // of the answer; nil if there is none

	progress awswire.Progress
	open     bool // whether an attempt may have had its effect
}

// invoke sends in, a transport's input, and returns a transport.Session or a
// transport.ListOutput. Its error is always a *transport.Error.
func (c *Client) invoke(ctx context.Context, op string, in any) (any, error) {
	return (&call{client: c}).invoke(ctx, op, in)
}

func (c *call) invoke(ctx context.Context, op string, in any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, &transport.Error{NotSent: true, Err: err}
	}
	stack := middleware.NewStack(op, smithyhttp.NewStackRequest)
	if err := c.assemble(stack, op); err != nil {
		return nil, &transport.Error{Kind: transport.KindUnreachable, NotSent: true, Err: fmt.Errorf("nimble: middleware: %w", err)}
	}
	ctx = middleware.ClearStackValues(ctx)
	ctx = middleware.WithServiceID(ctx, ServiceID)
	ctx = middleware.WithOperationName(ctx, op)
	handler := smithyhttp.NewClientHandlerWithOptions(c)
	out, _, err := middleware.DecorateHandler(handler, stack).Handle(ctx, in)
	if err != nil {
		return nil, c.verdict(&smithy.OperationError{ServiceID: ServiceID, OperationName: op, Err: err})
	}
	return out, nil
}

// assemble builds the stack. The steps that the SDK's helpers find by name come
// first.
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
		awsmiddleware.AddRecordResponseTiming, // the Retryer computes the clock's error from it
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

// ownSteps adds this package's own steps, under the names that generated clients have for
// them.
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

// Do calls the HTTP client and watches what it sends.
func (c *call) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.progress.Do(c.client.http, req)
	if err != nil || resp == nil || resp.Body == nil {
		return resp, err
	}
	c.body = awswire.Limit(resp.Body, maxAnswer)
	resp.Body = c.body
	return resp, nil
}
