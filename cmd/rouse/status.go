package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/hostlist"
	"github.com/rouse-dev/rouse/internal/jsontext"
)

// standing is how a session's latest operation fares, in one word.
type standing string

const (
	standingReady     standing = "ready"
	standingStarting  standing = "starting"
	standingScheduled standing = "scheduled"
	standingCanceled  standing = "canceled"
	standingLate      standing = "late"
	standingFailed    standing = "failed"
	standingUnknown   standing = "never asked for"
)

// standings is the order in which they are printed: what needs a person is last, where a
// terminal shows it.
var standings = []standing{standingReady, standingStarting, standingScheduled, standingCanceled, standingUnknown, standingLate, standingFailed}

// standingOf separates what is on its way from what is late. Late is what waits for
// anything but its time, its turn or its boot.
func standingOf(x engine.Explanation) standing {
	switch x.Operation.Phase {
	case fsm.PhaseSucceeded:
		return standingReady
	case fsm.PhaseCanceled:
		return standingCanceled
	case fsm.PhaseFailed, fsm.PhaseExpired:
		return standingFailed
	}
	switch x.Waiting {
	case engine.WaitScheduled:
		return standingScheduled
	case engine.WaitQueued, engine.WaitBooting, engine.WaitConfirm:
		return standingStarting
	}
	return standingLate
}

// snapshot has the latest operations of a selection at one time.
type snapshot struct {
	at      time.Time
	all     []engine.Explanation
	unknown []engine.Ref // named, and never asked for
}

// look reads the state of a selection.
func (a *asked) look(ctx context.Context, h *host) (snapshot, error) {
	ops, unknown, err := a.find(ctx, h)
	if err != nil {
		return snapshot{}, err
	}
	slices.SortFunc(ops, func(a, b engine.Operation) int {
		return cmp.Or(hostlist.Compare(a.Ref.StudioID, b.Ref.StudioID), hostlist.Compare(a.Ref.SessionID, b.Ref.SessionID))
	})
	all, err := h.explainAll(ctx, ops)
	return snapshot{time.Now(), all, unknown}, err
}

// lookOnce is look with an engine of its own, if there is no other.
func (t *tool) lookOnce(ctx context.Context, a *asked) (s snapshot, err error) {
	err = t.reading(t.offline, func(h *host) error {
		s, err = a.look(ctx, h)
		return err
	})
	return s, err
}

// counts counts the sessions by how they stand.
func (s snapshot) counts() *tally {
	y := newTally()
	for _, w := range standings {
		y.words = append(y.words, string(w))
	}
	for _, x := range s.all {
		y.add(string(standingOf(x)), x.Operation.Ref)
	}
	for _, ref := range s.unknown {
		y.add(string(standingUnknown), ref)
	}
	return y
}

// mostGroups is how many lines one standing gets.
const mostGroups = 20

// sameWhy is some sessions of a studio that stand alike, and for the same reason.
type sameWhy struct {
	refs []engine.Ref
	x    engine.Explanation // of the one that has waited longest
	next time.Time          // the earliest next step; zero: none is known
}

// groups returns the sessions of one standing, in groups with the same reason. The
// largest group comes first.
func (s snapshot) groups(w standing) []sameWhy {
	type key struct{ studio, why string }
	place := map[key]int{}
	var out []sameWhy
	for _, x := range s.all {
		if standingOf(x) != w {
			continue
		}
		k := key{x.Operation.Ref.StudioID, standingText(w, x, s.at)}
		i, ok := place[k]
		if !ok {
			i = len(out)
			place[k] = i
			out = append(out, sameWhy{x: x})
		}
		g := &out[i]
		g.refs = append(g.refs, x.Operation.Ref)
		if x.Since.Before(g.x.Since) {
			g.x = x
		}
		if x.Next.After(s.at) && (g.next.IsZero() || x.Next.Before(g.next)) {
			g.next = x.Next
		}
	}
	slices.SortStableFunc(out, func(a, b sameWhy) int { return len(b.refs) - len(a.refs) })
	return out
}

