package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// Kind says how a port must answer.
type Kind uint8

// The kinds of probe.
const (
	KindNone Kind = iota // no probe, so every host counts as answering
	KindTCP              // accepts a connection
	KindTLS              // completes a handshake, whatever its certificate is
	KindSSH              // sends an SSH server's banner
)

var kindNames = [...]string{"none", "tcp", "tls", "ssh"}

// String returns the kind's name: none, tcp, tls or ssh.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// DefaultTimeout is the default of [Probe].Timeout.
const DefaultTimeout = 3 * time.Second

// CodeUnanswered is the StatusCode of a session whose machine runs, but whose port does
// not answer from this computer.
const CodeUnanswered = "PORT_DOES_NOT_ANSWER"

// Probe tests one port and, if it has a Command, runs that too. The zero value is no
// probe, and its Check returns nil for every host.
type Probe struct {
	Kind Kind
	// Port is from 1 to 65535.
	Port int
	// Timeout limits one check, including name look-up, connection and Command. Zero
	// means DefaultTimeout.
	Timeout time.Duration
	// Command must find the machine ready too, after the port has answered. An example is
	// a DCV server, which accepts TLS connections before it has a session to show. With
	// nil, only the port decides.
	Command *Command
}

// Parse parses the name of a probe. That is "none" or "" (no probe), a kind and its port
// ("tls:8443"), or a service with its own port ("dcv", "rdp" or "ssh").
func Parse(text string) (Probe, error) {
	switch text {
	case "", "none":
		return Probe{}, nil
	case "dcv":
		return Probe{Kind: KindTLS, Port: 8443}, nil
	case "rdp":
		return Probe{Kind: KindTCP, Port: 3389}, nil
	case "ssh":
		return Probe{Kind: KindSSH, Port: 22}, nil
	}
	name, digits, _ := strings.Cut(text, ":")
	port, err := strconv.Atoi(digits)
	for kind := KindTCP; kind <= KindSSH; kind++ {
		p := Probe{Kind: kind, Port: port}
		if name == kind.String() && err == nil && p.Validate() == nil {
			return p, nil
		}
	}
	return Probe{}, fmt.Errorf(`probe %.64q: want "none", "dcv", "rdp", "ssh", or a kind and a port from 1 to 65535, such as "tcp:3389", "tls:8443", "ssh:22"`, text)
}

// String returns what [Parse] parses: "tls:8443", or "none". If there is a Command, its
// program follows: "tls:8443 and ssh".
func (p Probe) String() string {
	switch {
	case p.Kind == KindNone:
		return KindNone.String()
	case p.Command != nil && len(p.Command.Args) > 0:
		return fmt.Sprintf("%v:%d and %s", p.Kind, p.Port, p.Command.Args[0])
	}
	return fmt.Sprintf("%v:%d", p.Kind, p.Port)
}

// Validate returns an error that names the field and its value if p is neither the
// zero value nor a probe that can be made.
func (p Probe) Validate() error {
	switch {
	case p.Kind == KindNone && p.Command != nil:
		return errors.New("probe: a command without a kind: it runs once a port answers, so want tcp, tls or ssh")
	case p.Kind == KindNone && p != Probe{}:
		return fmt.Errorf("probe: port %d and time-out %v without a kind: want tcp, tls or ssh", p.Port, p.Timeout)
	case p.Kind > KindSSH:
		return fmt.Errorf("probe: unknown kind %d: want tcp, tls or ssh", p.Kind)
	case p.Kind != KindNone && (p.Port < 1 || p.Port > 65535):
		return fmt.Errorf("probe: port %d: want 1 to 65535", p.Port)
	case p.Timeout < 0:
		return fmt.Errorf("probe: time-out %v is negative", p.Timeout)
	case p.Command != nil:
		return p.Command.validate()
	}
	return nil
}

// Endpoint returns p's port on host, with the name that launchers know. That is "dcv" for
// 8443, "rdp" for 3389, and "ssh" for 22 and for an SSH probe of any port. For other
// ports it is the kind's name.
func (p Probe) Endpoint(host string) transport.Endpoint {
	name := p.Kind.String()
	switch p.Port {
	case 8443:
		name = "dcv"
	case 3389:
		name = "rdp"
	case 22:
		name = "ssh"
	}
	if p.Kind == KindSSH {
		name = "ssh"
	}
	return transport.Endpoint{Name: name, Host: host, Port: p.Port}
}

