package wol

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/command"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
)

// DefaultBoot is the default of [Config].Boot.
const DefaultBoot = 5 * time.Minute

// StatusCodes of a session that was woken.
const (
	Woken    = "WOKEN"     // START_IN_PROGRESS: the machine may still boot
	NoAnswer = "NO_ANSWER" // START_FAILED: the time to boot is over
)

// Config says which machines exist. Find is required.
type Config struct {
	// Find returns the machine of a session, or false if there is none. It must do no
	// I/O, and is called concurrently. [Machines.Find] is such a function.
	Find func(transport.Ref) (Machine, bool)
	// Boot is how long a machine may be silent after it was woken, before its start
	// counts as failed. Zero means DefaultBoot.
	Boot time.Duration
	// Stop is a command that stops a machine: a program and its arguments, as in
	// exec.Config. In it, {studio} and {session} are replaced by the ids. A command is
	// needed because no packet switches a machine off. The ids must be words of a
	// command; see transport.CheckWord. If Stop is empty, Transport.Stop returns an
	// error.
	Stop []string
	// IDCharacters are further characters that ids for the Stop command may hold; see
	// exec.Config. The empty string adds none.
	IDCharacters string
	// Secrets names environment variables whose values are hidden in what the Stop
	// command prints. Those whose names look like a secret are hidden anyway; see
	// exec.Config.
	Secrets []string
}

// Transport wakes machines by magic packets. Make it by [New]. It needs no Close.
type Transport struct {
	config Config
	stop   command.Script // Argv is empty without a command

	// mu guards woken and its elements. It is never held across I/O.
	mu    sync.Mutex
	woken map[transport.Ref]*wake
}

// New makes a Transport of c. An error names the field that is wrong. Machines that Find
// returns are checked at each call, and by [Machine.Validate].
func New(c Config) (*Transport, error) {
	switch {
	case c.Find == nil:
		return nil, errors.New("wol: Find is required: it returns the machine of a session")
	case c.Boot < 0:
		return nil, fmt.Errorf("wol: boot time %v is negative", c.Boot)
	case c.Boot == 0:
		c.Boot = DefaultBoot
	}
	t := &Transport{config: c, woken: map[transport.Ref]*wake{}}
	if len(c.Stop) > 0 {
		var err error
		if t.stop, err = (command.Script{Name: "stop", Argv: c.Stop, IDCharacters: c.IDCharacters, Secrets: c.Secrets}).Prepare(); err != nil {
			return nil, fmt.Errorf("wol: %w", err)
		}
	}
	return t, nil
}

// Traits says that a packet to a machine that runs does nothing, and that a machine that
// boots is silent for Boot at most. A machine that is silent longer is off.
func (t *Transport) Traits(transport.Ref) transport.Traits {
	return transport.Traits{Repeat: transport.RepeatByState, StaleFor: t.config.Boot, Authoritative: true}
}

// Start sends one magic packet and returns START_IN_PROGRESS. Only Get shows whether the
// machine got it, and sends it again while the machine is silent. If this computer could
// not send the packet, the error is KindUnreachable and not sent.
func (t *Transport) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	m, err := t.find(in.Ref)
	if err != nil {
		return transport.Session{}, err
	}
	if err := transport.CheckToken(in.ClientToken); err != nil {
		return transport.Session{}, err
	}
	if err := ctx.Err(); err != nil { // sending a datagram does not check ctx
		return transport.Session{}, notSent(transport.KindUnknown, in.Ref, err)
	}
	if err := send(ctx, m.packet, m.address); err != nil {
		return transport.Session{}, notSent(transport.KindUnreachable, in.Ref, err)
	}
	w := begin(now())
	t.mu.Lock()
	defer t.mu.Unlock()
	t.woken[in.Ref] = w
	return transport.Session{
		Ref: in.Ref, State: fsm.StateStartInProgress, StatusCode: Woken, StatusMessage: w.String(),
		Endpoints: []transport.Endpoint{m.probe.Endpoint(m.host)},
	}, nil
}

