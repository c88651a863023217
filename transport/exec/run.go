package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rouse-dev/rouse/internal/command"
	"github.com/rouse-dev/rouse/internal/secret"
	"github.com/rouse-dev/rouse/transport"
)

// result is a command that ran to its end by itself.
type result struct {
	call
	exit           int
	secrets        secret.Values
	stdout, stderr string // their ends; stderr's without secrets
	cut            bool   // stdout was longer than what is kept
}

// run runs one command once. An error says that it never began (NotSent), or
// that its outcome is unknown.
func (t *Transport) run(ctx context.Context, argv []string, c call) (result, error) {
	program, args := "sh", []string{"-c", argv[0]}
	if !t.config.Shell {
		program, args = argv[0], arguments(argv[1:], c)
	}
	got, err := command.Command{
		Program: program, Args: args, Dir: t.config.Dir,
		Env: slices.Concat(t.config.Env, c.variables()), Secrets: t.secrets,
	}.Run(ctx)
	var notStarted *command.StartError
	switch {
	case err == nil:
		return result{call: c, exit: got.Exit, cut: got.Cut, secrets: t.secrets, stdout: got.Stdout, stderr: got.Stderr}, nil
	case errors.As(err, &notStarted) && ctx.Err() == nil:
		return result{}, &transport.Error{Kind: transport.KindUnreachable, NotSent: true,
			Err: fmt.Errorf("the %s command of %s cannot be run: %w", c.name, c.ref, err)}
	}
	return result{}, &transport.Error{
		NotSent: notStarted != nil, OnlySession: notStarted == nil, Err: fmt.Errorf("the %s command of %s: %w", c.name, c.ref, err),
	}
}
