package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

func (t *tool) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show OPERATION | STUDIO SESSION",
		Short: "Show why an operation waits, and its events",
		Long: `Show an operation: why it waits, what comes next, and its events.

A session's operation is its active one, or else its latest.`,
		Args:       words(1, 2),
		SuggestFor: []string{"explain", "why", "status", "get"},
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkTarget(args); err != nil {
				return err
			}
			return t.reading(t.offline, func(h *host) error {
				o, err := h.target(c.Context(), args)
				if err != nil {
					return err
				}
				return t.show(c.Context(), h, o.ID)
			})
		},
	}
}

// checkTarget looks at the words that name an operation.
func checkTarget(args []string) error {
	if len(args) == 2 {
		return engine.Ref{StudioID: args[0], SessionID: args[1]}.Trim().Validate()
	}
	if _, err := uuid.Parse(args[0]); err != nil || len(args[0]) != 36 {
		return usagef("%q is not an operation id; name a session by two words, STUDIO SESSION", args[0])
	}
	return nil
}

// checkOne checks that ref names one session and holds no character of a host list or
// a wildcard: the tool would take either for the name of a session.
func checkOne(ref engine.Ref) error {
	if err := ref.Validate(); err != nil {
		return err
	}
	if err := checkLiteral("studio id", ref.StudioID); err != nil {
		return err
	}
	return checkLiteral("session id", ref.SessionID)
}

// checkLiteral is [checkOne] for one part; what names it in the message.
func checkLiteral(what, id string) error {
	if i := strings.IndexAny(id, "[]{}*?,"); i >= 0 {
		return usagef("%s %q: character %q at byte %d is not allowed here: write whole names; a host list, as in ws-[001-150], names many sessions", what, id, id[i], i)
	}
	return nil
}

// target finds the operation that the words name.
func (h *host) target(ctx context.Context, args []string) (engine.Operation, error) {
	if len(args) == 1 {
		o, err := h.engine.Get(ctx, engine.ID(strings.ToLower(args[0])))
		return o, err
	}
	ref := engine.Ref{StudioID: args[0], SessionID: args[1]}.Trim()
	o, err := h.engine.Find(ctx, ref)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if err := checkOne(ref); err != nil {
			return o, err
		}
		return o, &neverAskedError{ref}
	case err != nil:
		return o, fmt.Errorf("session %s: %w", ref, err)
	}
	return o, nil
}

// neverAskedError: no operation is known for a session.
type neverAskedError struct{ ref engine.Ref }

func (e *neverAskedError) Error() string {
	return fmt.Sprintf("no request is known for session %s %s", e.ref.StudioID, e.ref.SessionID)
}
func (e *neverAskedError) Unwrap() error { return store.ErrNotFound }

// recordOperation prints an operation as JSON.
func (t *tool) recordOperation(ctx context.Context, h *host, id engine.ID) error {
	x, err := h.explain(ctx, id)
	if err != nil {
		return err
	}
	t.screen.record(x)
	return nil
}

func (t *tool) show(ctx context.Context, h *host, id engine.ID) error {
	x, err := h.explain(ctx, id)
	if err != nil {
		return err
	}
	var events []engine.Event
	for ev, err := range h.engine.Events(ctx, "") {
		if err != nil {
			return err
		}
		if ev.Operation == id {
			events = append(events, ev)
		}
	}
	if t.json {
		t.screen.record(shownRecord{x, events})
		return nil
	}
	for _, f := range fields(x, time.Now()) {
		if f.text != "" {
			t.screen.paragraph(fmt.Sprintf("%-12s ", f.name), f.text)
		}
	}
	if len(events) > 0 {
		t.screen.say("")
		t.screen.table(eventRows(events, false))
	}
	return nil
}

// field is a line of "show"; without a text it is left out.
type field struct{ name, text string }

