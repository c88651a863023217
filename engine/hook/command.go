package hook

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/rouse-dev/rouse/internal/command"
	"github.com/rouse-dev/rouse/internal/secret"
)

// newSender returns what carries out the deliveries of a hook.
func newSender(h Hook) sender {
	if h.URL != "" {
		return newURLSender(h)
	}
	return &commandSender{h.Name, slices.Clone(h.Command)}
}

// commandSender runs a command for each delivery.
type commandSender struct {
	name string
	argv []string
}

// send runs the command. Exit status 0 is success. If ctx ends first, the command is
// killed with its children.
func (s *commandSender) send(ctx context.Context, d *delivery) error {
	body, err := d.body()
	if err != nil {
		return err
	}
	env := os.Environ()
	got, err := command.Command{
		Program: s.argv[0], Args: s.argv[1:], Stdin: body, Env: slices.Concat(env, s.variables(d)), Secrets: secret.Of(env, nil),
	}.Run(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("command %s: %w", s.argv[0], err)
	case got.Exit != 0:
		return fmt.Errorf("command %s: exit status %d: %s", s.argv[0], got.Exit, command.End(got.Stderr))
	}
	return nil
}

// variables returns what the delivery says as variables of the command's environment.
// A variable is "" if the delivery has nothing for it.
func (s *commandSender) variables(d *delivery) []string {
	v := map[string]string{
		"ROUSE_HOOK": s.name, "ROUSE_DELIVERY": d.id, "ROUSE_TOPIC": string(d.Topic), "ROUSE_TEXT": d.Text,
		"ROUSE_STUDIO": "", "ROUSE_SESSION": "", "ROUSE_OPERATION": "", "ROUSE_LANE": d.lane,
	}
	if d.Event != nil {
		v["ROUSE_STUDIO"], v["ROUSE_SESSION"], v["ROUSE_OPERATION"] = d.Event.Ref.StudioID, d.Event.Ref.SessionID, string(d.Event.Operation)
	}
	if d.Operation != nil {
		v["ROUSE_LANE"] = d.Operation.Operation.Lane
	}
	var out []string
	for name, value := range v {
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}
