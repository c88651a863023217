package exec

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/transport"
)

// Limits of what is kept of a command's output: its end. The rest is read and
// dropped, so that no command waits for a reader.
const (
	maxStdout = 64 << 10
	maxStderr = 2 << 10
)

// drain is how long the output of a command that has ended is waited for: a
// program that it left running may hold the pipes open.
const drain = time.Second

// result is a command that ran to its end by itself.
type result struct {
	call
	exit           int
	secrets        secrets
	stdout, stderr string // their ends; stderr's without secrets
	cut            bool   // stdout was longer than what is kept
}

// run runs one command once. An error says that it never began (NotSent), or
// that its outcome is unknown.
func (t *Transport) run(ctx context.Context, argv []string, c call) (result, error) {
	cmd := t.command(ctx, argv, c)
	stdout, stderr := &tail{limit: maxStdout}, &tail{limit: maxStderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		kind := transport.Unreachable
		if ctx.Err() != nil {
			kind = transport.Unknown
		}
		return result{}, &transport.Error{Kind: kind, NotSent: true,
			Err: fmt.Errorf("the %s command of %s cannot be run: %w", c.name, c.ref, err)}
	}
	err := cmd.Wait()
	said := t.secrets.drop(stderr.String())
	if stderr.cut {
		said = t.secrets.dropFromTail(stderr.String())
	}
	if errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success() {
		err = nil // it ended well, and left something running
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil && !cmd.ProcessState.Success():
		return result{}, &transport.Error{
			Err: fmt.Errorf("the %s command of %s did not end in time, and was killed: %w", c.name, c.ref, ctx.Err())}
	case err == nil, errors.As(err, &exit) && exit.Exited():
		return result{
			call: c, exit: cmd.ProcessState.ExitCode(), cut: stdout.cut, secrets: t.secrets,
			stdout: stdout.String(), stderr: said,
		}, nil
	}
	return result{}, &transport.Error{Err: fmt.Errorf("the %s command of %s: %w", c.name, c.ref, err)}
}

func (t *Transport) command(ctx context.Context, argv []string, c call) *exec.Cmd {
	program, args := "sh", []string{"-c", argv[0]}
	if !t.config.Shell {
		program, args = argv[0], arguments(argv[1:], c)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = t.config.Dir
	cmd.Env = slices.Concat(t.config.Env, c.variables())
	cmd.WaitDelay = drain
	group(cmd)
	return cmd
}
