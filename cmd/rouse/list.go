package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// tablePage is how many rows are aligned with each other; so a long list needs
// little memory, and begins at once.
const tablePage = 500

// wide is the width of a terminal on which an operation's id has room.
const wide = 110

func (t *tool) lsCommand() *cobra.Command {
	var f engine.Filter
	var phases, wanted []string
	var since string
	var latest bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List operations",
		Long: `List operations, the newest first.

An operation is listed if it fits all flags. With --latest, only the latest
operation of each session is listed, if it fits the other flags. On a narrow
terminal the ids of operations are left out, and long names are shortened.`,
		Example: `  rouse ls --active
  rouse ls --latest --since 18:00 --phase FAILED
  rouse ls --phase FAILED --label show=aurora --json`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if f.Phases, err = phasesOf(phases); err != nil {
				return err
			}
			if f.Labels, err = pairs("--label", wanted); err != nil {
				return err
			}
			if c.Flags().Changed("studio") {
				if err := checkStudio("--studio", f.StudioID); err != nil {
					return err
				}
			}
			if f.Limit < 0 {
				return usagef("--limit %d is negative", f.Limit)
			}
			if c.Flags().Changed("since") {
				if f.Since, err = past(since, time.Now()); err != nil {
					return usagef("--since: %w", err)
				}
			}
			f.Newest = true
			return t.reading(t.offline, func(h *host) error {
				ops := h.engine.List(c.Context(), f)
				if latest {
					ops = h.latestOf(c.Context(), f)
				}
				return t.ls(c.Context(), h, ops)
			})
		},
	}
	g := c.Flags()
	g.StringSliceVar(&phases, "phase", nil, "only operations in `PHASE`: "+phaseNames()+"; may be repeated")
	g.StringArrayVar(&wanted, "label", nil, "only operations with the label `NAME=VALUE`; may be repeated")
	g.StringVar(&f.StudioID, "studio", "", "only operations of `STUDIO`")
	g.BoolVar(&f.Active, "active", false, "only operations that have not ended")
	g.BoolVar(&latest, "latest", false, "only the latest operation of each session")
	g.StringVar(&since, "since", "", "only operations created at `TIME` or later: "+pastForms)
	g.IntVar(&f.Limit, "limit", 0, "at most `N` operations; 0 means all")
	_ = c.RegisterFlagCompletionFunc("phase", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return strings.Split(phaseNames(), ", "), cobra.ShellCompDirectiveNoFileComp
	})
	return c
}

// checkStudio checks the name of one studio; what names it in the message.
func checkStudio(what, id string) error {
	if err := transport.CheckID(what, id); err != nil {
		return err
	}
	return checkLiteral(what, id)
}

func phaseNames() string {
	var names []string
	for _, p := range fsm.Phases() {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}

func phasesOf(texts []string) ([]fsm.Phase, error) {
	var out []fsm.Phase
	for _, text := range texts {
		p := fsm.Phase(strings.ToUpper(text))
		if !p.Known() {
			return nil, usagef("--phase %q is none of %s", text, phaseNames())
		}
		out = append(out, p)
	}
	return out, nil
}

// latestOf yields the latest operation of each session, if f lets it through. f.Newest must
// be set.
func (h *host) latestOf(ctx context.Context, f engine.Filter) iter.Seq2[engine.Operation, error] {
	return func(yield func(engine.Operation, error) bool) {
		seen, n := map[engine.Ref]bool{}, 0
		// What f asks of an operation must not hide a later one that is otherwise.
		for op, err := range h.engine.List(ctx, engine.Filter{StudioID: f.StudioID, Since: f.Since, Newest: true}) {
			if err == nil {
				if seen[op.Ref] {
					continue
				}
				seen[op.Ref] = true
				if f.Active && !op.Active() || len(f.Phases) > 0 && !slices.Contains(f.Phases, op.Phase) || !hasAll(op.Labels, f.Labels) {
					continue
				}
			}
			if n++; !yield(op, err) || err != nil || n == f.Limit {
				return
			}
		}
	}
}

func (t *tool) ls(ctx context.Context, h *host, ops iter.Seq2[engine.Operation, error]) error {
	width := t.screen.width(t.screen.out)
	ids := width == 0 || width >= wide
	names := []int{0, 1}
	if ids {
		names = []int{1, 2}
	}
	var rows [][]string
	listed := false
	for op, err := range ops {
		if err != nil {
			return err
		}
		x, err := h.explain(ctx, op.ID)
		if err != nil {
			return err
		}
		if t.json {
			t.screen.record(x)
			continue
		}
		if !listed {
			rows = append(rows, headingRow(ids))
			listed = true
		}
		rows = append(rows, rowOf(x, ids, time.Now()))
		if len(rows) >= tablePage {
			t.screen.table(rows, names...)
			rows = nil
		}
	}
	t.screen.table(rows, names...)
	return nil
}

func headingRow(ids bool) []string {
	row := []string{"STUDIO", "SESSION", "PHASE", "AGE", "WHY"}
	if ids {
		row = append([]string{"OPERATION"}, row...)
	}
	return row
}

func rowOf(x engine.Explanation, ids bool, now time.Time) []string {
	o := x.Operation
	row := []string{o.Ref.StudioID, o.Ref.SessionID, string(o.Phase), span(now.Sub(o.CreatedAt)), shortlyAt(x, now)}
	if ids {
		row = append([]string{string(o.ID)}, row...)
	}
	return row
}

func (t *tool) sessionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sessions STUDIO",
		Short: "List a studio's sessions",
		Long: `List a studio's sessions as its provider shows them.

If the provider cannot list them, the sessions that were asked for here are
listed as they were last seen, with the reason.`,
		Args:              words(1),
		ValidArgsFunction: t.completeStudio,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkStudio("studio id", args[0]); err != nil {
				return err
			}
			l := &lister{}
			open := func() (transport.Transport, error) {
				client, err := t.provider.client(c.Context())
				if l.Transport, l.err = t.provider.offline(), err; err == nil {
					l.Transport, l.list = client, client.List
				}
				return l, nil
			}
			return t.reading(open, func(h *host) error { return t.sessions(c.Context(), h, l, args[0]) })
		},
	}
}

