package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"
)

var errNoAddress = errors.New("it has no address")

// Error says that a port did not answer.
type Error struct {
	Probe Probe
	Host  string
	Err   error // the cause
}

// Error returns one sentence for a person: port, kind, host and cause.
func (e *Error) Error() string {
	return fmt.Sprintf("%s does not answer from this computer: %s", e.Probe.target(e.Host), cause(e.Err))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// cause returns the innermost text of an error of net. Addresses and the names of system
// calls add nothing to port and host.
func cause(err error) string {
	var (
		errno syscall.Errno
		dns   *net.DNSError
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "its name cannot be found"
	case errors.As(err, &dns):
		return "its name cannot be looked up: " + dns.Err
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF):
		return "it closes the connection"
	}
	return err.Error()
}

// timeoutError says that a Probe's own Timeout has passed. It wraps
// context.DeadlineExceeded, as the end of a caller's context does.
type timeoutError time.Duration

func (t timeoutError) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(t)) }

func (t timeoutError) Unwrap() error { return context.DeadlineExceeded }

// Offline reports whether a check failed because this computer has no network. There is
// no route, or an interface is down, or the name servers do not answer. Such an error
// says nothing about the machine. Offline is false for an unknown name, and for a machine
// on this network that does not answer.
func Offline(err error) bool {
	var dns *net.DNSError
	var unready *CommandError
	if errors.As(err, &unready) {
		return false
	}
	if errors.As(err, &dns) {
		return !dns.IsNotFound
	}
	return isAny(err, syscall.ENETUNREACH, syscall.ENETDOWN, wsaNetUnreach, wsaNetDown)
}

// OnlyHost reports whether an error of the network concerns only the host that was
// called. Its name is not known, or it does not accept a packet, or no route leads to it
// although this computer has a network. A driver sets transport.Error.OnlySession by it.
// Without a network it returns false.
func OnlyHost(err error) bool {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return dns.IsNotFound
	case Offline(err):
		return networked()
	}
	return isAny(err, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ECONNREFUSED, syscall.ETIMEDOUT,
		syscall.EPERM, syscall.EACCES, wsaHostDown, wsaHostUnreach, wsaTimedOut)
}

// networked reports whether this computer has an address on a network that is up.
func networked() bool {
	interfaces, err := net.Interfaces()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(interfaces, func(i net.Interface) bool {
		if i.Flags&net.FlagRunning == 0 || i.Flags&net.FlagLoopback != 0 {
			return false
		}
		addresses, err := i.Addrs()
		return err == nil && slices.ContainsFunc(addresses, func(a net.Addr) bool {
			ip, ok := a.(*net.IPNet)
			return ok && ip.IP.IsGlobalUnicast()
		})
	})
}

// Silent reports whether a check failed because no answer arrived at all, so that the
// machine is off or cannot be reached. Any answer, even a refusal, shows that the machine
// runs and only its port does not answer as it should.
func Silent(err error) bool {
	var dns *net.DNSError
	var unready *CommandError
	if errors.As(err, &unready) {
		return false // its port has answered
	}
	return errors.As(err, &dns) || errors.Is(err, context.DeadlineExceeded) ||
		isAny(err, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, wsaTimedOut, wsaHostDown, wsaHostUnreach) ||
		Offline(err)
}

// Windows reports these errors for sockets instead of syscall's portable ones. No other
// system has errors with these numbers.
const (
	wsaNetDown     = syscall.Errno(10050)
	wsaNetUnreach  = syscall.Errno(10051)
	wsaTimedOut    = syscall.Errno(10060)
	wsaHostDown    = syscall.Errno(10064)
	wsaHostUnreach = syscall.Errno(10065)
)

func isAny(err error, codes ...syscall.Errno) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && slices.Contains(codes, errno)
}
