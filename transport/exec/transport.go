package exec

import (
	"context"
	"fmt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/command"
	"github.com/rouse-dev/rouse/transport"
)

// Transport starts, looks at and stops sessions by running commands. Make it by
// [New]. It keeps no state and needs no Close.
type Transport struct {
	config              Config
	start, status, stop command.Script // stop.Argv is empty where there is no stop command
}

// New makes a Transport of c. An error names the field that cannot be; whether
// the programs exist is seen when they are run.
func New(c Config) (*Transport, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	t := &Transport{config: c}
	if c.Host == "" {
		t.config.Host = "{session}"
	}
	for _, one := range []struct {
		to       *command.Script
		name     string
		argv     []string
		required bool
	}{{&t.start, "start", c.Start, true}, {&t.status, "status", c.Status, true}, {&t.stop, "stop", c.Stop, false}} {
		if len(one.argv) == 0 && !one.required {
			continue
		}
		var err error
		if *one.to, err = c.script(one.name, one.argv).Prepare(); err != nil {
			return nil, fmt.Errorf("exec: %w", err)
		}
	}
	return t, nil
}

// Traits says what the Config says of repeats and of its authority.
func (t *Transport) Traits(transport.Ref) transport.Traits {
	return transport.Traits{Repeat: t.config.Repeat, Authoritative: t.config.Authoritative}
}

// CheckStart returns an error of kind Invalid if an id or the client token of in
// may not become a word of a command: see [Config].IDCharacters.
func (t *Transport) CheckStart(in transport.StartInput) error {
	return in.ValidateWords(t.config.IDCharacters)
}

// Start runs the Start command once. Exit status 0 is an accepted start; what
// others mean, and the line that a command may print, stands in the package's
// documentation. A command that ctx ends is killed, and its outcome is unknown.
func (t *Transport) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return t.start.Change(ctx, in.Ref, in.ClientToken, fsm.StateStartInProgress)
}

// Stop runs the Stop command once, with the meanings of Start's. Without a Stop
// command it is Invalid, and nothing is run.
func (t *Transport) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	if len(t.stop.Argv) == 0 {
		return transport.Session{}, transport.Invalid("%s cannot be stopped from here: no stop command is set", in.Ref)
	}
	return t.stop.Change(ctx, in.Ref, in.ClientToken, fsm.StateStopInProgress)
}

// Get runs the Status command, and the probe where there is one and the session
// runs.
func (t *Transport) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	session, err := t.status.Status(ctx, ref)
	if err != nil {
		return transport.Session{}, err
	}
	if session.State != fsm.StateReady {
		return session, nil
	}
	host := command.Fill(t.config.Host, ref)
	if len(session.Endpoints) > 0 && session.Endpoints[0].Host != "" {
		host = session.Endpoints[0].Host
	}
	return t.config.Probe.CheckSession(ctx, session, host)
}
