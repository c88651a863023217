package settings

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/probe"
)

// defaultRegion is used for signing if no setting names a region. A provider at an
// endpoint of its own is in no region.
const defaultRegion = "us-east-1"

type nimbleDriver struct {
	account
	tokenMemory, staleFor time.Duration
}

func readNimble(t *table, _ probe.Probe) driver {
	return &nimbleDriver{account: readAccount(t), tokenMemory: t.duration("token_memory"), staleFor: t.duration("stale_for")}
}

func (d *nimbleDriver) open(ctx context.Context, o *opening) transport.Transport {
	cfg, ok := d.account.open(ctx, o)
	if !ok {
		return nil
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	if d.endpoint == "" {
		endpoint := endpointOf(ctx, cfg, nimble.ServiceID)
		if endpoint == "" {
			o.wrong("endpoint", "no endpoint is set; give one, or set AWS_ENDPOINT_URL_NIMBLE (the service that AWS hosted has ended), or choose another transport")
			return nil
		}
		if wrong := checkURL(endpoint); wrong != "" {
			o.wrong("endpoint", "of the AWS settings: %s", wrong)
			return nil
		}
		cfg.BaseEndpoint = aws.String(endpoint)
	}
	return nimble.NewFromConfig(cfg, func(options *nimble.Options) {
		options.TokenMemory, options.StaleFor = d.tokenMemory, d.staleFor
	})
}

// endpointOf returns the endpoint that the AWS settings have for a service, or else the
// one for all services. It returns "" if they have none.
func endpointOf(ctx context.Context, cfg aws.Config, serviceID string) string {
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
		if v, found, err := s.GetServiceBaseEndpoint(ctx, serviceID); err == nil && found {
			return v
		}
	}
	return aws.ToString(cfg.BaseEndpoint)
}
