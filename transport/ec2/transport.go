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

// Config says what a session is and when it is READY. The zero value works: a
// session is an instance by its id, and READY when it runs.
type Config struct {
	// StatusChecks calls an instance READY only when both of its status checks
	// are ok: minutes later, and one more call for each hundred that run.
	StatusChecks bool
	// Probe calls an instance READY only when this port of it answers, from
	// this computer. Defaults to no probe.
	Probe probe.Probe
	// Public probes the public address, and names it before the private one.
	// Defaults to the private address, or the IPv6 one where there is no other.
	Public bool

	// Tag is the key of the tag by whose value sessions are named, "Name"
	// say. A session id that is an instance's id is that instance, with or
	// without it. Defaults to none: sessions are named by instance id alone.
	Tag string
	// Tags must all be on an instance, with these values, for it to be listed
	// or found by its name. An empty value stands for any. Defaults to none.
	Tags map[string]string

	// InstanceTypes is plan B: the types to start an instance as, in this order,
	// where EC2 has no capacity for its own; see the package's documentation.
	// Defaults to none: a type is never changed.
	InstanceTypes []string
	// InstanceTypesAfter is how many times in a row EC2 must have no capacity
	// for a type before the next is tried. Defaults to 3.
	InstanceTypesAfter int
	// PutTypeBack gives an instance its own type back once it has run as
	// another and has stopped, whoever stopped it: by Stop, or before the next
	// start. Defaults to false: it keeps the type until EC2 lacks that one, too.
	PutTypeBack bool

	// StaleFor is how long answers may show the past; see [transport.Traits].
	// Defaults to [transport.DefaultStaleFor].
	StaleFor time.Duration
}

// Validate reports what [New] would refuse of c.
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
			return fmt.Errorf("ec2: Config.InstanceTypes has %q, which is no instance type: write it as g5.2xlarge", one)
		case slices.Contains(c.InstanceTypes[:i], one):
			return fmt.Errorf("ec2: Config.InstanceTypes has %s twice", one)
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

// defaultAfter is some three minutes of an engine's waits: the first answer comes
// at once, the next after one minute, the third after two more.
const defaultAfter = 3

// How much goes into one call.
const (
	maxStarts   = 500  // ids of a StartInstances
	maxDescribe = 1000 // ids of a DescribeInstances
	maxFilter   = 200  // values of a filter: EC2's limit
	maxStatus   = 100  // ids of a DescribeInstanceStatus: EC2's limit
)

// Transport starts, stops and looks at the instances of one account and region.
// It is a [transport.BatchStarter], a [transport.BatchGetter], a
// [transport.Lister] and a [transport.Describer], and safe for concurrent use.
// Its errors are all *transport.Error; where EC2 answered with one, errors.As
// finds a smithy.APIError in the chain as well.
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

// NewFromConfig is [New] with a client made of cfg, as by ec2.NewFromConfig.
func NewFromConfig(cfg aws.Config, config Config) (*Transport, error) {
	return New(ec2.NewFromConfig(cfg), config)
}

// New makes a Transport of an EC2 client. The client's Retryer is not used: a
// call sends once. It fails if config has a bad value, and if the client has no
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

// Traits are the same for every session: starting what runs does nothing,
// batches of up to 1,000 looks and 500 starts.
func (t *Transport) Traits(transport.Ref) transport.Traits {
	return transport.Traits{
		Repeat:    transport.RepeatByState,
		StaleFor:  t.cfg.StaleFor,
		MaxBatch:  maxDescribe,
		MaxStarts: maxStarts,
	}
}