// Get probes the machine's port. If it answers, the session is READY. If the machine
// answers but its port does not, the session is START_IN_PROGRESS. A silent machine is
// START_IN_PROGRESS for Boot after a Start. Then it is START_FAILED until it answers or
// is started again. Without a Start it is STOPPED. If this computer has no network, the
// error is KindUnreachable.
func (t *Transport) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	m, err := t.find(ref)
	if err != nil {
		return transport.Session{}, err
	}
	err = m.probe.Check(ctx, m.host)
	s := transport.Session{
		Ref: ref, State: fsm.StateReady, Endpoints: []transport.Endpoint{m.probe.Endpoint(m.host)}, Probe: m.probe.Result(m.host, err),
	}
	switch {
	case err == nil:
		t.forget(ref)
		return s, nil
	case ctx.Err() != nil:
		return transport.Session{}, &transport.Error{Err: fmt.Errorf("reading %s: %w", ref, ctx.Err())}
	case probe.Offline(err):
		return transport.Session{}, &transport.Error{Kind: transport.KindUnreachable, NotSent: true, OnlySession: probe.OnlyHost(err), Err: err}
	case !probe.Silent(err):
		t.noteRunning(ref)
		s.State = fsm.StateStartInProgress
		s.StatusCode, s.StatusMessage = probe.Status(err)
		return s, nil
	}
	var again bool
	s.State, s.StatusCode, s.StatusMessage, again = t.silent(ref, now())
	s.StatusMessage += err.Error()
	if again {
		if err := send(ctx, m.packet, m.address); err != nil {
			s.StatusMessage += "; the last packet could not be sent: " + err.Error()
		}
	}
	return s, nil
}

// silent returns the state of a machine that does not answer, and whether to send another
// packet.
func (t *Transport) silent(ref transport.Ref, now time.Time) (state fsm.State, code, message string, again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.woken[ref]
	switch {
	case w == nil:
		return fsm.StateStopped, "", "", false
	case now.Sub(w.at) < t.config.Boot:
		again = w.repeat(now)
		return fsm.StateStartInProgress, Woken, w.String() + "; ", again
	}
	return fsm.StateStartFailed, NoAnswer, fmt.Sprintf("%s, and silent for %v; ", w, t.config.Boot), false
}

// noteRunning records that a machine runs. If it is switched off before it was READY, Get
// does not wake it again.
func (t *Transport) noteRunning(ref transport.Ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.woken[ref]; w != nil {
		w.runs = true
	}
}

func (t *Transport) forget(ref transport.Ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.woken, ref)
}

// Stop runs the Stop command. Its exit status and its line mean what they mean in package
// exec. Without a Stop command, Stop returns an error of KindInvalid and does nothing.
func (t *Transport) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	if _, err := t.find(in.Ref); err != nil {
		return transport.Session{}, err
	}
	if len(t.stop.Argv) == 0 {
		return transport.Session{}, transport.Invalid("%s cannot be stopped: Wake-on-LAN only wakes, and no stop command is set", in.Ref)
	}
	s, err := t.stop.Change(ctx, in.Ref, in.ClientToken, fsm.StateStopInProgress)
	if err == nil {
		t.forget(in.Ref) // so that no Get wakes it again
	}
	return s, err
}

func (t *Transport) find(ref transport.Ref) (target, error) {
	if err := ref.Validate(); err != nil {
		return target{}, err
	}
	m, ok := t.config.Find(ref)
	if !ok {
		return target{}, &transport.Error{Kind: transport.KindNotFound, NotSent: true, Code: "ResourceNotFoundException",
			Message: fmt.Sprintf("there is no machine for %s", ref)}
	}
	found, err := m.target(ref)
	if err != nil {
		return target{}, transport.Invalid("the machine of %s: %v", ref, err)
	}
	return found, nil
}

func notSent(kind transport.Kind, ref transport.Ref, err error) error {
	return &transport.Error{Kind: kind, NotSent: true, OnlySession: probe.OnlyHost(err), Err: fmt.Errorf("waking %s: %w", ref, err)}
}

// now returns the wall clock, which continues while this computer sleeps.
func now() time.Time { return time.Now().Round(0) }
