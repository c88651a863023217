//go:build linux

package libvirt_test

import (
	"testing"

	"github.com/rouse-dev/rouse/internal/hypervisor"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/libvirt"
)

// BenchmarkGet reads a domain over a connection of its own.
func BenchmarkGet(b *testing.B) {
	d := hypervisor.New(b)
	l, ref := open(b, libvirt.Config{URI: "test:///default", Socket: d.Socket()}), transport.Ref{StudioID: "lab", SessionID: "test"}
	for b.Loop() {
		if _, err := l.Get(b.Context(), ref); err != nil {
			b.Fatal(err)
		}
	}
}
