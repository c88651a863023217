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
		Short: "Take over a database of another machine",
		Long: `Take over a database that belongs to another machine.

A database in a cloned image or a copied home is a foreign store. Rouse queues
requests there, but sends nothing, because the other machine may send the same
starts. Adopt the database once the other machine has stopped sending.

The next run confirms operations with unknown outcome first. If it cannot tell
whether the session was started, the operation ends FAILED (ambiguous), so
that nothing is started twice. The feed records who adopted the database.`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			t.db.adopts = true
			return t.with(t.offline, func(h *host) error { return t.adopt(c.Context(), h) })
		},
	}
}

// adoptRecord is what "adopt" prints with --json.
type adoptRecord struct {
	Path    string `json:"path"`
	Adopted bool   `json:"adopted"`
	Home    string `json:"home,omitempty"`
}

func (t *tool) adopt(ctx context.Context, h *host) error {
	if h.foreign != nil {
		if err := h.engine.Adopt(ctx, userName()); err != nil {
			return err
		}
	}
	switch {
	case t.json:
		r := adoptRecord{Path: h.path, Adopted: h.foreign != nil}
		if h.foreign != nil {
			r.Home = h.foreign.Home
		}
		t.screen.record(r)
	case h.foreign == nil:
		t.screen.say("nothing to do: %s belongs to this machine", h.path)
	default:
		t.screen.say("adopted %s, which belonged to %s: \"rouse run\" sends what is queued", h.path, homeText(h.foreign))
	}
	return nil
}

// homeText names the machine that a foreign store belongs to.
func homeText(h *store.Foreign) string {
	if h.Home == "" {
		return "another machine"
	}
	return "another machine (" + h.Home + ")"
}

// foreignNote says that the database is a foreign store, and what to do.
func foreignNote(h *store.Foreign) string {
	return fmt.Sprintf("foreign store: this database belongs to %s; nothing is sent before \"rouse adopt\"", homeText(h))
}

// foreignError is the error of a command that waits for an operation in a foreign store.
func foreignError(o engine.Operation) error {
	return fmt.Errorf("operation %s stays %s: nothing is sent before \"rouse adopt\"", o.ID, o.Phase)
}
