// Package command runs programs for drivers: once, within a context, with all children,
// and with limits on how much of their output is kept.
//
// A [Command] is any program. A [Script] is a driver's command for a session: ids are
// filled into its arguments, and its exit status and last line are read as package exec
// documents them.
package command

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"time"

	"github.com/rouse-dev/rouse/internal/secret"
)

// How many bytes at the end of a program's output are kept. The rest is read and dropped,
// so that a full pipe never blocks a program.
const (
	MaxStdout = 64 << 10
	maxStderr = 2 << 10
)

// drain is how long Run waits for the output of a program that has ended. A process that
// the program left running may keep the pipes open.
const drain = time.Second

// Command is a program and how to run it.
type Command struct {
	Program string // looked up in this process's PATH
	Args    []string
	Dir     string        // "" means this process's folder
	Env     []string      // nil means this process's environment
	Stdin   []byte        // its standard input; nil means empty
	Secrets secret.Values // hidden in Output.Stderr
}

// Output is the result of a program that ended by itself.
type Output struct {
	Exit           int    // its exit status
	Stdout, Stderr string // the ends of both; Stderr has passed Hide
	Cut            bool   // Stdout was longer than MaxStdout
}

// StartError says that a program was not started.
type StartError struct{ Err error }

// Error returns the cause's text.
func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// KilledError says that a program was killed because its context ended. It wraps
// the context's error.
type KilledError struct{ Err error }

// Error says that the program was killed, and why its context ended.
func (e *KilledError) Error() string {
	return "it did not end in time, and was killed: " + e.Err.Error()
}

// Unwrap returns the context's error.
func (e *KilledError) Unwrap() error { return e.Err }

// Run runs the program once, and waits for its end. A program may leave its standard
// input unread.
// If ctx ends first it kills the program and, where the system has process groups,
// its children. The error is a [*StartError], a [*KilledError], or says which
// signal ended the program.
func (c Command) Run(ctx context.Context) (Output, error) {
	cmd := exec.CommandContext(ctx, c.Program, c.Args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = c.Dir, c.Env, drain
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	group(cmd)
	stdout, stderr := &tail{limit: MaxStdout}, &tail{limit: maxStderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return Output{}, &StartError{Err: err}
	}
	err := cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success() {
		err = nil // it succeeded, and left a process running
	}
	said := Hide(stderr.String(), c.Secrets)
	if stderr.cut {
		said = hide(stderr.String(), c.Secrets.HideTail)
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil && !cmd.ProcessState.Success():
		return Output{}, &KilledError{Err: ctx.Err()}
	case err == nil, errors.As(err, &exit) && exit.Exited():
		return Output{Exit: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: said, Cut: stdout.cut}, nil
	}
	return Output{}, err
}
