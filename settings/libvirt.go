package settings

import (
	"context"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/exec"
	"github.com/rouse-dev/rouse/transport/libvirt"
	"github.com/rouse-dev/rouse/transport/probe"
)

type libvirtDriver struct{ config libvirt.Config }

func readLibvirt(t *table, p probe.Probe) driver {
	c := libvirt.Config{URI: t.text("uri"), Socket: t.text("socket"), Host: t.text("host"), Probe: p}
	if _, err := libvirt.New(libvirt.Config{URI: c.URI}); err != nil {
		t.wrong("uri", "%s", cutPrefix(err, "libvirt: "))
	}
	if c.Host != "" {
		checkCommand(t, "host", exec.Config{Start: []string{"true"}, Status: []string{"true"}, Host: c.Host})
	}
	return &libvirtDriver{c}
}

func (d *libvirtDriver) where() string {
	where := d.config.URI
	if where == "" {
		where = "qemu:///system"
	}
	if d.config.Socket != "" {
		where += " by " + d.config.Socket
	}
	return where
}

func (d *libvirtDriver) open(_ context.Context, o *opening) transport.Transport {
	t, err := libvirt.New(d.config)
	if err != nil {
		o.wrong("transport", "%s", cutPrefix(err, "libvirt: "))
	}
	return t
}