// standingText says in a few words why an operation stands so, or "". It leaves out what
// differs between sessions: request ids, times, and what a machine that boots answers.
func standingText(w standing, x engine.Explanation, now time.Time) string {
	x.Error, x.Operation.LastError = briefly(x.Error), briefly(x.Operation.LastError)
	switch w {
	case standingStarting:
		return waitText(x, x.Waiting)
	case standingLate, standingScheduled:
		return shortlyAt(x, now)
	case standingFailed:
		return failureText(x.Operation)
	}
	return ""
}

// lines returns the state in lines of a head and a text. The first is the counts.
func (s snapshot) lines() [][2]string {
	y := s.counts()
	out := [][2]string{{"", y.String()}}
	widest := 0
	for _, w := range standings {
		if y.count(string(w)) > 0 {
			widest = max(widest, len(w))
		}
	}
	for _, w := range standings {
		head := string(w)
		line := func(text string) {
			out = append(out, [2]string{fmt.Sprintf("%-*s  ", widest, head), text})
			head = ""
		}
		if w == standingUnknown && len(s.unknown) > 0 {
			line(foldRefs(s.unknown))
		}
		groups := s.groups(w)
		for i, g := range groups {
			if i == mostGroups {
				line(fmt.Sprintf("and %s: see \"rouse ls --latest\"", plural(len(groups)-i, "more reason", "more reasons")))
				break
			}
			line(g.text(w, s.at))
		}
	}
	return out
}

// text says of a group which sessions it has, why they stand so, and what comes next.
func (g sameWhy) text(w standing, now time.Time) string {
	text := foldRefs(g.refs)
	if why := standingText(w, g.x, now); why != "" {
		text += ": " + why
	}
	switch w {
	case standingLate:
		if since := g.x.Since; !since.IsZero() && since.Before(now) {
			text += ", for " + span(now.Sub(since))
		}
		if !g.next.IsZero() {
			text += ", next step in " + span(g.next.Sub(now).Round(time.Second))
		}
		if g.x.Unblock != "" && !strings.Contains(text, g.x.Unblock) {
			text += "; waits for " + g.x.Unblock
		}
	case standingFailed:
		text += "; next: " + beforeRetry[g.x.Operation.EndReason] + "\"rouse retry " + foldRefs(g.refs) + "\""
	}
	return text
}

// statusRecord is what "status" and "wait" print with --json for a session.
type statusRecord struct {
	operation engine.Explanation
	status    standing
}

func (r statusRecord) MarshalJSON() ([]byte, error) {
	return jsontext.Object(r.operation, struct {
		Status standing `json:"status"`
	}{r.status})
}

// unknownRecord is a [statusRecord] without an operation.
type unknownRecord struct {
	StudioID  string   `json:"studioId"`
	SessionID string   `json:"sessionId"`
	Status    standing `json:"status"`
}

// sayState prints a state.
func (t *tool) sayState(s snapshot) {
	if t.json {
		for _, x := range s.all {
			t.screen.record(statusRecord{x, standingOf(x)})
		}
		for _, ref := range s.unknown {
			t.screen.record(unknownRecord{ref.StudioID, ref.SessionID, standingUnknown})
		}
		return
	}
	for _, l := range s.lines() {
		t.screen.paragraph(l[0], l[1])
	}
}

// latestHelp says in a help text which operations count without names.
const latestHelp = `Sessions are named as for "rouse start". Without names, all sessions count
whose latest operation is active, or was created in the last 24 hours, or with
--since, since then. --studio and --label narrow that.`

