package nimble

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
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
		// Do not quote it: it may hold a password.
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

// maxSkew is how far the clocks may differ before the difference counts as the reason
// of a refusal. The provider's window is five minutes.
const maxSkew = 4 * time.Minute

// sign signs one attempt. It uses the provider's clock if that is known to differ, and
// learns from the answer whether it does.
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

// signRequest signs req, and returns the secrets that it signed with.
func (c *Client) signRequest(ctx context.Context, req *smithyhttp.Request, at time.Time) (awswire.Secrets, error) {
	credentials, err := awswire.Retrieve(ctx, c.options.Credentials)
	if err != nil {
		return nil, err
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
	return awswire.SecretsOf(credentials, req.Header), err
}

// learnSkew keeps the difference of the clocks if the service refused the signature and
// its date is far from the date that was signed. An answer without a date shows that the
// kept difference did not help, so learnSkew deletes it. It may have come from another
// server, and nothing else would correct it.
func (c *Client) learnSkew(err error, skew time.Duration) {
	var e *transport.Error
	if c.options.DisableClockSkewCorrection || !errors.As(err, &e) || e.Kind != transport.KindCredentials {
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

// endpoint returns the endpoint. It returns an error if an option is missing without
// which nothing can be sent.
func (o Options) endpoint() (string, error) {
	switch {
	case aws.ToString(o.BaseEndpoint) == "":
		return "", misconfigured("no endpoint: set BaseEndpoint (the hosted service ended on 2024-10-22)")
	case o.Region == "":
		return "", misconfigured("no region: set Region, for which requests are signed")
	case !awswire.FitsHeader(o.Region):
		return "", misconfigured("the region holds a control character, such as a line break: set Region")
	}
	return *o.BaseEndpoint, nil
}

// misconfigured returns an error that does not refuse the request. The request can wait
// until the configuration is fixed.
func misconfigured(message string) error {
	return &transport.Error{Kind: transport.KindUnreachable, NotSent: true, Message: message}
}
