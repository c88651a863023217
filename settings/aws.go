package settings

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
)

// account says how to reach a service of AWS. An empty field means what the AWS settings
// say, which are the environment and the files of the AWS tools.
type account struct{ endpoint, region, profile string }

func readAccount(t *table) account {
	a := account{endpoint: t.text("endpoint"), region: t.text("region"), profile: t.text("profile")}
	if wrong := checkURL(a.endpoint); a.endpoint != "" && wrong != "" {
		t.wrong("endpoint", "%s", wrong)
	}
	if a.region != "" && !isRegion.MatchString(a.region) {
		t.wrong("region", `%.64q: want a region's name, as "us-west-2"`, a.region)
	}
	return a
}

var isRegion = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

func (a account) where() string {
	var parts []string
	for _, p := range []struct{ name, value string }{{"", a.endpoint}, {"", a.region}, {"profile ", a.profile}} {
		if p.value != "" {
			parts = append(parts, p.name+p.value)
		}
	}
	if len(parts) == 0 {
		return "as the AWS settings say"
	}
	return strings.Join(parts, ", ")
}

// open reads the AWS settings. The credentials are read when the first request is signed.
func (a account) open(ctx context.Context, o *opening) (aws.Config, bool) {
	// The SDK's own logger would write to standard error. Its warnings become a wait
	// reason, or an error.
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if a.region != "" {
		options = append(options, config.WithRegion(a.region))
	}
	if a.profile != "" {
		options = append(options, config.WithSharedConfigProfile(a.profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		o.wrong("profile", "the AWS settings cannot be read: %v", err)
		return cfg, false
	}
	cfg.Retryer = nil // the engine's own retries are durable, and slower
	if a.endpoint != "" {
		cfg.BaseEndpoint = aws.String(a.endpoint)
	}
	if cfg.HTTPClient == nil { // unless the AWS settings name a bundle of certificates
		cfg.HTTPClient = awshttp.NewBuildableClient()
	}
	if b, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok { // each client would open connections of its own, and keep them
		connections := b.GetTransport()
		awswire.LimitHeaders(connections)
		cfg.HTTPClient = &http.Client{Transport: connections}
		o.to.idle = append(o.to.idle, connections.CloseIdleConnections)
	}
	o.to.keys[o.pattern] = cfg.Credentials
	return cfg, true
}

// Credentials returns an error that says what to do if a studio needs AWS credentials and
// has none. The AWS settings name none, a login has expired, or the source refuses them.
// Credentials returns nil if the source is not reached, because the engine waits for it,
// and for a studio that needs none. It takes at most five seconds. It returns the error
// of ctx unchanged.
func (t *Transport) Credentials(ctx context.Context, studioID string) error {
	one, _ := t.settings.Find(studioID)
	keys := t.keys[one.Pattern]
	if keys == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := awswire.Retrieve(limited, keys)
	var e *transport.Error
	if ctx.Err() != nil || !errors.As(err, &e) || e.Kind != transport.KindCredentials {
		return ctx.Err()
	}
	if e.Code != "" {
		return fmt.Errorf("%s: %s", e.Code, e.Message)
	}
	return errors.New(e.Message)
}

// checkURL returns what is wrong with an endpoint, or "".
func checkURL(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		return ""
	}
	return fmt.Sprintf("%.200q is not an http or https URL%s", endpoint, meantURL(endpoint))
}

// meantURL suggests the URL for an endpoint without a scheme, or returns "".
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
	return "; did you mean " + scheme + endpoint + "?"
}