func (t *tool) statusCommand() *cobra.Command {
	var a asked
	var watch bool
	c := &cobra.Command{
		Use:   "status [STUDIO SESSION...]",
		Short: "Show who is ready, late or failed, and why",
		Long: `Show who is ready, who is late, and who failed, with the reason.

It counts the latest operation of each session. Sessions with the same reason
share a line.
  ready      the session was READY at the operation's end
  starting   it waits for its turn, or boots
  scheduled  its not-before lies ahead
  canceled   the request was canceled
  late       something is in the way; the line says what, and what ends that
  failed     it ended FAILED or EXPIRED; the line says what to do

` + latestHelp + `

With --watch, it shows the state again when it changes, until Ctrl-C. On a
terminal it draws it in place.`,
		Example: `  rouse status
  rouse status --label show=aurora --watch
  rouse status lab 'ws-[001-150]'`,
		Args:              cobra.ArbitraryArgs, // asked.read judges them
		ValidArgsFunction: t.completeSessions,
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.read(t, c, args); err != nil {
				return err
			}
			if watch {
				return t.watchStatus(c.Context(), &a)
			}
			s, err := t.lookOnce(c.Context(), &a)
			if err != nil {
				return err
			}
			t.sayState(s)
			return nil
		},
	}
	a.flags(c)
	a.filterFlags(c)
	c.Flags().BoolVar(&watch, "watch", false, "show it again when it changes, until Ctrl-C")
	return c
}

// watchStatus shows a state each time that it has changed, until ctx ends.
func (t *tool) watchStatus(ctx context.Context, a *asked) error {
	t.waitsTurn = true
	var last string
	for ctx.Err() == nil {
		s, err := t.lookOnce(ctx, a)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // Ctrl-C ends it, and is no failure
			}
			return err
		}
		if now := s.fingerprint(); now != last || t.screen.draws() {
			last = now
			t.showAgain(s)
		}
		if err := t.screen.failure(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(t.between()):
		}
	}
	return nil
}

// fingerprint differs between two states if a person should see the second.
func (s snapshot) fingerprint() string {
	var b strings.Builder
	for _, w := range standings {
		for _, g := range s.groups(w) {
			fmt.Fprintf(&b, "%s %s %s\n", w, foldRefs(g.refs), standingText(w, g.x, s.at))
		}
	}
	return b.String() + foldRefs(s.unknown)
}

// showAgain prints a state in place of the one before, or where that cannot be, below it.
func (t *tool) showAgain(s snapshot) {
	if t.json || !t.screen.draws() {
		if !t.json {
			t.screen.say("%s", clock(s.at, s.at))
		}
		t.sayState(s)
		return
	}
	t.screen.draw(append([][2]string{{"", clock(s.at, s.at)}}, s.lines()...))
}

func (t *tool) whyCommand() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "why OPERATION | STUDIO SESSION...",
		Short: "Say why a session is late, and what ends that",
		Long: `Say in one paragraph why a session is late, and what ends that.

It is about the session's active operation, or else its latest. Sessions are
named as for "rouse start". "rouse show" has all that is known.`,
		Example:           `  rouse why lab ws-1`,
		Args:              cobra.ArbitraryArgs, // asked.read judges them
		ValidArgsFunction: t.completeSessions,
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.readNamed(t, c, args); err != nil {
				return err
			}
			s, err := t.lookOnce(c.Context(), &a)
			if err != nil {
				return err
			}
			if len(s.all) == 0 && len(s.unknown) == 1 {
				return &neverAskedError{s.unknown[0]}
			}
			for _, x := range s.all {
				if t.json {
					t.screen.record(statusRecord{x, standingOf(x)})
					continue
				}
				t.screen.paragraph("", whySentence(x, s.at))
			}
			return t.neverAsked(s.unknown)
		},
	}
	a.flags(c)
	return c
}

