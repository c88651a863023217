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

// Error is a port that did not answer.
type Error struct {
	Probe Probe
	Host  string
	Err   error // the cause
}

// Error is one sentence for a person: port, kind, host and cause.
func (e *Error) Error() string {
	return fmt.Sprintf("%s does not answer from this computer: %s", e.Probe.target(e.Host), cause(e.Err))
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// cause is the innermost of what net says: addresses and the names of system
// calls are noise beside port and host.
func cause(err error) string {
	var (
		errno syscall.Errno
		dns   *net.DNSError
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "its name is not known here"
	case errors.As(err, &dns):
		return "its name cannot be looked up: " + dns.Err
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF):
		return "it closes the connection"
	}
	return err.Error()
}

// timeoutError is the end of a Probe's own Timeout. It is also a
// context.DeadlineExceeded, as the end of a caller's is.
type timeoutError time.Duration

func (t timeoutError) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(t)) }

func (t timeoutError) Unwrap() error { return context.DeadlineExceeded }

// Offline reports whether a check failed for want of a network on this
// computer: no route anywhere, an interface that is down, name servers that do
// not answer. It then says nothing of the machine. A name that is not known, and
// a machine on this network that does not answer, are no such fault.
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

// OnlyHost reports whether an error of the network concerns the one host that was
// asked, and leaves the others alone: its name is not known, no route leads to it
// although this computer has a network, it does not take a packet. A driver sets
// transport.Error.OnlySession by it. Without a network it is false.
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

// Silent reports whether a check failed because nothing at all came back: the
// machine is off, or cut off. Any other answer, a refusal above all, is a sign that
// it runs, and that only its port does not answer as it should.
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

// Windows reports these for sockets, and not syscall's portable ones. No other
// system has errors of these numbers.
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
