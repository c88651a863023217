package exec

import (
	"fmt"

	"github.com/rouse-dev/rouse/internal/command"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
)

// Config is what a [Transport] runs. Start and Status are required.
//
// A command is a program and its arguments. In the arguments, {studio},
// {session} and {token} stand for the ids of the call; each argument stays one
// argument. The program is found as this process finds it, by
// its own PATH and not by one of Env.
type Config struct {
	// Start starts a session, Status says how it is, and Stop stops it. Without
	// a Stop command sessions are not stopped from here.
	Start, Status, Stop []string
	// Shell makes each command one text that sh runs, as sh -c would. It finds
	// the ids in the variables ROUSE_STUDIO, ROUSE_SESSION and
	// ROUSE_CLIENT_TOKEN; braces stand for nothing there. Defaults to false: no
	// shell.
	Shell bool
	// Dir is where commands run. Defaults to the folder of this process.
	Dir string
	// Env is "NAME=value", in addition to what this process had when New was
	// called; of two values of one name, Env's counts.
	Env []string
	// IDCharacters are characters that ids and client tokens may hold in addition
	// to letters, digits and transport.WordCharacters. Add only what is plain text
	// to each program and shell that a command passes an id on to, on this machine
	// and on others. Defaults to "": none.
	IDCharacters string
	// Secrets names variables whose values are hidden wherever a command prints
	// them, in addition to the variables whose names look like a secret (see the
	// package's guarantees). Defaults to none.
	Secrets []string
	// Repeat is what a second Start of one session does. Defaults to
	// transport.RepeatNever: an operation whose start has an unknown outcome is then
	// not sent again unless a look shows for certain that nothing happened. Say
	// ByState where the command leaves a machine alone that runs already, ByToken
	// where it knows {token} again.
	Repeat transport.Repeat
	// Authoritative says that exit status 3 of Status is read from the machine's
	// own power switch, a management controller or a hypervisor, and not guessed
	// from a machine that is silent: see transport.Traits. With ByState a start
	// whose outcome is unknown is then sent again. Defaults to false.
	Authoritative bool
	// Probe must answer, from this computer, before a running session is READY.
	// Defaults to none: the Status command decides alone.
	Probe probe.Probe
	// Host is what Probe asks, where the Status command names no host; {studio}
	// and {session} stand for the ids. Defaults to "{session}".
	Host string
}

// script is one of the commands of c.
func (c Config) script(name string, argv []string) command.Script {
	return command.Script{
		Name: name, Argv: argv, Shell: c.Shell, Dir: c.Dir, Env: c.Env, IDCharacters: c.IDCharacters, Secrets: c.Secrets,
	}
}

// validate checks what is not a command's.
func (c Config) validate() error {
	if err := command.CheckTemplate(c.Host, "{studio}", "{session}"); err != nil {
		return fmt.Errorf("exec: host: %w", err)
	}
	if c.Repeat > transport.RepeatByState {
		return fmt.Errorf("exec: repeat %d is none of Never, ByToken, ByState", c.Repeat)
	}
	if err := c.Probe.Validate(); err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	return nil
}
