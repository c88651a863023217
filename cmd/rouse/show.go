package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

func (t *tool) showCommand() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "show OPERATION | STUDIO SESSION...",
		Short: "Show why an operation waits, and its events",
		Long: `Show an operation: why it waits, what comes next, and its events.

A session's operation is its active one, or else its latest. Sessions are named
as for "rouse start". Exit status 1 means that one was never asked for.`,
		Args:              cobra.ArbitraryArgs, // asked.read judges them
		ValidArgsFunction: t.completeSessions,
		SuggestFor:        []string{"explain", "get"},
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.readNamed(t, c, args); err != nil {
				return err
			}
			return t.reading(t.offline, func(h *host) error {
				o, one, err := a.findOne(c.Context(), h)
				if err != nil {
					return err
				}
				if one {
					return t.show(c.Context(), h, o.ID)
				}
				ops, unknown, err := a.find(c.Context(), h)
				if err != nil {
					return err
				}
				ids := make([]engine.ID, len(ops))
				for i, o := range ops {
					ids[i] = o.ID
				}
				return errors.Join(t.show(c.Context(), h, ids...), t.neverAsked(unknown))
			})
		},
	}
	a.flags(c)
	return c
}

// checkOne checks that ref names one session and holds no character of a host list or a
// wildcard. The tool would take either for the name of a session.
func checkOne(ref engine.Ref) error {
	if err := ref.Validate(); err != nil {
		return err
	}
	if err := checkLiteral("studio id", ref.StudioID); err != nil {
		return err
	}
	return checkLiteral("session id", ref.SessionID)
}

// listCharacters are the characters of host lists and wildcards.
const listCharacters = "[]{}*?,"

// checkLiteral is [checkOne] for one part; what names it in the message.
func checkLiteral(what, id string) error {
	if i := strings.IndexAny(id, listCharacters); i >= 0 {
		return usagef("%s %q: character %q at byte %d is not allowed here: write whole names; a host list, as in ws-[001-150], names many sessions", what, id, id[i], i)
	}
	return nil
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

// show prints operations, with a line between them.
func (t *tool) show(ctx context.Context, h *host, ids ...engine.ID) error {
	all := make([]shownRecord, len(ids))
	place := map[engine.ID]int{}
	for i, id := range ids {
		x, err := h.explain(ctx, id)
		if err != nil {
			return err
		}
		all[i].operation = x
		place[id] = i
	}
	for ev, err := range h.engine.Events(ctx, "") {
		if err != nil {
			return err
		}
		if i, ok := place[ev.Operation]; ok {
			all[i].events = append(all[i].events, ev)
		}
	}
	for i, r := range all {
		if t.json {
			t.screen.record(r)
			continue
		}
		if i > 0 {
			t.screen.say("")
		}
		for _, f := range fields(r.operation, time.Now()) {
			if f.text != "" {
				t.screen.paragraph(fmt.Sprintf("%-12s ", f.name), f.text)
			}
		}
		if len(r.events) > 0 {
			t.screen.say("")
			t.screen.table(eventRows(r.events, false))
		}
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
