package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/secret"
	"github.com/rouse-dev/rouse/transport"
)

// Script is one command of a driver, and how it is run for a session. Its fields mean the
// same as those of exec.Config.
type Script struct {
	Name         string   // "start", "status" or "stop"; errors name the command by it
	Argv         []string // the program and its arguments, with placeholders for the ids; with Shell, one text for sh
	Shell        bool
	Dir          string
	Env          []string // added to this process's environment as it was when Prepare was called
	IDCharacters string
	Secrets      []string // names of variables

	hidden secret.Values
}

// Prepare returns s with the environment that it will run in, or an error that names the
// wrong field. It does not look for the program.
func (s Script) Prepare() (Script, error) {
	if err := s.validate(); err != nil {
		return s, fmt.Errorf("%s command: %w", s.Name, err)
	}
	for _, pair := range s.Env {
		if name, _, ok := strings.Cut(pair, "="); name == "" || !ok {
			return s, errors.New(`an element of the environment is not "NAME=value"`) // its text may be a secret
		}
	}
	if i := strings.IndexFunc(s.IDCharacters, func(r rune) bool { return r <= ' ' || r >= 0x7f }); i >= 0 {
		return s, fmt.Errorf("id characters %q: byte %d is not printable ASCII, and no id may hold it", s.IDCharacters, i)
	}
	s.Argv = slices.Clone(s.Argv)
	s.Env = slices.Concat(os.Environ(), s.Env) // of two values the later one counts
	s.hidden = secret.Of(s.Env, s.Secrets)
	return s, nil
}

func (s Script) validate() error {
	switch {
	case len(s.Argv) == 0 || s.Argv[0] == "":
		return errors.New("it is required, and names no program")
	case s.Shell && len(s.Argv) != 1:
		return fmt.Errorf("a shell runs one text, not %d", len(s.Argv))
	case s.Shell:
		return nil
	case s.Argv[0] != placeholderNames.fill(s.Argv[0]):
		return fmt.Errorf("the program %q depends on the session; ids belong in arguments", s.Argv[0])
	}
	for _, arg := range s.Argv[1:] {
		if err := CheckTemplate(arg, "{studio}", "{session}", "{token}"); err != nil {
			return err
		}
	}
	return nil
}

// Change runs a start or stop command, and returns the session as the command
// describes it. A command that names no state means accepted. The errors are
// those of [Script.Run].
func (s Script) Change(ctx context.Context, ref transport.Ref, token string, accepted fsm.State) (transport.Session, error) {
	if err := (transport.StartInput{Ref: ref, ClientToken: token}).ValidateWords(s.IDCharacters); err != nil {
		return transport.Session{}, err
	}
	got, err := s.run(ctx, call{s.Name, ref, token})
	if err != nil {
		return transport.Session{}, err
	}
	return got.session(ref, accepted), nil
}

// Status runs a status command, and returns the session as the command describes
// it. A command that names no state means READY, or STOPPED by exit status 3.
func (s Script) Status(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	if err := ref.ValidateWords(s.IDCharacters); err != nil {
		return transport.Session{}, err
	}
	got, err := s.run(ctx, call{name: s.Name, ref: ref})
	if err != nil {
		return transport.Session{}, err
	}
	state := fsm.StateReady
	if got.exit == exitStopped {
		state = fsm.StateStopped
	}
	return got.session(ref, state), nil
}

// run runs the command once and reads its output. The error, a *transport.Error, says
// that it never began (NotSent), that it refused, or that its outcome is unknown.
func (s Script) run(ctx context.Context, c call) (line, error) {
	program, args := "sh", []string{"-c", s.Argv[0]}
	if !s.Shell {
		program, args = s.Argv[0], arguments(s.Argv[1:], c)
	}
	got, err := Command{
		Program: program, Args: args, Dir: s.Dir, Env: slices.Concat(s.Env, c.variables()), Secrets: s.hidden,
	}.Run(ctx)
	var notStarted *StartError
	switch {
	case err == nil:
		return result{call: c, Output: got, secrets: s.hidden}.answer()
	case errors.As(err, &notStarted) && ctx.Err() == nil:
		return line{}, &transport.Error{Kind: transport.KindUnreachable, NotSent: true,
			Err: fmt.Errorf("the %s command of %s cannot be run: %w", c.name, c.ref, err)}
	}
	return line{}, &transport.Error{
		NotSent: notStarted != nil, OnlySession: notStarted == nil, Err: fmt.Errorf("the %s command of %s: %w", c.name, c.ref, err),
	}
}