func fields(x engine.Explanation, now time.Time) []field {
	o := x.Operation
	out := []field{
		{"operation", string(o.ID)},
		{"session", o.Ref.StudioID + " " + o.Ref.SessionID},
		{"phase", phaseText(o)},
		{"last seen", seenText(x.Seen, now)},
		{"probe", probedText(x.Seen, now)},
	}
	if o.Active() {
		out = append(out,
			field{"waits", waitText(x, x.Waiting) + ", since " + when(x.Since, now)},
			field{"also", besidesText(x, now)},
			field{"last error", errorText(x, now)},
			field{"next step", at(x.Next, now)},
			field{"unblocked by", x.Unblock})
	} else {
		out = append(out, field{"ended", at(o.FinishedAt, now)}, field{"because", failureText(o)})
	}
	return append(out,
		field{"attempts", fmt.Sprint(o.Attempts)},
		field{"not before", at(o.NotBefore, now)},
		field{"asked for", askedText(o, now)},
		field{"asked again", againText(o, now)},
		field{"reason", o.Reason},
		field{"labels", labelText(o.Labels)},
		field{"token", tokenText(o)},
		field{"expires", expiryText(o, now)},
		field{"retry of", string(o.RetryOf)},
	)
}

// at is when, or "" for no moment.
func at(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return when(t, now)
}

func phaseText(o engine.Operation) string {
	text := string(o.Phase)
	switch {
	case o.Phase.Ended():
		return text
	case !o.CancelAt.IsZero():
		text += ", to be canceled if it was not sent"
	case o.Sent == store.SentNo:
		text += ", not sent"
	case o.Sent == store.SentUnknown:
		text += ", sent, outcome unknown"
	case o.Sent == store.SentAccepted:
		text += ", accepted by the provider"
	}
	return text
}

func errorText(x engine.Explanation, now time.Time) string {
	if x.Error == "" || x.Error == transport.KindCredentials.Error() { // the reason has said so
		return ""
	}
	return worded(x.Error) + ", " + when(x.ErrorAt, now)
}

// besidesText says what the last "rouse run" left an operation waiting for.
func besidesText(x engine.Explanation, now time.Time) string {
	if x.Also == "" {
		return ""
	}
	return waitText(x, x.Also) + ", since " + when(x.AlsoSince, now)
}

func seenText(s engine.Seen, now time.Time) string {
	text := string(s.State)
	if more := statusText(s); more != "" && more != s.Probe.Text() {
		text += ": " + more
	}
	if text != "" && !s.At.IsZero() {
		text += ", " + when(s.At, now)
	}
	return text
}

func probedText(s engine.Seen, now time.Time) string {
	text := s.Probe.Text()
	if text != "" && !s.Probe.At.IsZero() {
		text += ", " + when(s.Probe.At, now)
	}
	return text
}

func askedText(o engine.Operation, now time.Time) string {
	text := when(o.CreatedAt, now)
	if o.RequestedBy != "" {
		text += " by " + o.RequestedBy
	}
	return text + " via " + o.Source
}

// againText says what becomes of a request that joined after the send.
func againText(o engine.Operation, now time.Time) string {
	w := o.Later
	if !w.Pending() {
		return ""
	}
	text := when(w.At, now)
	if w.RequestedBy != "" {
		text += " by " + w.RequestedBy
	}
	return text + fmt.Sprintf("; if %s was stopped since, this request starts it again, as operation %s", o.Ref.SessionID, w.ID)
}

func labelText(labels map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, k+"="+labels[k])
	}
	return strings.Join(parts, " ")
}

// tokenText leaves out a token that says nothing new.
func tokenText(o engine.Operation) string {
	if o.ClientToken == string(o.ID) {
		return ""
	}
	return o.ClientToken
}

func expiryText(o engine.Operation, now time.Time) string {
	if o.Phase == fsm.PhaseExpired {
		return when(o.ExpiresAt, now)
	}
	if o.Phase.Ended() || o.Sent == store.SentAccepted {
		return ""
	}
	if pastExpiry(o, now) {
		return fmt.Sprintf("past its expiry, %s: the next \"rouse run\" ends it EXPIRED", when(o.ExpiresAt, now))
	}
	return when(o.ExpiresAt, now) + " if it was not sent by then"
}
