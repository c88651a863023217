package settings

import (
	"context"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"
	"github.com/rouse-dev/rouse/transport/probe"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
)

type ec2Driver struct {
	account
	config ec2.Config
}

func readEC2(t *table, p probe.Probe) driver {
	d := &ec2Driver{account: readAccount(t)}
	d.config = ec2.Config{
		Tag:          t.text("tag"),
		Tags:         t.pairs("tags", notEmpty),
		StatusChecks: t.yes("status_checks"),
		Probe:        p,
		Public:       t.yes("public"),
		StaleFor:     t.duration("stale_for"),
	}
	planB(t, &d.config)
	return d
}

// planB reads the keys of fallback types.
func planB(t *table, c *ec2.Config) {
	c.InstanceTypes = t.texts("instance_types")
	if err := (ec2.Config{InstanceTypes: c.InstanceTypes}).Validate(); err != nil {
		t.wrong("instance_types", "it %s", cutPrefix(err, "ec2: Config.InstanceTypes "))
	}
	c.InstanceTypesAfter = t.count("instance_types_after")
	c.PutTypeBack = t.yes("put_type_back")
	for _, key := range []string{"instance_types_after", "put_type_back"} {
		if t.has(key) && !t.has("instance_types") {
			t.wrong(key, "it needs instance_types, which is not set")
		}
	}
}

func notEmpty(t *table, name string) {
	if name == "" {
		t.wrong(name, "the key of a tag is empty; write a tag as name = \"value\"")
	}
}

func (d *ec2Driver) where() string {
	where := d.account.where()
	if d.config.Tag != "" {
		where += ", by tag " + d.config.Tag
	}
	return where
}

func (d *ec2Driver) open(ctx context.Context, o *opening) transport.Transport {
	cfg, ok := d.account.open(ctx, o)
	switch {
	case !ok:
		return nil
	case cfg.Region == "":
		o.wrong("region", "no region is set; give one, or set AWS_REGION")
		return nil
	case d.endpoint == "" && endpointOf(ctx, cfg, awsec2.ServiceID) == "":
		if wrong := checkRegion(cfg.Region, "ec2"); wrong != "" {
			o.wrong("region", "%s", wrong)
			return nil
		}
	}
	t, err := ec2.NewFromConfig(cfg, d.config)
	if err != nil {
		o.wrong("transport", "%s", cutPrefix(err, "ec2: "))
	}
	return t
}
