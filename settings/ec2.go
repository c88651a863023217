package settings

import (
	"context"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"
	"github.com/rouse-dev/rouse/transport/probe"
)

type ec2Driver struct {
	account
	config ec2.Config
}

func readEC2(t *table, p probe.Probe) driver {
	return &ec2Driver{account: readAccount(t), config: ec2.Config{
		Tag:          t.text("tag"),
		Tags:         t.pairs("tags", notEmpty),
		StatusChecks: t.yes("status_checks"),
		Probe:        p,
		Public:       t.yes("public"),
		StaleFor:     t.duration("stale_for"),
	}}
}

func notEmpty(t *table, name string) {
	if name == "" {
		t.wrong(name, "a tag has a key")
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
		o.wrong("region", "no region is set: give one, or set AWS_REGION")
		return nil
	}
	t, err := ec2.NewFromConfig(cfg, d.config)
	if err != nil {
		o.wrong("transport", "%s", cutPrefix(err, "ec2: "))
	}
	return t
}
