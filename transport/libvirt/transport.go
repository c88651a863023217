package libvirt

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/command"
	"github.com/rouse-dev/rouse/transport"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"
)

// Transport starts, reads and stops the domains of one libvirt daemon. Make it by [New]. It
// keeps no connection and needs no Close.
type Transport struct{ config Config }

// New makes a Transport of c. An error names the field that is wrong. New does not connect
// to the daemon.
func New(c Config) (*Transport, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	return &Transport{config: c}, nil
}

// Traits says that libvirt does not start a domain that runs, and that it shows the
// domain's own state.
func (t *Transport) Traits(transport.Ref) transport.Traits {
	return transport.Traits{Repeat: transport.RepeatByState, Authoritative: true}
}

// Start starts the domain, unless its state says that it runs already. The answer is
// START_IN_PROGRESS if Get would make a port probe first. A domain that libvirt could not
// start is START_FAILED, with libvirt's own error. A lack of memory is KindCapacity, and a
// domain that is being shut down is KindConflict.
func (t *Transport) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	if err := in.Validate(); err != nil {
		return transport.Session{}, err
	}
	var s transport.Session
	err := t.call(ctx, in.Ref, func(l *libvirt.Libvirt) error {
		d, err := find(l, in.SessionID)
		if err != nil {
			return err
		}
		s, err = start(l, d, in.Ref)
		return err
	})
	if err != nil {
		return transport.Session{}, err
	}
	if s.State == fsm.StateReady && t.config.Probe.Kind != 0 {
		s.State = fsm.StateStartInProgress // Get decides whether it is READY
	}
	return s, nil
}

func start(l *libvirt.Libvirt, d domain, ref transport.Ref) (transport.Session, error) {
	var failed error
	if !d.active() {
		failed = l.DomainCreate(d.Domain)
		if err := d.read(l); err != nil {
			return transport.Session{}, unknownOutcome(ref, failed, err)
		}
	}
	if d.state == libvirt.DomainShutdown {
		return transport.Session{}, &transport.Error{Kind: transport.KindConflict,
			Message: fmt.Sprintf("%s is being shut down", ref)}
	}
	if failed == nil || d.active() {
		return d.session(ref), nil // this call or another caller has started it
	}
	var verdict libvirt.Error
	if !errors.As(failed, &verdict) {
		return transport.Session{}, failed
	}
	return refusedStart(ref, verdict)
}

// unknownOutcome returns the error of a start after which the domain could not be read.
// The daemon had answered for the domain before, so the error concerns only this session.
func unknownOutcome(ref transport.Ref, failed, err error) error {
	return &transport.Error{OnlySession: true, Err: fmt.Errorf("reading %s after its start: %w", ref, errors.Join(failed, err))}
}

// refusedStart returns the answer for a start that failed, if the domain did not run
// after it.
func refusedStart(ref transport.Ref, e libvirt.Error) (transport.Session, error) {
	switch {
	case kindOf(e) != transport.KindInternal:
		return transport.Session{}, refusal(ref, e)
	case libvirt.ErrorNumber(e.Code) == libvirt.ErrNoMemory, strings.Contains(e.Message, "Cannot allocate memory"):
		return transport.Session{}, &transport.Error{Kind: transport.KindCapacity, Code: code(e), Message: message(e), Err: e}
	}
	return transport.Session{Ref: ref, State: fsm.StateStartFailed, StatusCode: code(e), StatusMessage: message(e)}, nil
}

// Get reads the domain's state. If the domain runs, it makes the port probe.
func (t *Transport) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	if err := ref.Validate(); err != nil {
		return transport.Session{}, err
	}
	var s transport.Session
	err := t.call(ctx, ref, func(l *libvirt.Libvirt) error {
		d, err := find(l, ref.SessionID)
		s = d.session(ref)
		return err
	})
	if err != nil {
		return transport.Session{}, err
	}
	if s.State != fsm.StateReady {
		return s, nil
	}
	return t.config.Probe.CheckSession(ctx, s, t.host(ref))
}

// Stop asks the guest to shut down, as its power button would. The guest may take long,
// or ignore it. A domain that does not run is KindConflict.
func (t *Transport) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	if err := in.Validate(); err != nil {
		return transport.Session{}, err
	}
	err := t.call(ctx, in.Ref, func(l *libvirt.Libvirt) error {
		d, err := find(l, in.SessionID)
		switch {
		case err != nil:
			return err
		case !d.active():
			return &transport.Error{Kind: transport.KindConflict, Message: fmt.Sprintf("%s does not run", in.Ref)}
		}
		return l.DomainShutdown(d.Domain)
	})
	if err != nil {
		return transport.Session{}, err
	}
	return transport.Session{Ref: in.Ref, State: fsm.StateStopInProgress}, nil
}

func (t *Transport) host(ref transport.Ref) string { return command.Fill(t.config.Host, ref) }

// parseUUID parses the one form that libvirt prints.
func parseUUID(text string) (libvirt.UUID, bool) {
	id, err := uuid.Parse(text)
	return libvirt.UUID(id), err == nil && len(text) == 36
}
