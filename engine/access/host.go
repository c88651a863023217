package access

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/rouse-dev/rouse/transport"
)

// hostNames are the names by which clients may call a server. A web page can make its
// own name resolve to this server (DNS rebinding), and then its requests are not
// cross-origin. So a server must not answer to every name.
type hostNames map[string]bool

// newHostNames returns the names of hosts, each a host name or an IP address without
// scheme, port and path.
func newHostNames(hosts []string) (hostNames, error) {
	out := hostNames{"localhost": true}
	for _, host := range hosts {
		name := hostName(host)
		_, notIP := netip.ParseAddr(name)
		if name == "" || notIP != nil && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
			return nil, transport.Invalid("host %.80q is neither a host name nor an IP address: write it without scheme, port and path, as in farm.example", host)
		}
		out[name] = true
	}
	return out, nil
}

// hostName returns a host as it is compared: in lower case, without a last dot and
// without the brackets of an IPv6 address.
func hostName(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return host
}

// has reports whether r calls the server by one of its names. These are the given names,
// the loopback names, and the address that the connection arrived at.
func (n hostNames) has(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	name := hostName(host)
	if n[name] {
		return true
	}
	ip, err := netip.ParseAddr(name)
	if err != nil {
		return false
	}
	if ip.Unmap().IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && ip.Unmap() == addressOf(local.String())
}

// addressOf returns the address of "address:port", without its zone. It is invalid if
// text is something else, such as the name of a socket.
func addressOf(text string) netip.Addr {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

func (n hostNames) refusal(r *http.Request) string {
	return fmt.Sprintf("this server is not %.80q: use a name that it is configured for, or add this one to hosts in the settings", r.Host)
}
