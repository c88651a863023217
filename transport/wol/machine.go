package wol

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
)

// Machine says how to wake and to probe a session's machine.
type Machine struct {
	// MAC is the address of its network card, "52:54:00:12:34:56". Required.
	MAC string
	// Address is where magic packets are sent: a broadcast address of the machine's
	// network, or its own address. A port may follow, as in "10.0.0.255:9". Without one
	// it is 9. The empty string means "255.255.255.255", which reaches only the network
	// of this computer's default route.
	Address string
	// Password is the SecureOn password of the card, written like a MAC. The protocol
	// sends it unencrypted. The empty string means no password.
	Password string
	// Host is the name or address that Probe asks. The empty string means the session's
	// id.
	Host string
	// Probe tests whether the machine runs. It is required, because a magic packet has no
	// answer.
	Probe probe.Probe
}

// Machines has the machines of sessions by session id, for any studio.
type Machines map[string]Machine

// Find returns the machine of a session. Use it as a [Config].Find.
func (s Machines) Find(ref transport.Ref) (Machine, bool) {
	m, ok := s[ref.SessionID]
	return m, ok
}

// Validate returns an error that names the first field that is not valid. The error shows
// the field's value, unless it is the password.
func (m Machine) Validate() error {
	_, err := m.target(transport.Ref{SessionID: "session"})
	return err
}

// target is a Machine with all fields parsed and defaults filled in.
type target struct {
	packet  []byte
	address string
	host    string
	probe   probe.Probe
}

func (m Machine) target(ref transport.Ref) (target, error) {
	mac, err := hardware(m.MAC)
	if err != nil {
		return target{}, fmt.Errorf("MAC %.64q: want six bytes, such as 52:54:00:12:34:56", m.MAC)
	}
	var password []byte
	if m.Password != "" {
		if password, err = hardware(m.Password); err != nil {
			return target{}, fmt.Errorf("the SecureOn password: want six bytes, written like a MAC")
		}
	}
	address, err := m.destination()
	if err != nil {
		return target{}, err
	}
	if m.Probe.Kind == probe.KindNone {
		return target{}, fmt.Errorf("a probe is required; nothing else shows whether the machine runs")
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

// discard is the usual port of magic packets. A sleeping card ignores the port.
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
	if _, _, err := net.SplitHostPort(address); err != nil || noAddress(m.Address) { // brackets around it, or one without its partner
		return "", wrong
	}
	return address, nil
}

// noAddress reports whether a host looks like an IPv4 address and is not one, such as
// "10.0.0.999". Only digits may be a name.
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
