package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/rouse-dev/rouse/internal/command"
	"github.com/rouse-dev/rouse/internal/secret"
	"github.com/rouse-dev/rouse/transport"
)

// Command is a program on this computer that tests whether a machine whose port answers is
// ready. Exit status 0 means ready. Any other end means not ready, and the end of its output
// is the reason. Do not copy a Command that is in use.
type Command struct {
	// Args are the program and its arguments, in which {host} is replaced by the host
	// whose port answered. No shell is involved. The program gets this process's
	// environment and an empty standard input. Required.
	Args []string
	// Secrets names variables whose values are hidden in what the program prints.
	// Variables whose names hold PASS, PWD (but PWD and OLDPWD), SECRET, TOKEN, KEY or
	// CREDENTIAL are hidden anyway.
	Secrets []string

	once sync.Once
	free chan struct{} // holds an element for each program that runs
}

// maxCommands is how many programs of one Command run at once. A check that waits for its
// whole time fails, and the next one tries again.
const maxCommands = 64

// CodeCommandFailed is the StatusCode of a session whose port answers, but whose
// Probe.Command does not exit with status 0.
const CodeCommandFailed = "PROBE_COMMAND_FAILED"

// CommandError says that a Command did not find a machine ready. It shows no secret that
// the Command hides.
type CommandError struct {
	Probe Probe
	Host  string
	Err   error // what the program printed, or why it could not run
}

// Error returns a sentence that names the program, the host and the cause.
func (e *CommandError) Error() string {
	return fmt.Sprintf("%s does not find it ready: %v", e.target(), e.Err)
}

// Unwrap returns the cause.
func (e *CommandError) Unwrap() error { return e.Err }

func (e *CommandError) target() string {
	return fmt.Sprintf("the probe command %s for %s", e.Probe.Command.Args[0], e.Host)
}

func (c *Command) validate() error {
	switch {
	case len(c.Args) == 0 || c.Args[0] == "":
		return errors.New("probe: the command names no program")
	case strings.Contains(c.Args[0], "{host}"):
		return fmt.Errorf("probe: the program %q depends on the host; {host} belongs in arguments", c.Args[0])
	}
	for _, arg := range c.Args {
		for _, word := range []string{"{session}", "{studio}", "{token}"} {
			if strings.Contains(arg, word) {
				return fmt.Errorf("probe: %s in %q is not a placeholder; known is {host}", word, arg)
			}
		}
	}
	return nil
}

// ask runs the program for host, and returns nil if it exits with status 0.
func (c *Command) ask(ctx context.Context, host string) error {
	if transport.CheckWord("host", host, "") != nil {
		return fmt.Errorf("the host %.80q must not become a word of a command: want letters, digits and %s, and no \"-\" at its beginning",
			host, transport.WordCharacters)
	}
	c.once.Do(func() { c.free = make(chan struct{}, maxCommands) })
	select {
	case c.free <- struct{}{}:
		defer func() { <-c.free }()
	case <-ctx.Done():
		return fmt.Errorf("%d programs of this probe run already: %w", maxCommands, ctx.Err())
	}
	args := make([]string, len(c.Args)-1)
	for i, arg := range c.Args[1:] {
		args[i] = strings.ReplaceAll(arg, "{host}", host)
	}
	secrets := secret.Of(os.Environ(), c.Secrets)
	got, err := command.Command{Program: c.Args[0], Args: args, Secrets: secrets}.Run(ctx)
	if err != nil || got.Exit == 0 {
		return err
	}
	said := command.Clean(command.End(got.Stderr))
	if said == "" {
		said = command.Clean(command.LastLine(command.Hide(got.Stdout, secrets)))
	}
	if said != "" {
		said = ": " + said
	}
	return fmt.Errorf("exit status %d%s", got.Exit, said)
}
