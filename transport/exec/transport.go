package exec

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/secret"
	"github.com/rouse-dev/rouse/transport"
)

// Transport starts, looks at and stops sessions by running commands. Make it by
// [New]. It keeps no state and needs no Close.
type Transport struct {
	config  Config
	secrets secret.Values
}

// New makes a Transport of c. An error names the field that cannot be; whether
// the programs exist is seen when they are run.
func New(c Config) (*Transport, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Host == "" {
		c.Host = "{session}"
	}
	c.Start, c.Status, c.Stop = slices.Clone(c.Start), slices.Clone(c.Status), slices.Clone(c.Stop)
	c.Secrets = slices.Clone(c.Secrets)
	c.Env = slices.Concat(os.Environ(), c.Env) // of two values the later counts
	return &Transport{config: c, secrets: secret.Of(c.Env, c.Secrets)}, nil
}

// Traits says what the Config says of repeats and of its authority.
func (t *Transport) Traits(transport.Ref) transport.Traits {
	return transport.Traits{Repeat: t.config.Repeat, Authoritative: t.config.Authoritative}
}

// CheckStart returns an error of kind Invalid if an id or the client token of in
// may not become a word of a command: see [Config].IDCharacters.
func (t *Transport) CheckStart(in transport.StartInput) error {
	return in.CheckWords(t.config.IDCharacters)
}

// Start runs the Start command once. Exit status 0 is an accepted start; what
// others mean, and the line that a command may print, stands in the package's
// documentation. A command that ctx ends is killed, and its outcome is unknown.
func (t *Transport) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return t.change(ctx, t.config.Start, call{"start", in.Ref, in.ClientToken}, fsm.StateStartInProgress)
}

// Stop runs the Stop command once, with the meanings of Start's. Without a Stop
// command it is Invalid, and nothing is run.
func (t *Transport) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	if len(t.config.Stop) == 0 {
		return transport.Session{}, invalid(fmt.Sprintf("%s cannot be stopped from here: no stop command is set", in.Ref))
	}
	return t.change(ctx, t.config.Stop, call{"stop", in.Ref, in.ClientToken}, fsm.StateStopInProgress)
}

func (t *Transport) change(ctx context.Context, argv []string, c call, accepted fsm.State) (transport.Session, error) {
	if err := t.CheckStart(transport.StartInput{Ref: c.ref, ClientToken: c.token}); err != nil {
		return transport.Session{}, err
	}
	got, err := t.run(ctx, argv, c)
	if err != nil {
		return transport.Session{}, err
	}
	answer, err := got.answer()
	if err != nil {
		return transport.Session{}, err
	}
	return answer.session(c.ref, accepted), nil
}

// Get runs the Status command, and the probe where there is one and the session
// runs.
func (t *Transport) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	if err := ref.CheckWords(t.config.IDCharacters); err != nil {
		return transport.Session{}, err
	}
	c := call{name: "status", ref: ref}
	got, err := t.run(ctx, t.config.Status, c)
	if err != nil {
		return transport.Session{}, err
	}
	answer, err := got.answer()
	if err != nil {
		return transport.Session{}, err
	}
	state := fsm.StateReady
	if got.exit == exitStopped {
		state = fsm.StateStopped
	}
	session := answer.session(ref, state)
	if session.State != fsm.StateReady {
		return session, nil
	}
	host := fill(t.config.Host, c)
	if len(session.Endpoints) > 0 && session.Endpoints[0].Host != "" {
		host = session.Endpoints[0].Host
	}
	return t.config.Probe.Settle(ctx, session, host)
}

func invalid(message string) error {
	return &transport.Error{Kind: transport.KindInvalid, NotSent: true, Code: "ValidationException", Message: message}
}