// whySentence says why a session is as it is, since when, what comes next, and what
// ends that.
func whySentence(x engine.Explanation, now time.Time) string {
	o := x.Operation
	name := o.Ref.StudioID + " " + o.Ref.SessionID
	switch w := standingOf(x); w {
	case standingReady:
		return endedText(o, now) + fmt.Sprintf(", %s after the request.", span(o.FinishedAt.Sub(o.CreatedAt)))
	case standingCanceled:
		return endText(o) + ". " + fmt.Sprintf("\"rouse retry %s\" asks again.", name)
	case standingFailed:
		return fmt.Sprintf("%s failed %s: %s. Next: %s\"rouse retry %s\".", name, when(o.FinishedAt, now), failureText(o), beforeRetry[o.EndReason], name)
	default:
		text := fmt.Sprintf("%s is %s: %s", name, w, shortlyAt(x, now))
		if w != standingScheduled && !x.Since.IsZero() && x.Since.Before(now) {
			text += fmt.Sprintf(", for %s (since %s)", span(now.Sub(x.Since)), clock(x.Since, now))
		}
		text += "."
		if x.Next.After(now) {
			text += fmt.Sprintf(" The next step is %s.", when(x.Next, now))
		}
		if x.Unblock != "" && w == standingLate {
			text += " It waits for " + x.Unblock + "."
		}
		switch {
		case w == standingStarting && !o.BootDeadline.IsZero():
			text += " It must be READY by " + clock(o.BootDeadline, now) + ", or it ends FAILED."
		case pastExpiry(o, now):
		case expiryText(o, now) != "":
			text += " It expires " + expiryText(o, now) + "."
		}
		return text
	}
}

func (t *tool) waitCommand() *cobra.Command {
	var a asked
	var atMost time.Duration
	c := &cobra.Command{
		Use:   "wait [OPERATION | STUDIO SESSION...]",
		Short: "Wait until operations have ended",
		Long: `Wait until the latest operation of each session has ended.

It sends nothing: "rouse run" or "rouse serve" does. On a terminal it shows
how they fare.

` + latestHelp + `

Exit status:
  0  each operation SUCCEEDED
  1  one ended otherwise, or its session was never asked for
  1  --timeout is over, or Ctrl-C; the operations go on
  2  wrong usage
  3  the process that has the database open did not answer`,
		Example: `  rouse wait lab 'ws-[001-150]' --timeout 20m
  rouse wait --label show=aurora`,
		Args:              cobra.ArbitraryArgs, // asked.read judges them
		ValidArgsFunction: t.completeSessions,
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("timeout") && atMost <= 0 {
				return usagef("--timeout %v: give a duration longer than zero", atMost)
			}
			if err := a.read(t, c, args); err != nil {
				return err
			}
			return t.waitFor(c.Context(), &a, atMost)
		},
	}
	a.flags(c)
	a.filterFlags(c)
	durationVar(c.Flags(), &atMost, "timeout", 0, "end after `DURATION` with status 1, even if some have not ended")
	return c
}

// waitFor waits until the operations of a selection have ended, and says how.
func (t *tool) waitFor(ctx context.Context, a *asked, atMost time.Duration) error {
	t.waitsTurn = atMost == 0
	up := after(atMost)
	var last string
	var told time.Time
	defer t.screen.status("")
	for {
		s, err := t.lookOnce(ctx, a)
		if ctx.Err() != nil {
			return interrupted(ctx.Err(), "the operations go on")
		}
		if err != nil {
			return err
		}
		open := s.open()
		if open == 0 {
			return t.waited(s, nil)
		}
		text := s.counts().String()
		switch {
		case t.screen.live():
			t.screen.status("%s; waiting for %d", text, open)
		case text != last || time.Since(told) >= again:
			last, told = text, time.Now()
			t.screen.note("%s; waiting for %d", text, open)
		}
		select {
		case <-up:
			return t.waited(s, fmt.Errorf("the time of --timeout %v is over: %s; they go on", atMost, plural(open, "operation has not ended", "operations have not ended")))
		case <-ctx.Done():
			return interrupted(ctx.Err(), "the operations go on")
		case <-time.After(t.between()):
		}
	}
}

// open counts the operations that have not ended.
func (s snapshot) open() int {
	n := 0
	for _, x := range s.all {
		if x.Operation.Active() {
			n++
		}
	}
	return n
}

// waited says how a wait came out. cut is why it ended before the operations did, or nil.
func (t *tool) waited(s snapshot, cut error) error {
	t.screen.status("")
	t.sayState(s)
	y := s.counts()
	switch n := y.total - y.count(string(standingReady)); {
	case cut != nil:
		return cut
	case y.total == 0:
		return errors.New("there is nothing to wait for: no session fits")
	case n > 0:
		return fmt.Errorf("%d of %s did not become READY", n, plural(y.total, "session", "sessions"))
	}
	return nil
}
