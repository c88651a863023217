package libvirt

import (
	"fmt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"

	"github.com/digitalocean/go-libvirt"
)

// domain is a domain with the state that a call has read.
type domain struct {
	libvirt.Domain
	state libvirt.DomainState
}

// find looks up a domain by its UUID if the session's id is written as one, or else by
// its name.
func find(l *libvirt.Libvirt, session string) (domain, error) {
	var (
		d   domain
		err error
	)
	if id, ok := parseUUID(session); ok {
		d.Domain, err = l.DomainLookupByUUID(id)
	} else {
		d.Domain, err = l.DomainLookupByName(session)
	}
	if err != nil {
		return d, err
	}
	return d, d.read(l)
}

// read reads the state again.
func (d *domain) read(l *libvirt.Libvirt) error {
	state, _, err := l.DomainGetState(d.Domain, 0)
	d.state = libvirt.DomainState(state)
	return err
}

// active reports whether the domain runs, even if it is shutting down.
func (d *domain) active() bool {
	return d.state != libvirt.DomainShutoff && d.state != libvirt.DomainCrashed
}

// session returns the domain as a session. READY means only that it runs.
func (d *domain) session(ref transport.Ref) transport.Session {
	s := transport.Session{Ref: ref}
	switch d.state {
	case libvirt.DomainRunning, libvirt.DomainBlocked:
		s.State = fsm.StateReady
	case libvirt.DomainPaused:
		s.State, s.StatusCode = fsm.StateStartInProgress, "PAUSED"
		s.StatusMessage = "the domain is paused; virsh resume continues it"
	case libvirt.DomainShutdown:
		s.State = fsm.StateStopInProgress
	case libvirt.DomainShutoff:
		s.State = fsm.StateStopped
	case libvirt.DomainCrashed:
		s.State, s.StatusCode, s.StatusMessage = fsm.StateStartFailed, "CRASHED", "the domain has crashed and was kept for analysis"
	case libvirt.DomainPmsuspended:
		s.State, s.StatusCode = fsm.StateStartInProgress, "SUSPENDED"
		s.StatusMessage = "the guest has suspended itself; virsh dompmwakeup wakes it"
	default:
		s.State = fsm.State(fmt.Sprintf("LIBVIRT_STATE_%d", d.state)) // a state that this version does not know
	}
	return s
}