// Check returns nil if p's port of host answers and p's Command, if there is one, finds
// the machine ready. It returns an [*Error] if the port does not answer, and a
// [*CommandError] if the Command does not find the machine ready. The host is a name or
// an address without a port. Check ends when ctx does, and takes at most Timeout. It may
// be called concurrently.
func (p Probe) Check(ctx context.Context, host string) error {
	if p == (Probe{}) {
		return nil
	}
	if err := p.Validate(); err != nil {
		return err
	}
	timeout := p.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := p.connect(limited, net.JoinHostPort(host, strconv.Itoa(p.Port)), host)
	var dns *net.DNSError
	switch {
	case err == nil:
		return p.ask(ctx, limited, timeout, host)
	case errors.As(err, &dns): // it says more than that the time has passed
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		<-limited.Done() // net's own timer may be a moment ahead
	}
	switch { // the reason why a connection was closed says more than that it was closed
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case limited.Err() != nil && dns == nil:
		err = timeoutError(timeout)
	}
	return &Error{Probe: p, Host: host, Err: err}
}

// ask runs p's Command. limited ends when ctx does, or after timeout.
func (p Probe) ask(ctx, limited context.Context, timeout time.Duration, host string) error {
	if p.Command == nil {
		return nil
	}
	err := p.Command.ask(limited, host)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case limited.Err() != nil:
		err = timeoutError(timeout)
	}
	return &CommandError{Probe: p, Host: host, Err: err}
}

// Status returns the StatusCode and the StatusMessage of a session whose machine runs,
// for Check's err. The StatusCode is [CodeUnanswered] or [CodeCommandFailed].
func Status(err error) (code, message string) {
	var failed *CommandError
	if code = CodeUnanswered; errors.As(err, &failed) {
		code = CodeCommandFailed
	}
	return code, "running, but " + err.Error()
}

// Result returns err, which Check(ctx, host) has just returned, as data for
// [transport.Session]. It returns the zero value if p is no probe.
func (p Probe) Result(host string, err error) transport.ProbeResult {
	if p == (Probe{}) {
		return transport.ProbeResult{}
	}
	r := transport.ProbeResult{Target: p.target(host), OK: err == nil, At: time.Now().UTC()}
	var failed *Error
	var unready *CommandError
	switch {
	case errors.As(err, &failed):
		r.Message = cause(failed.Err)
	case errors.As(err, &unready):
		r.Target, r.Message = unready.target(), unready.Err.Error()
	case err != nil:
		r.Message = err.Error()
	}
	return r
}

// target names what p probes, for a person.
func (p Probe) target(host string) string {
	return fmt.Sprintf("port %d (%v) of %s", p.Port, p.Kind, host)
}

// CheckSession returns s, whose machine the provider shows as running, with the state
// that Check finds. It is READY if Check returns nil. Otherwise it is START_IN_PROGRESS,
// with a status that says what does not answer, followed by the message that s had.
//
// CheckSession sets s.Probe, and adds p's endpoint if s has none of its name. An empty
// host means that the machine has no address yet, and counts as one that does not answer.
// If ctx ends first, the error is a *transport.Error of KindUnknown.
func (p Probe) CheckSession(ctx context.Context, s transport.Session, host string) (transport.Session, error) {
	s.State = fsm.StateReady
	if p == (Probe{}) {
		return s, nil
	}
	var err error
	if host == "" {
		host = "the machine"
		err = &Error{Probe: p, Host: host, Err: errNoAddress}
	} else {
		s.Endpoints = withEndpoint(s.Endpoints, p.Endpoint(host))
		err = p.Check(ctx, host)
	}
	if ctx.Err() != nil {
		return transport.Session{}, &transport.Error{Err: fmt.Errorf("reading %s: %w", s.Ref, ctx.Err())}
	}
	s.Probe = p.Result(host, err)
	if err != nil {
		code, message := Status(err)
		if s.StatusMessage != "" {
			message += "; the provider says: " + s.StatusMessage
		}
		s.State, s.StatusCode, s.StatusMessage = fsm.StateStartInProgress, code, message
	}
	return s, nil
}

// withEndpoint returns have with e, unless it has an endpoint of that name. It does not
// change the caller's slice.
func withEndpoint(have []transport.Endpoint, e transport.Endpoint) []transport.Endpoint {
	for _, old := range have {
		if old.Name == e.Name {
			return have
		}
	}
	return append(have[:len(have):len(have)], e)
}
