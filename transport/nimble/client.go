package nimble

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/uuid"
)

// ServiceID is the name of the service that an aws.Config's ServiceOptions and the
// SDK's middleware get.
const ServiceID = "nimble"

// maxBatch is how many sessions one BatchGet takes.
const maxBatch = 100

// Options configure a [Client]. The options above the empty line mean the same as in any
// client of the AWS SDK.
type Options struct {
	Region       string                  // the region that requests are signed for; required
	Credentials  aws.CredentialsProvider // required
	HTTPClient   aws.HTTPClient          // nil means the SDK's own client; only the context limits a call's time
	BaseEndpoint *string                 // required: the hosted service has ended
	// Retryer repeats failed sends inside one call. nil means that each call sends
	// once, which is right for an engine.
	Retryer       aws.Retryer
	Logger        logging.Logger    // nil: none
	ClientLogMode aws.ClientLogMode // a logged request shows its signature and session token
	APIOptions    []func(*middleware.Stack) error
	AppID         string // part of the user agent
	// DisableClockSkewCorrection signs with this machine's clock, whatever the
	// provider's date is.
	DisableClockSkewCorrection bool

	// TokenMemory is how long the provider remembers a client token; see
	// [transport.Traits]. Zero means [DefaultTokenMemory]. A negative value means that it
	// is not known, and the engine relies only on what it reads.
	TokenMemory time.Duration
	// StaleFor is how long after a change reads may show the state before it; see
	// [transport.Traits]. Zero means [transport.DefaultStaleFor].
	StaleFor time.Duration
}

func (o Options) copy() Options {
	o.APIOptions = slices.Clone(o.APIOptions)
	return o
}

// Client speaks the protocol to an endpoint. It is a [Provider], a
// [transport.BatchGetter] and a [transport.Describer], and safe for concurrent
// use.
//
// All its errors are *transport.Error. If the error is an answer of the provider,
// errors.As also finds a smithy.APIError, an *awshttp.ResponseError and a
// *smithy.OperationError in the chain.
type Client struct {
	options Options
	http    aws.HTTPClient
	// skew is added to this machine's clock for signing, in nanoseconds.
	skew atomic.Int64
}

var (
	_ Provider              = (*Client)(nil)
	_ transport.BatchGetter = (*Client)(nil)
	_ transport.Describer   = (*Client)(nil)
)

// NewFromConfig makes a Client the way service clients of the AWS SDK are made. It uses
// only Retryer of cfg's settings for retries. Without one each call sends once. If the
// endpoint, the region or the credentials are missing, each call returns an error.
func NewFromConfig(cfg aws.Config, optFns ...func(*Options)) *Client {
	o := Options{
		Region:                     cfg.Region,
		Credentials:                cfg.Credentials,
		HTTPClient:                 cfg.HTTPClient,
		BaseEndpoint:               cfg.BaseEndpoint,
		Logger:                     cfg.Logger,
		ClientLogMode:              cfg.ClientLogMode,
		APIOptions:                 cfg.APIOptions,
		AppID:                      cfg.AppID,
		DisableClockSkewCorrection: cfg.DisableClockSkewCorrection,
	}
	if cfg.Retryer != nil {
		o.Retryer = cfg.Retryer()
	}
	return New(o, append([]func(*Options){func(o *Options) {
		for _, fn := range cfg.ServiceOptions {
			fn(ServiceID, o)
		}
	}}, optFns...)...)
}

// New makes a Client with options. See [NewFromConfig].
func New(options Options, optFns ...func(*Options)) *Client {
	options = options.copy()
	for _, fn := range optFns {
		fn(&options)
	}
	if options.Retryer == nil {
		options.Retryer = aws.NopRetryer{}
	}
	if options.Logger == nil {
		options.Logger = logging.Nop{}
	}
	if options.TokenMemory == 0 {
		options.TokenMemory = DefaultTokenMemory
	}
	return &Client{options: options, http: awswire.Client(options.HTTPClient)}
}

// Options returns a copy of the client's options.
func (c *Client) Options() Options { return c.options.copy() }

// Start asks the provider to start a stopped session. It sends one request, whatever the
// outcome, unless Options has a Retryer.
func (c *Client) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return c.session(ctx, "StartStreamingSession", in)
}

// Stop asks the provider to stop a session. If ClientToken is empty, Stop generates one.
func (c *Client) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	in.ClientToken = tokenOr(in.ClientToken)
	return c.session(ctx, "StopStreamingSession", in)
}

// Get reads a session. net/http may repeat the request if an idle connection turns
// out to be closed.
func (c *Client) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	return c.session(ctx, "GetStreamingSession", ref)
}

// Create asks the provider for a new session. If ClientToken is empty, Create generates
// one.
func (c *Client) Create(ctx context.Context, in CreateInput) (transport.Session, error) {
	in.ClientToken = tokenOr(in.ClientToken)
	return c.session(ctx, "CreateStreamingSession", in)
}

// Delete asks the provider to delete a session. If ClientToken is empty, Delete generates
// one.
func (c *Client) Delete(ctx context.Context, in DeleteInput) (transport.Session, error) {
	in.ClientToken = tokenOr(in.ClientToken)
	return c.session(ctx, "DeleteStreamingSession", in)
}

// List returns one page of a studio's sessions. At most 100 SessionIDs are allowed.
// They are sent as one text with commas between them, so an id with a comma is
// refused.
func (c *Client) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	if err := atMost(len(in.SessionIDs)); err != nil {
		return transport.ListOutput{}, err
	}
	return result[transport.ListOutput](c.invoke(ctx, "ListStreamingSessions", in))
}

// DefaultTokenMemory is the default of [Options].TokenMemory. The service never
// documented for how long it remembered a client token. An hour is longer than any
// retry of its SDKs, and much less than the day that other services document.
const DefaultTokenMemory = time.Hour

// Traits returns the same for every session: a start is idempotent by token for
// Options.TokenMemory, and a batch reads up to 100 sessions.
func (c *Client) Traits(transport.Ref) transport.Traits {
	return transport.Traits{
		Repeat:      transport.RepeatByToken,
		TokenMemory: max(0, c.options.TokenMemory),
		StaleFor:    c.options.StaleFor,
		MaxBatch:    maxBatch,
	}
}

func (c *Client) session(ctx context.Context, op string, in any) (transport.Session, error) {
	return result[transport.Session](c.invoke(ctx, op, in))
}

// result converts what the stack returned. A middleware of the host may have replaced it.
func result[T any](out any, err error) (T, error) {
	got, ok := out.(T)
	if err == nil && !ok {
		err = &transport.Error{Message: fmt.Sprintf("a middleware returned %T, not %T", out, got)}
	}
	return got, err
}

func tokenOr(token string) string {
	if token == "" {
		return uuid.NewString()
	}
	return token
}
