package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/rouse-dev/rouse/transport/probe"
)

// Config says which hypervisor to call, and how. The zero value is qemu:///system of this
// computer, without a port probe.
type Config struct {
	// URI is libvirt's name of the connection on the daemon's computer: a driver and a
	// path, without a host. The empty string means "qemu:///system".
	URI string
	// Socket is the path of the daemon's socket on this computer. The empty string means
	// the socket on which the daemon of URI listens. That is in /var/run/libvirt or, for
	// a path of /session, in the folder libvirt of XDG_RUNTIME_DIR. If XDG_RUNTIME_DIR is
	// not set, that folder is in the user's cache folder.
	Socket string
	// Dial connects to a daemon on another computer, by SSH or TLS, instead of a socket.
	// Its connection is closed after each call. It is called concurrently, and must
	// return when its context ends. Nil means the socket.
	Dial func(context.Context) (net.Conn, error)
	// Probe must answer from this computer before a running domain is READY. With the
	// zero value, a domain that runs is READY, even if its system has only begun to boot.
	Probe probe.Probe
	// Host is the host that Probe asks. {studio} and {session} are replaced by the ids.
	// The empty string means "{session}".
	Host string
}

// complete checks c and fills in its defaults.
func (c Config) complete() (Config, error) {
	if c.URI == "" {
		c.URI = "qemu:///system"
	}
	if c.Host == "" {
		c.Host = "{session}"
	}
	u, err := url.Parse(c.URI)
	switch {
	case err != nil:
		return c, errors.New("libvirt: the URI cannot be read: want a driver and a path, such as qemu:///system")
	case strings.Contains(u.Scheme, "+") || u.Host != "" || u.User != nil:
		// Do not quote it, here and above, because it may hold a password.
		return c, errors.New("libvirt: the URI names a host or a way to it: write it without a host, and set Dial")
	case u.Scheme == "" || u.Path == "":
		return c, fmt.Errorf("libvirt: URI %.100q: want a driver and a path, such as qemu:///system", c.URI)
	case c.Socket != "" && c.Dial != nil:
		return c, errors.New("libvirt: both Socket and Dial are set: want one")
	}
	if err := c.Probe.Validate(); err != nil {
		return c, fmt.Errorf("libvirt: %w", err)
	}
	switch {
	case c.Dial != nil:
	case c.Socket != "":
		c.Dial = dialer(c.Socket)
	default:
		sockets, err := socketsOf(u)
		if err != nil {
			return c, err
		}
		c.Dial = dialer(sockets...)
	}
	return c, nil
}

// socketsOf returns the sockets on which a daemon for a URI may listen: the daemon for all
// drivers, or the driver's own daemon.
func socketsOf(u *url.URL) ([]string, error) {
	dir := "/var/run/libvirt"
	if u.Path == "/session" {
		dir = os.Getenv("XDG_RUNTIME_DIR")
		if dir == "" { // for example in a timer's job
			var err error
			if dir, err = os.UserCacheDir(); err != nil {
				return nil, fmt.Errorf("libvirt: XDG_RUNTIME_DIR is not set, so Socket must be: %w", err)
			}
		}
		dir = filepath.Join(dir, "libvirt")
	}
	return []string{filepath.Join(dir, "libvirt-sock"), filepath.Join(dir, "virt"+u.Scheme+"d-sock")}, nil
}

// dialer returns a function that connects to the first of the sockets that exists.
func dialer(sockets ...string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (conn net.Conn, err error) {
		for _, socket := range sockets {
			conn, err = (&net.Dialer{}).DialContext(ctx, "unix", socket)
			if !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
		return conn, err
	}
}
