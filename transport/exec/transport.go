package exec

import (
	"context"
	"fmt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/command"
	"github.com/rouse-dev/rouse/transport"
)

// Transport starts, reads and stops sessions by running commands. Make it by [New]. It
// keeps no state and needs no Close.
type Transport struct {
	config              Config
	start, status, stop command.Script // stop.Argv is empty without a stop command
}

// New makes a Transport of c. An error names the field that is wrong. New does not check
// whether the programs exist.
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

// Traits returns Repeat and Authoritative of the Config.
func (t *Transport) Traits(transport.Ref) transport.Traits {
	return transport.Traits{Repeat: t.config.Repeat, Authoritative: t.config.Authoritative}
}

// CheckStart returns an error of KindInvalid if an id or the client token of in must not
// become a word of a command: see [Config].IDCharacters.
func (t *Transport) CheckStart(in transport.StartInput) error {
	return in.ValidateWords(t.config.IDCharacters)
}

// Start runs the Start command once. Exit status 0 means that the start is accepted. The
// package's documentation has the other statuses and the line that a command may print. If
// ctx ends, the command is killed and its outcome is unknown.
func (t *Transport) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return t.start.Change(ctx, in.Ref, in.ClientToken, fsm.StateStartInProgress)
}

// Stop runs the Stop command once. Its exit status means what it means for Start. Without
// a Stop command, Stop returns an error of KindInvalid and runs nothing.
func (t *Transport) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	if len(t.stop.Argv) == 0 {
		return transport.Session{}, transport.Invalid("%s cannot be stopped: no stop command is set", in.Ref)
	}
	return t.stop.Change(ctx, in.Ref, in.ClientToken, fsm.StateStopInProgress)
}

// Get runs the Status command. If the session runs and the Config has a port probe, it
// makes that too.
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
