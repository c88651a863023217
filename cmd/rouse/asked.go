package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/store"
)

// asked chooses among the sessions that were asked for: by name, by an operation, or by
// what their latest operations have.
type asked struct {
	selection
	labels []string // of --label
	since  string   // of --since

	// Once they are read:
	op     engine.ID     // the operation that is named; "": none
	filter engine.Filter // StudioID, Labels and Since, if neither op nor refs name any

	literal *engine.Ref // the two words as they are, which may be a name in the database
	wrong   error       // of the words, if the database has no such name
}

// filterFlags defines the flags that choose by what operations have.
func (a *asked) filterFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&a.labels, "label", nil, "only operations with the label `NAME=VALUE`; may be repeated")
	f.StringVar(&a.since, "since", "", "only operations created at `TIME` or later: "+pastForms)
}

// isID reports whether a word is the id of an operation.
func isID(word string) bool {
	_, err := uuid.Parse(word)
	return err == nil && len(word) == 36
}

// read sets op, refs or filter from the words of a command. It opens no database.
func (a *asked) read(t *tool, c *cobra.Command, args []string) error {
	if len(args) == 0 && a.from == "" && !c.Flags().Changed("from") {
		return a.readFilter(c, time.Now())
	}
	for _, name := range []string{"label", "since"} {
		if f := c.Flags().Lookup(name); f != nil && f.Changed {
			return usagef("--%s chooses among all operations: leave it out, or leave out the names", name)
		}
	}
	if len(args) == 1 && a.studio == "" && !a.listed() {
		if isID(args[0]) {
			a.op = engine.ID(strings.ToLower(args[0]))
			return nil
		}
		studio, err := t.defaultStudio()
		if err != nil {
			return err
		}
		if studio == "" {
			return usagef("%q is not an operation id; name a session by two words, STUDIO SESSION, or set a default studio", args[0])
		}
	}
	err := a.selection.read(t, c, args)
	// A name that another program gave to a session may look like a host list.
	if len(args) == 2 && a.studio == "" && !a.listed() && strings.ContainsAny(args[1], listCharacters) {
		ref := engine.Ref{StudioID: args[0], SessionID: args[1]}.Trim()
		if ref.Validate() == nil {
			a.literal, a.wrong = &ref, err
			return nil
		}
	}
	return err
}

// readNamed is read for a command whose words must name something.
func (a *asked) readNamed(t *tool, c *cobra.Command, args []string) error {
	if len(args) == 0 && !c.Flags().Changed("from") {
		_, want, _ := strings.Cut(c.Use, " ")
		return usagef("%s takes %s, and got 0: []", c.Name(), want)
	}
	return a.read(t, c, args)
}

func (a *asked) readFilter(c *cobra.Command, now time.Time) error {
	var err error
	if c.Flags().Changed("studio") {
		if err = checkStudio("--studio", a.studio); err != nil {
			return err
		}
	}
	a.filter.StudioID = a.studio
	if a.filter.Labels, err = pairs("--label", a.labels); err != nil {
		return err
	}
	if f := c.Flags().Lookup("since"); f != nil && f.Changed {
		if a.filter.Since, err = past(a.since, now); err != nil {
			return usagef("--since: %w", err)
		}
	}
	return nil
}

// named reports whether the words name operations or sessions.
func (a *asked) named() bool { return a.op != "" || a.literal != nil || len(a.refs) > 0 }

// find returns the operations that the selection is about: each session's active one, or
// else its latest. It also returns the named sessions that were never asked for.
func (a *asked) find(ctx context.Context, h *host) (ops []engine.Operation, unknown []engine.Ref, err error) {
	if a.op != "" {
		o, err := h.engine.Get(ctx, a.op)
		return []engine.Operation{o}, nil, err
	}
	if a.literal != nil {
		o, err := h.engine.Find(ctx, *a.literal)
		switch {
		case err == nil:
			return []engine.Operation{o}, nil, nil
		case !errors.Is(err, store.ErrNotFound):
			return nil, nil, err
		case a.wrong != nil:
			return nil, nil, a.wrong
		}
	}
	if !a.named() {
		ops, err = h.latest(ctx, a.filter)
		return ops, nil, err
	}
	found := make([]engine.Operation, len(a.refs))
	errs := make([]error, len(a.refs))
	inParallel(len(a.refs), func(i int) { found[i], errs[i] = h.engine.Find(ctx, a.refs[i]) })
	for i, err := range errs {
		switch {
		case err == nil:
			ops = append(ops, found[i])
		case errors.Is(err, store.ErrNotFound):
			unknown = append(unknown, a.refs[i])
		default:
			return nil, nil, err
		}
	}
	return ops, unknown, nil
}

// findOne is find for a selection of one session or operation. It returns an error if
// there is none, and false if the selection is of several.
func (a *asked) findOne(ctx context.Context, h *host) (engine.Operation, bool, error) {
	if a.op == "" && a.literal == nil && len(a.refs) != 1 {
		return engine.Operation{}, false, nil
	}
	ops, unknown, err := a.find(ctx, h)
	switch {
	case err != nil:
		return engine.Operation{}, true, err
	case len(ops)+len(unknown) != 1:
		return engine.Operation{}, false, nil
	case len(unknown) == 1:
		return engine.Operation{}, true, &neverAskedError{unknown[0]}
	}
	return ops[0], true, nil
}

// recently is how long an operation that has ended counts for a selection that names no
// session and no time.
const recently = 24 * time.Hour

// latest returns the latest operation of each session that f lets through, the newest
// first. Those that are active come first, however old they are. Without f.Since, those
// that have ended were created recently.
func (h *host) latest(ctx context.Context, f engine.Filter) ([]engine.Operation, error) {
	since := f.Since
	if since.IsZero() {
		since = time.Now().Add(-recently)
	}
	seen := map[engine.Ref]bool{}
	var out []engine.Operation
	for _, part := range []engine.Filter{
		{StudioID: f.StudioID, Active: true, Since: f.Since, Newest: true},
		{StudioID: f.StudioID, Since: since, Newest: true},
	} {
		for op, err := range h.engine.List(ctx, part) {
			if err != nil {
				return nil, err
			}
			if seen[op.Ref] {
				continue
			}
			seen[op.Ref] = true
			if hasAll(op.Labels, f.Labels) {
				out = append(out, op)
			}
		}
	}
	return out, nil
}

// explainAll returns why each of some operations waits, or how it ended.
func (h *host) explainAll(ctx context.Context, ops []engine.Operation) ([]engine.Explanation, error) {
	out := make([]engine.Explanation, len(ops))
	errs := make([]error, len(ops))
	inParallel(len(ops), func(i int) {
		if ops[i].Phase.Ended() {
			out[i] = recordOf(ops[i])
			return
		}
		out[i], errs[i] = h.explain(ctx, ops[i].ID)
	})
	for _, err := range errs {
		if err != nil && !errors.Is(err, store.ErrNotFound) { // it was pruned meanwhile
			return nil, err
		}
	}
	return out, nil
}

// neverAsked reports the sessions that are named and were never asked for. It returns an
// error if there are any.
func (t *tool) neverAsked(refs []engine.Ref) error {
	for _, ref := range refs {
		if t.json {
			t.screen.record(refusedRecord{ref.StudioID, ref.SessionID, "refused", (&neverAskedError{ref}).Error()})
		}
	}
	if len(refs) == 0 {
		return nil
	}
	return fmt.Errorf("no request is known for %s: %s", plural(len(refs), "session", "sessions"), foldRefs(refs))
}
