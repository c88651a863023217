package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/store"
)

func (t *tool) adoptCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "adopt",
		Short: "Take over a database that was copied from another machine",
		Long: `Adopt takes over a database that belongs to another machine: one in a cloned
image, or a copied home. Until then it is held: requests are taken, and nothing
is sent, since the other machine may carry out the same ones. Adopt it if that
machine does so no more.

What may have been started there is looked at first; where a look cannot tell,
it ends FAILED (ambiguous) rather than be started twice. Events say who adopted
it.`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			t.db.adopts = true
			return t.with(t.provider.offline(), func(d *desk) error { return t.adopt(c.Context(), d) })
		},
	}
}

// adoptRecord is what "adopt" prints with --json.
type adoptRecord struct {
	Path    string `json:"path"`
	Adopted bool   `json:"adopted"`
	Home    string `json:"home,omitempty"`
}

func (t *tool) adopt(ctx context.Context, d *desk) error {
	if d.held != nil {
		if err := d.engine.Adopt(ctx, userName()); err != nil {
			return err
		}
	}
	switch {
	case t.json:
		r := adoptRecord{Path: d.path, Adopted: d.held != nil}
		if d.held != nil {
			r.Home = d.held.Home
		}
		t.screen.record(r)
	case d.held == nil:
		t.screen.say("nothing to do: %s belongs to this machine", d.path)
	default:
		t.screen.say("adopted %s, of %s: \"rouse run\" carries it out", d.path, homeText(d.held))
	}
	return nil
}

// homeText is the machine that a held database belongs to.
func homeText(h *store.Foreign) string {
	if h.Home == "" {
		return "another machine"
	}
	return "another machine (" + h.Home + ")"
}

// heldNote says what is so with a held database, and what to do.
func heldNote(h *store.Foreign) string {
	return fmt.Sprintf("this database belongs to %s: nothing is sent from here until \"rouse adopt\"", homeText(h))
}

// away is the error of a command that waits for what a held database never does.
func away(o engine.Operation) error {
	return fmt.Errorf("operation %s stays %s: nothing is sent before \"rouse adopt\"", o.ID, o.Phase)
}
