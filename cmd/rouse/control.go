package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

func (t *tool) cancelCommand() *cobra.Command {
	var a asked
	var all bool
	c := &cobra.Command{
		Use:   "cancel OPERATION | STUDIO SESSION...",
		Short: "Cancel requests that were not sent yet",
		Long: `Cancel requests that were not sent yet.

All requests that joined the operation are canceled. A session is never stopped:
  - Not sent: the operation ends CANCELED.
  - Sent, outcome unknown: it is not sent again. The next "rouse run" confirms
    what happened.
  - Accepted by the provider: the operation continues, and the exit status is 1.

Requests that joined after the send are canceled too. The id of such a later
request cancels that request alone.

Sessions are named as for "rouse start". --all cancels what is active in
--studio, or everywhere, and --label what is active and has the label. Of
several sessions, exit status 1 means that some were not canceled.`,
		Example: `  rouse cancel lab 'ws-[001-150]'
  rouse cancel --all --studio lab
  rouse cancel --label show=aurora`,
		Args:              cobra.ArbitraryArgs, // asked.read judges them
		ValidArgsFunction: t.completeSessions,
		RunE: func(c *cobra.Command, args []string) error {
			read := a.readNamed
			if all || len(a.labels) > 0 {
				read = a.read
			}
			switch err := read(t, c, args); {
			case err != nil:
				return err
			case all && a.named():
				return usagef("--all is for all: leave it out, or leave out the names")
			}
			return t.with(t.offline, func(h *host) error {
				o, one, err := a.findOne(c.Context(), h)
				if err != nil {
					return err
				}
				if one {
					return t.cancel(c.Context(), h, o, cmp.Or(a.op, o.ID))
				}
				return t.cancelMany(c.Context(), h, &a)
			})
		},
	}
	a.flags(c)
	c.Flags().BoolVar(&all, "all", false, "all that is active")
	c.Flags().StringArrayVar(&a.labels, "label", nil, "what is active and has the label `NAME=VALUE`; may be repeated")
	return c
}

// cancelMany cancels the operations of several sessions, and says what became of each.
func (t *tool) cancelMany(ctx context.Context, h *host, a *asked) error {
	ops, unknown, err := a.find(ctx, h)
	if err != nil {
		return err
	}
	if !a.named() {
		ops = slices.DeleteFunc(ops, func(o engine.Operation) bool { return !o.Active() })
	}
	outcomes, errs := make([]engine.Cancellation, len(ops)), make([]error, len(ops))
	inParallel(len(ops), func(i int) { outcomes[i], errs[i] = h.engine.Cancel(ctx, ops[i].ID, userName()) })
	if ctx.Err() != nil {
		return interrupted(ctx.Err(), "some may have been canceled: ask again")
	}
	if err := fatal(errs); err != nil {
		return err
	}
	y := newTally("canceled", "canceled before", "sent, outcome unknown", "not canceled")
	for i, o := range ops {
		why := ""
		switch {
		case errs[i] != nil:
			why = plain(errs[i])
		case outcomes[i] == engine.CancellationNeverSent:
			y.add("canceled", o.Ref)
		case outcomes[i] == engine.CancellationOutcomeUnknown:
			y.add("sent, outcome unknown", o.Ref)
		case outcomes[i] == engine.CancellationAlreadyEnded && o.Phase == fsm.PhaseCanceled:
			y.add("canceled before", o.Ref)
		case outcomes[i] == engine.CancellationAlreadyEnded:
			why = "the operation has ended"
			if o.Phase.Ended() {
				why = endedText(o, time.Now())
			}
		default:
			why = "the provider has accepted the start"
		}
		if t.json {
			if err := t.recordOperation(ctx, h, o.ID); err != nil {
				return err
			}
		}
		if why != "" {
			y.add("not canceled", o.Ref)
			t.screen.complain("%s %s: not canceled: %s", o.Ref.StudioID, o.Ref.SessionID, why)
		}
	}
	switch {
	case t.json:
	case y.total > 0:
		t.sayTally(y)
	case len(unknown) == 0:
		t.screen.say("nothing to cancel: nothing that fits is active")
	}
	err = t.neverAsked(unknown)
	if n := y.count("not canceled"); n > 0 {
		err = errors.Join(fmt.Errorf("%d of %s were not canceled", n, plural(y.total, "session", "sessions")), err)
	}
	return err
}

