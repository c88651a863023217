package ec2

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// Config says which instances are sessions and when they are READY. With the zero value,
// a session is an instance named by its id, and READY when it runs.
type Config struct {
	// StatusChecks shows an instance as READY only when both of its status checks are ok.
	// That is minutes later, and costs one more call for each hundred instances that run.
	// False means that the checks are not read.
	StatusChecks bool
	// Probe shows an instance as READY only when this port of it answers from this
	// computer. The zero value probes no port.
	Probe probe.Probe
	// Public probes the public address, and lists it before the private one. False means
	// the private address, or the IPv6 one if there is no other.
	Public bool

	// Tag is the key of the tag whose value names a session, such as "Name". A session id
	// that is an instance id always means that instance. If Tag is empty, only instance
	// ids name sessions.
	Tag string
	// Tags are required of an instance, with these values, before it is listed or found
	// by its name. An empty value allows any value. Nil requires none.
	Tags map[string]string

	// InstanceTypes are the fallback types, in the order in which they are tried if EC2
	// has no capacity for an instance's own type. See the package's documentation. If it
	// is empty, no type is ever changed.
	InstanceTypes []string
	// InstanceTypesAfter is how many times in a row EC2 must lack capacity for a type
	// before the next one is tried. Zero means 3.
	InstanceTypesAfter int
	// PutTypeBack gives an instance its own type back after it has run as another type
	// and has stopped: by Stop, or before the next start. False means that it keeps the
	// type until EC2 lacks that one too.
	PutTypeBack bool

	// StaleFor is how long after a change reads may show the state before it; see
	// [transport.Traits]. Zero means [transport.DefaultStaleFor].
	StaleFor time.Duration
}

// Validate returns the error with which [New] would refuse c, or nil.
func (c Config) Validate() error {
	if err := c.Probe.Validate(); err != nil {
		return fmt.Errorf("ec2: Config.Probe: %w", err)
	}
	if c.StaleFor < 0 {
		return fmt.Errorf("ec2: Config.StaleFor is %v: it must not be negative", c.StaleFor)
	}
	for key := range c.Tags {
		if key == "" {
			return errors.New("ec2: Config.Tags has an empty key")
		}
	}
	return c.validateTypes()
}

func (c Config) validateTypes() error {
	for i, one := range c.InstanceTypes {
		switch {
		case !isType(one):
			return fmt.Errorf("ec2: Config.InstanceTypes has %q, which is no instance type; write it as g5.2xlarge", one)
		case slices.Contains(c.InstanceTypes[:i], one):
			return fmt.Errorf("ec2: Config.InstanceTypes has %s twice; remove one", one)
		}
	}
	switch {
	case c.InstanceTypesAfter < 0:
		return fmt.Errorf("ec2: Config.InstanceTypesAfter is %d: it must not be negative", c.InstanceTypesAfter)
	case len(c.InstanceTypes) == 0 && c.InstanceTypesAfter > 0:
		return fmt.Errorf("ec2: Config.InstanceTypesAfter is %d, and there are no InstanceTypes", c.InstanceTypesAfter)
	case len(c.InstanceTypes) == 0 && c.PutTypeBack:
		return errors.New("ec2: Config.PutTypeBack is set, and there are no InstanceTypes")
	}
	return nil
}

// defaultAfter corresponds to three minutes of an engine's waits: the first refusal
// comes at once, the second after one minute, the third after two more.
const defaultAfter = 3

// The maximum for one call.
const (
	maxStarts   = 500  // the ids of a StartInstances
	maxDescribe = 1000 // the ids of a DescribeInstances
	maxFilter   = 200  // the values of a filter, which is EC2's limit
	maxStatus   = 100  // the ids of a DescribeInstanceStatus, which is EC2's limit
)

// Transport starts, stops and reads the instances of one account and region. It is a
// [transport.BatchStarter], a [transport.BatchGetter], a [transport.Lister] and a
// [transport.Describer], and safe for concurrent use. All its errors are
// *transport.Error. If the error is an answer of EC2, errors.As also finds a
// smithy.APIError in the chain.
type Transport struct {
	client   *ec2.Client
	http     aws.HTTPClient
	cfg      Config
	pools    pools
	refusals refusals
	locks    locks
}

var (
	_ transport.Transport    = (*Transport)(nil)
	_ transport.BatchStarter = (*Transport)(nil)
	_ transport.BatchGetter  = (*Transport)(nil)
	_ transport.Lister       = (*Transport)(nil)
	_ transport.Describer    = (*Transport)(nil)
)

// NewFromConfig is [New] with a client that ec2.NewFromConfig makes from cfg.
func NewFromConfig(cfg aws.Config, config Config) (*Transport, error) {
	return New(ec2.NewFromConfig(cfg), config)
}

// New makes a Transport from an EC2 client. The client's Retryer is not used, and a call
// sends once. New returns an error if config has a bad value, or if the client has no
// region or no credentials.
func New(client *ec2.Client, config Config) (*Transport, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	o := client.Options()
	switch {
	case o.Region == "":
		return nil, errors.New("ec2: the client has no region")
	case o.Credentials == nil:
		return nil, errors.New("ec2: the client has no credentials")
	}
	config.Tag = strings.TrimSpace(config.Tag)
	config.Tags = maps.Clone(config.Tags)
	config.InstanceTypes = slices.Clone(config.InstanceTypes)
	if config.InstanceTypesAfter == 0 {
		config.InstanceTypesAfter = defaultAfter
	}
	return &Transport{client: client, http: awswire.Client(o.HTTPClient), cfg: config}, nil
}

// Traits returns the same for every session. Starting an instance that runs does nothing,
// and a batch has up to 1,000 reads or 500 starts.
func (t *Transport) Traits(transport.Ref) transport.Traits {
	return transport.Traits{
		Repeat:    transport.RepeatByState,
		StaleFor:  t.cfg.StaleFor,
		MaxBatch:  maxDescribe,
		MaxStarts: maxStarts,
	}
}
