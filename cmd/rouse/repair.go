package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/store/bolt"
)

// repairRecord is what "repair" prints with --json.
type repairRecord struct {
	Path        string          `json:"path"`
	Was         []problemRecord `json:"was"`
	Method      bolt.Method     `json:"method,omitempty"`
	Failed      []string        `json:"failed,omitempty"`
	Original    string          `json:"original,omitempty"`
	DryRun      bool            `json:"dryRun,omitempty"`
	Operations  int             `json:"operations"`
	Events      int             `json:"events"`
	Forked      bool            `json:"forked"`
	PerhapsSent int             `json:"perhapsSent"`
	Lost        []lossRecord    `json:"lost"`
	Doubtful    []lossRecord    `json:"doubtful"`
}

// lossRecord is events, or an operation, or a lane, or a page of the damaged file.
type lossRecord struct {
	FirstEvent uint64 `json:"firstEvent,omitempty"`
	LastEvent  uint64 `json:"lastEvent,omitempty"`
	Operation  string `json:"operation,omitempty"`
	StudioID   string `json:"studioId,omitempty"`
	SessionID  string `json:"sessionId,omitempty"`
	Lane       string `json:"lane,omitempty"`
	Page       uint64 `json:"page,omitempty"`
	Detail     string `json:"detail"`
}

func lossesOf(all []bolt.Loss) []lossRecord {
	out := []lossRecord{}
	for _, l := range all {
		out = append(out, lossRecord{
			FirstEvent: l.First, LastEvent: l.Last, Operation: string(l.Operation), StudioID: l.Ref.StudioID,
			SessionID: l.Ref.SessionID, Lane: l.Lane, Page: l.Page, Detail: l.Detail,
		})
	}
	return out
}

func (t *tool) repairCommand() *cobra.Command {
	dry := false
	c := &cobra.Command{
		Use:   "repair",
		Short: "Mend a damaged database, and say what is lost",
		Long: `Repair makes a sound database of what is left of a damaged one: from all records
that can be reached; else from the state before the last commit, or from every
record on any page that is as it was written, whichever loses less. It works on
copies, and keeps the damaged file beside the new one, under the name that it
prints. A sound database is left as it is.

What is lost or doubtful is named: events by number, operations by id and
session. If anything is, the feed is a new one, and its readers begin again; and
what is active is looked at before it is sent, as with a backup.`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error { return t.repair(c.Context(), dry) },
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and change nothing")
	return c
}

func (t *tool) repair(ctx context.Context, dry bool) error {
	path, err := t.db.find()
	if err != nil {
		return err
	}
	r, err := bolt.Repair(ctx, path, bolt.RepairConfig{Do: t.byChild, DryRun: dry, AllowNetworkFS: t.db.forced(t.noteOnce)})
	if err != nil {
		return err
	}
	if t.json {
		is := r.Is
		if r.Method == "" {
			is = r.Was
		}
		t.screen.record(repairRecord{
			Path: path, Was: problemsOf(r.Was), Method: r.Method, Failed: r.Failed, Original: r.Original, DryRun: dry,
			Operations: is.Operations, Events: is.Events, Forked: r.Mended.Forked, PerhapsSent: r.Mended.PerhapsSent,
			Lost: lossesOf(r.Mended.Lost), Doubtful: lossesOf(r.Mended.Doubtful),
		})
		return nil
	}
	t.sayRepaired(path, r, dry)
	return nil
}

func (t *tool) sayRepaired(path string, r bolt.Repaired, dry bool) {
	if r.Method == "" {
		t.screen.say("%s is sound: nothing was changed", path)
		return
	}
	for _, l := range r.Mended.Lost {
		t.screen.say("lost: %s", l)
	}
	for _, l := range r.Mended.Doubtful {
		t.screen.say("doubtful: %s", l)
	}
	did := "mended"
	if dry {
		did = "can be mended"
	}
	t.screen.say("%s %s (%s): %s, %s", path, did, r.Method,
		plural(r.Is.Operations, "operation", "operations"), plural(r.Is.Events, "event", "events"))
	switch {
	case !r.Mended.Forked:
		t.screen.say("nothing is lost")
	case r.Mended.PerhapsSent > 0:
		t.screen.say("readers of the feed begin again; %s may have been sent: \"rouse run\" reads the sessions first", plural(r.Mended.PerhapsSent, "operation", "operations"))
	default:
		t.screen.say("readers of the feed begin again")
	}
	if r.Original != "" {
		t.screen.say("the damaged file is %s", r.Original)
	}
}
