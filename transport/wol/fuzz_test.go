package wol

import (
	"net"
	"strconv"
	"testing"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
)

// FuzzMachine checks that a valid machine has a packet of the protocol's form and an
// address that can be dialed.
func FuzzMachine(f *testing.F) {
	f.Add("52:54:00:12:34:56", "10.0.0.255:9", "")
	f.Add("5254.0012.3456", "", "00-11-22-33-44-55")
	f.Add("52:54:00:12:34:56:78:9a", "::1", "x")
	f.Add("", "[::1]:0", "\x00")
	f.Add("52:54:00:12:34:56", "[::1]:0", "")
	f.Add("52:54:00:12:34:56", "a:http", "")
	f.Fuzz(func(t *testing.T, mac, address, password string) {
		got, err := Machine{MAC: mac, Address: address, Password: password, Probe: probe.Probe{Kind: probe.KindTCP, Port: 1}}.target(transport.Ref{SessionID: "ws-1"})
		if err != nil {
			return
		}
		want := 6 + 16*6
		if password != "" {
			want += 6
		}
		if len(got.packet) != want {
			t.Errorf("%q %q: a packet of %d bytes", mac, password, len(got.packet))
		}
		_, port, err := net.SplitHostPort(got.address)
		if n, numeric := strconv.Atoi(port); err != nil || numeric != nil || n < 1 || n > 65535 {
			t.Errorf("%q is dialed as %q: %v", address, got.address, err)
		}
	})
}