// fatal returns the first error that concerns the engine and not one operation, or nil.
func fatal(errs []error) error {
	for _, err := range errs {
		if errors.Is(err, api.ErrNoAnswer) || errors.Is(err, api.ErrTooMany) || errors.Is(err, store.ErrFailed) || errors.Is(err, store.ErrFull) {
			return err
		}
	}
	return nil
}

// cancel cancels the operation o. If id belongs to a later request, it cancels that
// request alone.
func (t *tool) cancel(ctx context.Context, h *host, o engine.Operation, id engine.ID) error {
	was := o.Phase
	outcome, err := h.engine.Cancel(ctx, id, userName())
	if err != nil {
		return err
	}
	if t.json {
		if err := t.recordOperation(ctx, h, o.ID); err != nil {
			return err
		}
	}
	name := o.Ref.StudioID + " " + o.Ref.SessionID
	switch {
	case id != o.ID && outcome == engine.CancellationNeverSent:
		if !t.json {
			t.screen.say("canceled the later request %s of %s; operation %s goes on", id, name, o.ID)
		}
	case id != o.ID:
		return fmt.Errorf("not canceled: the later request %s of %s has ended: it joined operation %s", id, name, o.ID)
	case outcome == engine.CancellationAccepted:
		text := fmt.Sprintf("not canceled: the provider has accepted the start of %s (operation %s)", name, o.ID)
		if o.Later.Pending() {
			text += fmt.Sprintf("; the later request %s is canceled: it starts nothing", o.Later.ID)
		}
		return errors.New(text)
	case outcome == engine.CancellationAlreadyEnded && was != fsm.PhaseCanceled:
		return fmt.Errorf("not canceled: operation %s has ended: %s", o.ID, endedText(o, time.Now()))
	case t.json:
	case outcome == engine.CancellationAlreadyEnded:
		t.screen.say("operation %s had already ended: %s", o.ID, endText(o))
	case outcome == engine.CancellationOutcomeUnknown:
		t.screen.say("operation %s of %s was sent, outcome unknown: it is not sent again; the next \"rouse run\" confirms what happened", o.ID, name)
	default:
		t.screen.say("canceled operation %s of %s", o.ID, name)
	}
	return nil
}

// laneRecord is a lane as "pause" and "resume" print it with --json.
type laneRecord struct {
	Lane   string `json:"lane"`
	Paused bool   `json:"paused"`
}

func (t *tool) pauseCommand() *cobra.Command {
	return t.laneCommand("pause", "Send no more starts of a lane", true)
}

func (t *tool) resumeCommand() *cobra.Command {
	return t.laneCommand("resume", "Send the starts of a paused lane again", false)
}

func (t *tool) laneCommand(verb, short string, paused bool) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " LANE",
		Short: short,
		Long: short + `.

A lane is the sessions that share an endpoint's fate and rate limit. Its name
is the studio's id, or the key lane in the settings. A pause is kept on disk
and ends by "rouse resume". Starts that were sent before are polled to their
end.`,
		Args: words(1),
		RunE: func(c *cobra.Command, args []string) error {
			return t.with(t.provider.queued, func(h *host) error {
				s, err := h.engine.Stats(c.Context())
				if err != nil {
					return err
				}
				was := slices.ContainsFunc(s.Lanes, func(l engine.LaneStats) bool { return l.Name == args[0] && l.Paused })
				set := h.engine.Resume
				if paused {
					set = h.engine.Pause
				}
				if err := set(c.Context(), args[0], userName()); err != nil {
					return err
				}
				switch {
				case t.json:
					t.screen.record(laneRecord{Lane: args[0], Paused: paused})
					return nil
				case was == paused:
					state := "not paused"
					if paused {
						state = "paused already"
					}
					t.screen.say("nothing to do: lane %s is %s", args[0], state)
					return nil
				}
				for _, err := range h.engine.List(c.Context(), engine.Filter{Lane: args[0], Active: true, Limit: 1}) {
					if err != nil {
						return err
					}
					t.screen.say("%sd lane %s", verb, args[0])
					return nil
				}
				t.screen.say("%sd lane %s (nothing is queued in lane %s)", verb, args[0], args[0])
				return nil
			})
		},
	}
}
