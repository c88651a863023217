package main

import (
	"context"

	"github.com/rouse-dev/rouse/store/bolt/repair"
	"github.com/spf13/cobra"
)

// repairRecord is what "repair" prints with --json.
type repairRecord struct {
	Path        string          `json:"path"`
	Was         []problemRecord `json:"was"`
	Original    string          `json:"original,omitempty"`
	DryRun      bool            `json:"dryRun,omitempty"`
	Operations  int             `json:"operations"`
	Events      int             `json:"events"`
	Forked      bool            `json:"forked"`
	PerhapsSent int             `json:"outcomeUnknown"`
	Lost        []lossRecord    `json:"lost"`
	Doubtful    []lossRecord    `json:"doubtful"`
}

// lossRecord is one loss: events, or an operation, or a lane, or a page of the damaged
// file.
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

func lossesOf(all []repair.Loss) []lossRecord {
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
		Short: "Repair a damaged database",
		Long: `Repair a damaged database, and print what is lost.

Repair writes a copy of every record, on any page, whose checksum is right,
and checks that copy. It keeps the damaged file next to the new one and prints
its name. It does not change a sound database.

It names each loss: events by number, operations by id and session. If
anything is lost, the feed is a new one, and its followers start again. The
next run then confirms active operations before it sends them, as after a
backup was restored.`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error { return t.repair(c.Context(), dry) },
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "print what would be done, and change nothing")
	return c
}

func (t *tool) repair(ctx context.Context, dry bool) error {
	path, err := t.db.find()
	if err != nil {
		return err
	}
	r, err := repair.Repair(ctx, path, repair.Config{Do: t.runInChild, DryRun: dry, AllowNetworkFS: t.db.forced(t.noteOnce)})
	if err != nil {
		return err
	}
	if t.json {
		is := r.Is
		if len(r.Was.Problems) == 0 {
			is = r.Was
		}
		t.screen.record(repairRecord{
			Path: path, Was: problemsOf(r.Was), Original: r.Original, DryRun: dry,
			Operations: is.Operations, Events: is.Events, Forked: r.Outcome.Forked, PerhapsSent: r.Outcome.OutcomeUnknown,
			Lost: lossesOf(r.Outcome.Lost), Doubtful: lossesOf(r.Outcome.Doubtful),
		})
		return nil
	}
	t.printRepaired(path, r, dry)
	return nil
}

func (t *tool) printRepaired(path string, r repair.Repaired, dry bool) {
	if len(r.Was.Problems) == 0 {
		t.screen.say("%s is sound: nothing was changed", path)
		return
	}
	for _, l := range r.Outcome.Lost {
		t.screen.say("lost: %s", l)
	}
	for _, l := range r.Outcome.Doubtful {
		t.screen.say("doubtful: %s", l)
	}
	did := "repaired"
	if dry {
		did = "can be repaired"
	}
	t.screen.say("%s %s: %s, %s", path, did,
		plural(r.Is.Operations, "operation", "operations"), plural(r.Is.Events, "event", "events"))
	switch {
	case !r.Outcome.Forked:
		t.screen.say("nothing is lost")
	case r.Outcome.OutcomeUnknown > 0:
		t.screen.say("followers of the feed start again; %s may have been sent: \"rouse run\" confirms them first", plural(r.Outcome.OutcomeUnknown, "operation", "operations"))
	default:
		t.screen.say("followers of the feed start again")
	}
	if r.Original != "" {
		t.screen.say("the damaged file is %s", r.Original)
	}
}
