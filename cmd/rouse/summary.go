package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// summary says how a run ended: "3 SUCCEEDED, 1 FAILED; 2 active (1 scheduled)".
func summary(ends map[fsm.Phase]int, active int, rest idleness) string {
	var parts []string
	for _, p := range fsm.Phases() {
		if n := ends[p]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing ended"}
	}
	text := strings.Join(parts, ", ") + fmt.Sprintf("; %d active", active)
	if r := rest.String(); r != "" && active > 0 {
		text += " (" + r + ")"
	}
	return text
}

// mostFailures is how many failures a run explains at its end.
const mostFailures = 20

// failure reports whether a phase is an end that a user must act on.
func failure(p fsm.Phase) bool { return p == fsm.PhaseFailed || p == fsm.PhaseExpired }

// explainFailures prints why the first operations that failed in a run did so, and what
// to do next. It returns the number of failures. It does not count a session that was
// requested again since, because the later operation shows how that went.
func (t *tool) explainFailures(ctx context.Context, get func(context.Context, engine.ID) (engine.Operation, error), feed *feedPrinter) (int, error) {
	ends := slices.SortedFunc(maps.Values(feed.failed), func(a, b failedEnd) int { return cmp.Compare(a.seq, b.seq) })
	n := len(ends)
	for _, end := range ends[:min(n, mostFailures)] {
		o, err := get(ctx, end.id)
		switch {
		case errors.Is(err, store.ErrNotFound): // it was pruned
		case err != nil:
			return n, err
		default:
			t.screen.note("%s", failureLine(o))
		}
	}
	if more := n - mostFailures; more > 0 {
		t.screen.note("and %s: see \"rouse ls --phase FAILED --phase EXPIRED\"", plural(more, "more failure", "more failures"))
	}
	return n, nil
}

// failureLine names the session of an operation that failed, its reason, the last error
// and the next step.
func failureLine(o engine.Operation) string {
	name := o.Ref.StudioID + " " + o.Ref.SessionID
	text := name + " " + string(o.Phase)
	if restated(o.EndReason) {
		text += " (" + string(o.EndReason) + ")"
	}
	return fmt.Sprintf("%s: %s; next: %s\"rouse retry %s\"", text, cmp.Or(failureText(o), "no reason is recorded"), beforeRetry[o.EndReason], name)
}

// beforeRetry has the step before a retry, by end reason. Other reasons need none.
var beforeRetry = map[store.Reason]string{
	store.ReasonStartFailed:  "repair the session, then ",
	store.ReasonAmbiguous:    "check whether the session runs; if it does not, ",
	store.ReasonTimeout:      "check why the session is not READY, then ",
	store.ReasonUnobservable: "check whether the session runs; if it does not, ",
	store.ReasonAccessDenied: "correct the permissions, then ",
	store.ReasonNotFound:     "start it by its right name, or correct the settings, then ",
	store.ReasonInvalid:      "correct that, then ",
}
