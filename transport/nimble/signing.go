package nimble

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// resolve puts the endpoint before the path.
func (c *call) resolve(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	out middleware.FinalizeOutput, md middleware.Metadata, err error,
) {
	text, err := c.client.options.endpoint()
	if err != nil {
		return out, md, err
	}
	base, err := url.Parse(text)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		// Not quoted: it may hold a password.
		return out, md, misconfigured("the endpoint is not an http or https URL")
	}
	req, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return out, md, fmt.Errorf("nimble: a request of type %T is not HTTP's", in.Request)
	}
	rawPath := smithyhttp.JoinPath(base.EscapedPath(), req.URL.RawPath)
	req.URL.Scheme, req.URL.Host = base.Scheme, base.Host
	req.URL.Path, req.URL.RawPath = smithyhttp.JoinPath(base.Path, req.URL.Path), rawPath
	return next.HandleFinalize(ctx, in)
}

// maxSkew is how far the clocks may differ before a refusal is blamed on it. The
// provider's window is five minutes.
const maxSkew = 4 * time.Minute

// sign signs one attempt, with the provider's clock where it is known to differ,
// and learns from the answer whether it does.
func (c *call) sign(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	out middleware.FinalizeOutput, md middleware.Metadata, err error,
) {
	req, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return out, md, fmt.Errorf("nimble: a request of type %T is not HTTP's", in.Request)
	}
	skew := time.Duration(c.client.skew.Load())
	if c.secrets, err = c.client.signRequest(ctx, req, time.Now().Add(skew)); err != nil {
		c.attempted(err)
		return out, md, err
	}
	out, md, err = next.HandleFinalize(ctx, in)
	c.attempted(err)
	c.client.learnSkew(err, skew)
	return out, md, err
}

// signRequest returns what it signed with.
func (c *Client) signRequest(ctx context.Context, req *smithyhttp.Request, at time.Time) (secrets, error) {
	if c.options.Credentials == nil {
		return nil, noCredentials(errors.New("no credentials are configured"))
	}
	credentials, err := c.options.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, noCredentials(err)
	}
	if !fitsHeader(credentials.AccessKeyID) || !fitsHeader(credentials.SessionToken) {
		return nil, &transport.Error{Kind: transport.Credentials, NotSent: true,
			Message: "the access key id or the session token holds a control character, such as a line break: no request can carry it"}
	}
	var body []byte
	if stream := req.GetStream(); stream != nil {
		if body, err = io.ReadAll(stream); err != nil {
			return nil, fmt.Errorf("nimble: read body: %w", err)
		}
		if err := req.RewindStream(); err != nil {
			return nil, fmt.Errorf("nimble: rewind body: %w", err)
		}
	}
	hash := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(ctx, credentials, req.Request, hex.EncodeToString(hash[:]), serviceName, c.options.Region, at)
	return secretsOf(credentials, req.Header), err
}

// learnSkew keeps the difference of the clocks when an answer of the service
// blames the signature and its date is far from the one signed with. If the answer
// has no date, what was learnt before did not help, and is forgotten: it may have
// been a stranger's, and nothing else would put it right.
func (c *Client) learnSkew(err error, skew time.Duration) {
	var e *transport.Error
	if c.options.DisableClockSkewCorrection || !errors.As(err, &e) || e.Kind != transport.Credentials {
		return
	}
	var found time.Duration
	if !e.Date.IsZero() {
		found = time.Until(e.Date)
	}
	if (found - skew).Abs() > maxSkew {
		c.skew.Store(int64(found))
	}
}

// noCredentials says why there are none, by the error's code only: a provider of
// credentials may quote them in its text.
func noCredentials(err error) error {
	e := &transport.Error{Kind: transport.Credentials, NotSent: true,
		Message: "there are no credentials to sign with", Err: err}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Code = awswire.Clean(api.ErrorCode(), 128)
	}
	if errors.Is(err, context.Canceled) {
		e.Kind, e.Message = transport.Unknown, "the call was interrupted while credentials were fetched"
	}
	return e
}

// endpoint checks what the client needs before it can send anything.
func (o Options) endpoint() (string, error) {
	switch {
	case aws.ToString(o.BaseEndpoint) == "":
		return "", misconfigured("no endpoint: set BaseEndpoint (the hosted service ended on 2024-10-22)")
	case o.Region == "":
		return "", misconfigured("no region: set Region, which requests are signed for")
	case !fitsHeader(o.Region):
		return "", misconfigured("the region holds a control character, such as a line break: set Region")
	}
	return *o.BaseEndpoint, nil
}

// fitsHeader reports whether text can stand in a header. net/http refuses a
// request with another before it sends anything, but says so in no way that can
// be told from a request that was cut.
func fitsHeader(text string) bool { return !strings.ContainsFunc(text, unicode.IsControl) }

// misconfigured is no verdict on the request, which can wait until it is mended.
func misconfigured(message string) error {
	return &transport.Error{Kind: transport.Unreachable, NotSent: true, Message: message}
}
