package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/hostlist"
)

// mostCompleted is how many operations are read to complete a word. A shell waits for it.
const mostCompleted = 20_000

// completeSessions completes STUDIO SESSION...: the studios of the settings and of the
// database, and the sessions that were asked for or that the settings name. What cannot
// be read gives no words, since a shell shows no message.
func (t *tool) completeSessions(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const names = cobra.ShellCompDirectiveNoFileComp
	studio := ""
	if f := c.Flags().Lookup("studio"); f != nil {
		studio = f.Value.String()
	}
	switch {
	case studio != "":
	case len(args) > 0:
		studio, args = args[0], args[1:]
	default:
		return t.knownStudios(c), names
	}
	known := t.knownSessions(c, studio)
	return slices.DeleteFunc(known, func(name string) bool { return slices.Contains(args, name) }), names
}

// completeStudio completes the one word STUDIO.
func (t *tool) completeStudio(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return t.knownStudios(c), cobra.ShellCompDirectiveNoFileComp
}

func (t *tool) knownStudios(c *cobra.Command) []string {
	studios := map[string]bool{}
	if t.provider.check(c.Flags()) == nil {
		if s, err := t.provider.load(); err == nil {
			for _, id := range s.StudioIDs() {
				studios[id] = true
			}
		}
	}
	t.eachKnown(c.Context(), "", func(ref engine.Ref) { studios[ref.StudioID] = true })
	return sorted(studios)
}

func (t *tool) knownSessions(c *cobra.Command, studio string) []string {
	sessions := map[string]bool{}
	if t.provider.check(c.Flags()) == nil {
		if s, err := t.provider.load(); err == nil {
			for _, id := range s.SessionIDs(studio) {
				sessions[id] = true
			}
		}
	}
	t.eachKnown(c.Context(), studio, func(ref engine.Ref) { sessions[ref.SessionID] = true })
	return sorted(sessions)
}

// eachKnown calls do for the sessions of a studio, or of all, that were asked for last. It
// does nothing if the database cannot be read now.
func (t *tool) eachKnown(ctx context.Context, studio string, do func(engine.Ref)) {
	t.lockTimeout = 0
	_ = t.reading(t.offline, func(h *host) error {
		for op, err := range h.engine.List(ctx, engine.Filter{StudioID: studio, Newest: true, Limit: mostCompleted}) {
			if err != nil {
				return err
			}
			do(op.Ref)
		}
		return nil
	})
}

func sorted(names map[string]bool) []string {
	var out []string
	for name := range names {
		out = append(out, name)
	}
	slices.SortFunc(out, hostlist.Compare)
	return out
}
