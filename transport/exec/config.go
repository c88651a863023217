package exec

import (
	"fmt"

	"github.com/rouse-dev/rouse/internal/command"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
)

// Config says which commands a [Transport] runs. Start and Status are required.
//
// A command is a program and its arguments. In the arguments, {studio}, {session} and
// {token} are replaced by the ids of the call. Each argument stays one argument. The
// program is looked up in this process's PATH, not in a PATH of Env.
type Config struct {
	// Start starts a session, Status reports its state, and Stop stops it. Without a
	// Stop command, Transport.Stop returns an error.
	Start, Status, Stop []string
	// Shell makes each command one text that sh -c runs. The text finds the ids in the
	// variables ROUSE_STUDIO, ROUSE_SESSION and ROUSE_CLIENT_TOKEN. Words in braces are
	// not replaced. False means no shell.
	Shell bool
	// Dir is the folder in which commands run. The empty string means this process's
	// folder.
	Dir string
	// Env has elements "NAME=value", added to the environment that this process had
	// when New was called. A value of Env replaces one of the process.
	Env []string
	// IDCharacters are characters that ids and client tokens may hold in addition to
	// letters, digits and transport.WordCharacters. Add only what is plain text to every
	// program and shell that gets an id, on this machine and on others. The empty string
	// adds none.
	IDCharacters string
	// Secrets names variables whose values are hidden in what commands print. Variables
	// whose names look like a secret are hidden anyway (see the package's guarantees).
	Secrets []string
	// Repeat is what a second Start of one session does. Zero means
	// transport.RepeatNever: a start with unknown outcome is not sent again, unless a
	// read proves that nothing happened. Set RepeatByState if the command does nothing to
	// a machine that runs, and RepeatByToken if it recognizes {token}.
	Repeat transport.Repeat
	// Authoritative says that Status reads exit status 3 from the machine's own power
	// switch, a management controller or a hypervisor. It must not infer exit status 3
	// from silence; see transport.Traits. With RepeatByState, a start with unknown
	// outcome is then sent again.
	Authoritative bool
	// Probe must answer from this computer before a running session is READY. The zero
	// value means that the Status command decides alone.
	Probe probe.Probe
	// Host is the host that Probe asks if the Status command names none. {studio} and
	// {session} are replaced by the ids. The empty string means "{session}".
	Host string
}

// script returns one of the commands of c.
func (c Config) script(name string, argv []string) command.Script {
	return command.Script{
		Name: name, Argv: argv, Shell: c.Shell, Dir: c.Dir, Env: c.Env, IDCharacters: c.IDCharacters, Secrets: c.Secrets,
	}
}

// validate checks the fields of c that are not commands.
func (c Config) validate() error {
	if err := command.CheckTemplate(c.Host, "{studio}", "{session}"); err != nil {
		return fmt.Errorf("exec: host: %w", err)
	}
	if c.Repeat > transport.RepeatByState {
		return fmt.Errorf("exec: repeat %d is none of RepeatNever, RepeatByToken, RepeatByState", c.Repeat)
	}
	if err := c.Probe.Validate(); err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	return nil
}