// lister is a provider that remembers why it did not list.
type lister struct {
	transport.Transport
	list func(context.Context, transport.ListInput) (transport.ListOutput, error)
	err  error // there is no list because of this one; nil: it has listed
}

func (l *lister) List(ctx context.Context, in transport.ListInput) (out transport.ListOutput, err error) {
	if l.list == nil {
		return out, errors.ErrUnsupported
	}
	out, l.err = l.list(ctx, in)
	return out, l.err
}

func (t *tool) sessions(ctx context.Context, h *host, l *lister, studio string) error {
	var rows [][]string
	known, live := false, true
	for k, err := range h.engine.Sessions(ctx, studio) {
		if err != nil {
			return err
		}
		known, live = true, live && k.Live
		if t.json {
			t.screen.record(k)
			continue
		}
		rows = append(rows, sessionRow(k, time.Now()))
	}
	if h.own == nil && !live {
		t.screen.note("the provider of studio %s gave no list; showing the last known sessions", studio)
	}
	if l.err != nil && ctx.Err() == nil {
		why := t.unlisted(ctx, l.err, studio)
		if !known && !errors.Is(l.err, errors.ErrUnsupported) {
			return why
		}
		t.screen.note("%s; showing the last known sessions", plain(why))
	}
	if len(rows) > 0 {
		t.screen.table(append([][]string{{"SESSION", "STATE", "SEEN", "OWNER", "STATUS"}}, rows...), 0, 3)
	}
	return ctx.Err()
}

// unlisted says why a studio's sessions are not what its provider lists.
// err is what listing them returned, or why the provider was not asked.
func (t *tool) unlisted(ctx context.Context, err error, studio string) error {
	if t.provider.opened == nil {
		return err
	}
	one, _ := t.provider.settings.Find(studio)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("a transport of kind %s cannot list sessions", one.Transport)
	case errors.Is(err, transport.KindCredentials):
		return errors.New(t.refusal(ctx, one))
	}
	return fmt.Errorf("studio %s cannot be asked for its sessions: %s", studio, plain(err))
}

func sessionRow(k engine.SessionStatus, now time.Time) []string {
	state, seen, status := string(k.Session.State), "now", k.Session.StatusMessage
	if state == "" {
		state = "never seen"
	}
	if !k.Live {
		seen = "-"
		if k.Session.State != "" && !k.SeenAt.IsZero() {
			seen = fmt.Sprintf("%s ago", span(now.Sub(k.SeenAt)))
		}
	}
	if code := k.Session.StatusCode; code != "" && code != "NONE" && !strings.HasPrefix(status, code) { // EC2's messages begin with the code
		status = strings.TrimSpace(code + " " + status)
	}
	return []string{k.Session.SessionID, state, seen, k.Session.OwnedBy, status}
}
