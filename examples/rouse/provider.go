package main

import (
	"context"
	"net"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
	"github.com/spf13/pflag"

	"github.com/rouse-dev/rouse/transport/nimble"
)

// defaultRegion is signed for where no setting names a region: an endpoint of
// one's own is in none.
const defaultRegion = "us-east-1"

// provider is how the provider is reached, as flags and the SDK's settings say.
type provider struct {
	endpoint, region, profile string

	credentials aws.CredentialsProvider // of client
}

func (p *provider) flags(f *pflag.FlagSet) {
	f.StringVar(&p.endpoint, "endpoint", "", "the provider's `URL` (default $AWS_ENDPOINT_URL_NIMBLE, or as the AWS settings say)")
	f.StringVar(&p.region, "region", "", "`REGION` to sign for (default as the AWS settings say, else "+defaultRegion+")")
	f.StringVar(&p.profile, "profile", "", "`PROFILE` of the AWS settings")
}

// offline is a client for commands that only queue and look: it knows how the
// protocol behaves, and no endpoint. Nothing is read to make it.
func (p *provider) offline() *nimble.Client { return nimble.New(nimble.Options{}) }

// client is a client for commands that talk to the provider. Settings are read
// from files and the environment; credentials are looked for when the first
// request is signed. The error says what to set.
func (p *provider) client(ctx context.Context) (*nimble.Client, error) {
	// The SDK's own logger would write across the status line; what it warns of
	// becomes a reason to wait, or an error.
	opts := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if p.region != "" {
		opts = append(opts, config.WithRegion(p.region))
	}
	if p.profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(p.profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, usagef("the AWS settings cannot be read: %w", err)
	}
	cfg.Retryer = nil // the engine's own retries are durable, and slower
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	endpoint := p.endpoint
	if endpoint == "" {
		endpoint = endpointOf(ctx, cfg)
	}
	if endpoint == "" {
		return nil, usagef("no endpoint is set: give --endpoint URL, or set AWS_ENDPOINT_URL_NIMBLE (the service that AWS hosted has ended)")
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("endpoint %q is not an http or https URL%s", endpoint, meantURL(endpoint))
	}
	cfg.BaseEndpoint = aws.String(endpoint)
	p.credentials = cfg.Credentials
	return nimble.NewFromConfig(cfg), nil
}

// meantURL asks back where only the scheme was left out.
func meantURL(endpoint string) string {
	if strings.Contains(endpoint, "://") {
		return ""
	}
	scheme := "https://"
	u, err := url.Parse(scheme + endpoint)
	if err != nil || u.Host == "" {
		return ""
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		scheme = "http://"
	}
	return ": did you mean " + scheme + endpoint + "?"
}

// endpointOf is what the SDK's settings say for this service, else for all.
func endpointOf(ctx context.Context, cfg aws.Config) string {
	if off, found, err := config.GetIgnoreConfiguredEndpoints(ctx, cfg.ConfigSources); err == nil && found && off {
		return ""
	}
	for _, source := range cfg.ConfigSources {
		s, ok := source.(interface {
			GetServiceBaseEndpoint(ctx context.Context, sdkID string) (string, bool, error)
		})
		if !ok {
			continue
		}
		if v, found, err := s.GetServiceBaseEndpoint(ctx, nimble.ServiceID); err == nil && found {
			return v
		}
	}
	return aws.ToString(cfg.BaseEndpoint)
}
