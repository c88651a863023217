package wol

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
)

// Machine is where a session's machine is, asleep and awake.
type Machine struct {
	// MAC is the address of its network card, "52:54:00:12:34:56". Required.
	MAC string
	// Address is where magic packets are sent: a broadcast address of the
	// machine's network, or its own. A port may follow, as in "10.0.0.255:9";
	// without one it is 9. Defaults to "255.255.255.255", which reaches the
	// network of this computer's default route alone.
	Address string
	// Password is the SecureOn password of the card, written as a MAC is.
	// Defaults to none. It is sent in the clear, as the protocol has it.
	Password string
	// Host is what the probe asks: a name or an address. Defaults to the
	// session's id.
	Host string
	// Probe tells whether the machine runs. Required: a magic packet has no
	// answer.
	Probe probe.Probe
}

// Machines is machines by the ids of their sessions, whatever the studio.
type Machines map[string]Machine

// Find is a [Config].Find that looks into the shelf.
func (s Machines) Find(ref transport.Ref) (Machine, bool) {
	m, ok := s[ref.SessionID]
	return m, ok
}

// Validate returns an error that names the first field that cannot be, and its
// value unless it is the password.
func (m Machine) Validate() error {
	_, err := m.target(transport.Ref{SessionID: "session"})
	return err
}

// target is a Machine with everything read and filled in.
type target struct {
	packet  []byte
	address string
	host    string
	probe   probe.Probe
}

func (m Machine) target(ref transport.Ref) (target, error) {
	mac, err := hardware(m.MAC)
	if err != nil {
		return target{}, fmt.Errorf("MAC %.64q: want six bytes, as 52:54:00:12:34:56", m.MAC)
	}
	var password []byte
	if m.Password != "" {
		if password, err = hardware(m.Password); err != nil {
			return target{}, fmt.Errorf("the SecureOn password: want six bytes, written as a MAC is")
		}
	}
	address, err := m.destination()
	if err != nil {
		return target{}, err
	}
	if m.Probe.Kind == probe.KindNone {
		return target{}, fmt.Errorf("a probe is required: nothing else tells whether the machine runs")
	}
	if err := m.Probe.Validate(); err != nil {
		return target{}, err
	}
	host := m.Host
	if host == "" {
		host = ref.SessionID
	}
	return target{packet: packet(mac, password), address: address, host: host, probe: m.Probe}, nil
}

// discard is the port that magic packets are sent to by custom; a sleeping card
// reads no ports.
const discard = "9"

func (m Machine) destination() (string, error) {
	if m.Address == "" {
		return net.JoinHostPort("255.255.255.255", discard), nil
	}
	wrong := fmt.Errorf("address %.300q: want a host, or a host and a port from 1 to 65535", m.Address)
	if host, port, err := net.SplitHostPort(m.Address); err == nil {
		n, err := strconv.Atoi(port)
		if host == "" || noAddress(host) || err != nil || n < 1 || n > 65535 {
			return "", wrong
		}
		return m.Address, nil
	}
	address := net.JoinHostPort(m.Address, discard)
	if _, _, err := net.SplitHostPort(address); err != nil || noAddress(m.Address) { // brackets around it, or one alone
		return "", wrong
	}
	return address, nil
}

// noAddress reports whether a host looks like an IPv4 address and is none, as
// "10.0.0.999". Digits alone may be a name.
func noAddress(host string) bool {
	return strings.Contains(host, ".") && strings.Trim(host, "0123456789.") == "" && net.ParseIP(host) == nil
}

// hardware reads the six bytes of an Ethernet address.
func hardware(text string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(text)
	if err == nil && len(mac) != 6 {
		err = fmt.Errorf("%d bytes", len(mac))
	}
	return mac, err
}
