package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
)

func (t *tool) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel OPERATION | STUDIO SESSION",
		Short: "Cancel a request that was not sent yet",
		Long: `Cancel a request that was not sent yet.

All requests that joined the operation are canceled. A session is never stopped:
  - Not sent: the operation ends CANCELED.
  - Sent, outcome unknown: it is not sent again. The next "rouse run" confirms
    what happened.
  - Accepted by the provider: the operation continues, and the exit status is 1.

Requests that joined after the send are canceled too. The id of such a later
request cancels that request alone.`,
		Args: words(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkTarget(args); err != nil {
				return err
			}
			return t.with(t.offline, func(h *host) error { return t.cancel(c.Context(), h, args) })
		},
	}
}

func (t *tool) cancel(ctx context.Context, h *host, args []string) error {
	o, err := h.target(ctx, args)
	if err != nil {
		return err
	}
	was, id := o.Phase, o.ID
	if len(args) == 1 { // which may be the id of a later wish
		id = engine.ID(strings.ToLower(args[0]))
	}
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
