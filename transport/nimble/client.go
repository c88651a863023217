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

// ServiceID names the service to what an aws.Config's ServiceOptions and the
// SDK's middleware ask for.
const ServiceID = "nimble"

// maxBatch is how many sessions one BatchGet takes.
const maxBatch = 100

// Options configure a [Client]. Those above the gap mean what they mean to any
// client of the AWS SDK.
type Options struct {
	Region       string                  // of the signature's scope; required
	Credentials  aws.CredentialsProvider // required
	HTTPClient   aws.HTTPClient          // nil: the SDK's own, without a time-out but the context's
	BaseEndpoint *string                 // required: the hosted service has ended
	// Retryer repeats failed sends inside one call. nil, which is right beneath
	// an engine: each call sends once.
	Retryer       aws.Retryer
	Logger        logging.Logger    // nil: none
	ClientLogMode aws.ClientLogMode // requests are logged with their signature and session token
	APIOptions    []func(*middleware.Stack) error
	AppID         string // of the user agent
	// DisableClockSkewCorrection signs with this machine's clock, whatever
	// the provider's answers say of it.
	DisableClockSkewCorrection bool

	// TokenMemory is how long the provider remembers a client token; see
	// [transport.Traits]. 0 is [DefaultTokenMemory]; negative: not known, and
	// only what a look shows is relied on.
	TokenMemory time.Duration
	// StaleFor is how long answers may show the past; see [transport.Traits].
	// 0 is [transport.DefaultStaleFor].
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
// Its errors are all *transport.Error; where the provider answered with one,
// errors.As finds a smithy.APIError, an *awshttp.ResponseError and a
// *smithy.OperationError in the chain as well.
type Client struct {
	options Options
	http    aws.HTTPClient
	// skew is what to add to this machine's clock when signing, in nanoseconds.
	skew atomic.Int64
}

var (
	_ Provider              = (*Client)(nil)
	_ transport.BatchGetter = (*Client)(nil)
	_ transport.Describer   = (*Client)(nil)
)

// NewFromConfig makes a Client as a service client of the AWS SDK is made. Of
// cfg's settings for retries only Retryer counts: without one each call sends
// once. A missing endpoint, region or credential is an error of each call.
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

// New makes a Client of options. See [NewFromConfig].
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

// Start asks for a stopped session to be started: one request, whatever the
// outcome, unless Options has a Retryer.
func (c *Client) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return c.session(ctx, "StartStreamingSession", in)
}

// Stop asks for a session to be stopped. Without a ClientToken it makes one up.
func (c *Client) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	in.ClientToken = tokenOr(in.ClientToken)
	return c.session(ctx, "StopStreamingSession", in)
}

// Get looks at a session. net/http may repeat the request by itself if a kept
// connection turns out to be closed.
func (c *Client) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	return c.session(ctx, "GetStreamingSession", ref)
}

// Create asks for a new session. Without a ClientToken it makes one up.
func (c *Client) Create(ctx context.Context, in CreateInput) (transport.Session, error) {
	in.ClientToken = tokenOr(in.ClientToken)
	return c.session(ctx, "CreateStreamingSession", in)
}

// Delete asks for a session to be deleted. Without a ClientToken it makes one up.
func (c *Client) Delete(ctx context.Context, in DeleteInput) (transport.Session, error) {
	in.ClientToken = tokenOr(in.ClientToken)
	return c.session(ctx, "DeleteStreamingSession", in)
}

// List returns one page of a studio's sessions. SessionIDs go as one text with
// commas between them, so an id with a comma cannot be asked for; more than 100 are
// Invalid.
func (c *Client) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	if err := atMost(len(in.SessionIDs)); err != nil {
		return transport.ListOutput{}, err
	}
	return result[transport.ListOutput](c.invoke(ctx, "ListStreamingSessions", in))
}

// DefaultTokenMemory is what a zero [Options].TokenMemory means. The service
// never said for how long it remembered a client token; an hour is longer than
// any retry of its own SDKs lasted, and well within the day that other services
// promise.
const DefaultTokenMemory = time.Hour

// Traits are the same for every session: idempotent by token, for as long as
// Options says, batches of up to 100.
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

// result is what the stack returned, which a middleware of the host's may have
// replaced.
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
