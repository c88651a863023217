package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
)

func (t *tool) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel OPERATION | STUDIO SESSION",
		Short: "Withdraw a request that was not sent yet",
		Long: `Cancel withdraws a request, for all who joined it. It never stops a session: one
that was perhaps sent is not sent again, and a look decides what became of it; if
the provider has started it, nothing changes, and the exit status is 1.`,
		Args: words(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkTarget(args); err != nil {
				return err
			}
			return t.with(t.provider.offline(), func(d *desk) error { return t.cancel(c.Context(), d, args) })
		},
	}
}

func (t *tool) cancel(ctx context.Context, d *desk, args []string) error {
	o, err := d.target(ctx, args)
	if err != nil {
		return err
	}
	was := o.Phase
	outcome, err := d.engine.Cancel(ctx, o.ID, userName())
	if err != nil {
		return err
	}
	if t.json {
		if err := t.recordOperation(ctx, d, o.ID); err != nil {
			return err
		}
	}
	name := o.Ref.StudioID + " " + o.Ref.SessionID
	switch {
	case outcome == engine.Accepted:
		return fmt.Errorf("not canceled: the provider has started %s already (operation %s)", name, o.ID)
	case outcome == engine.AlreadyEnded && was != fsm.Canceled:
		return fmt.Errorf("not canceled: operation %s is over: %s", o.ID, endText(o))
	case t.json:
	case outcome == engine.PerhapsSent:
		t.screen.say("operation %s of %s was perhaps sent: it is not sent again, and \"rouse run\" looks what became of it", o.ID, name)
	default:
		t.screen.say("canceled operation %s of %s", o.ID, name)
	}
	return nil
}

// retryFlags are the flags of "retry" without an operation.
type retryFlags struct {
	failed bool
	since  string
	labels []string
}

func (t *tool) retryCommand() *cobra.Command {
	var r retryFlags
	c := &cobra.Command{
		Use:   "retry [OPERATION | STUDIO SESSION]",
		Short: "Try again: at once what waits, anew what has ended",
		Long: `Retry makes the next step of an active operation due now, whatever it waits for
after an error (a not-before stands). For an operation that has ended it queues a
new one, for the same session with the same labels.

With --failed it queues a new operation for each session whose latest one FAILED.`,
		Example: `  rouse retry lab ws-1
  rouse retry --failed --since 18:00 --label show=aurora`,
		Args: words(0, 1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := r.filter(c, args, time.Now())
			if err != nil {
				return err
			}
			return t.with(t.provider.offline(), func(d *desk) error {
				if r.failed {
					return t.retryFailed(c.Context(), d, f)
				}
				o, err := d.target(c.Context(), args)
				if err != nil {
					return err
				}
				return t.retry(c.Context(), d, o)
			})
		},
	}
	g := c.Flags()
	g.BoolVar(&r.failed, "failed", false, "retry all that FAILED")
	g.StringVar(&r.since, "since", "", "with --failed: created at `TIME` or later: 2006-01-02T15:04:05Z, 08:30, or 2h ago as 2h")
	g.StringArrayVar(&r.labels, "label", nil, "with --failed: label `NAME=VALUE` that they have; may be repeated")
	return c
}

// filter checks what was typed; with --failed it says which operations are meant.
func (r *retryFlags) filter(c *cobra.Command, args []string, now time.Time) (engine.Filter, error) {
	f := engine.Filter{Phases: []fsm.Phase{fsm.Failed}, Newest: true}
	switch {
	case r.failed && len(args) > 0:
		return f, usagef("--failed is for all: leave out %q", args[0])
	case r.failed:
	case len(args) == 0:
		return f, usagef("say what to retry: OPERATION, STUDIO SESSION or --failed")
	case r.since != "" || len(r.labels) > 0:
		return f, usagef("--since and --label go with --failed")
	default:
		return f, checkTarget(args)
	}
	var err error
	if c.Flags().Changed("since") {
		if f.Since, err = past(r.since, now); err != nil {
			return f, usagef("--since: %w", err)
		}
	}
	f.Labels, err = labels(r.labels)
	return f, err
}

func (t *tool) retry(ctx context.Context, d *desk, o engine.Operation) error {
	name := o.Ref.StudioID + " " + o.Ref.SessionID
	if o.Active() {
		if err := d.engine.RetryNow(ctx, o.ID); err != nil {
			return err
		}
		if t.json {
			return t.recordOperation(ctx, d, o.ID)
		}
		t.screen.say("operation %s of %s is due now", o.ID, name)
		return nil
	}
	r, err := d.engine.Retry(ctx, o.ID, userName())
	if err != nil {
		return err
	}
	if t.json {
		return t.recordOperation(ctx, d, r.Operation.ID)
	}
	if !r.Created {
		t.screen.say("joined operation %s of %s", r.Operation.ID, name)
		return nil
	}
	t.screen.say("queued %s as operation %s", name, r.Operation.ID)
	return nil
}

// retryFailed retries each session whose latest operation is among those that f
// lets through: a failure that somebody has retried since is dealt with.
func (t *tool) retryFailed(ctx context.Context, d *desk, f engine.Filter) error {
	var failed []engine.Operation
	for op, err := range d.engine.List(ctx, f) {
		if err != nil {
			return err
		}
		failed = append(failed, op)
	}
	refused, queued := 0, 0
	for _, op := range failed {
		latest, err := d.engine.Find(ctx, op.Ref)
		if err != nil {
			return err
		}
		if latest.ID != op.ID {
			continue
		}
		switch err := t.retry(ctx, d, op); {
		case err != nil && ctx.Err() != nil:
			return interrupted(err, fmt.Sprintf("%d operations were queued", queued))
		case err != nil:
			refused++
			t.screen.complain("%s: %s", op.Ref, plain(err))
		default:
			queued++
		}
	}
	if !t.json {
		t.screen.say("%d queued", queued)
	}
	if refused > 0 {
		return errors.New(plural(refused, "operation was", "operations were") + " not queued")
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// laneRecord is a lane as "pause" and "resume" print it with --json.
type laneRecord struct {
	Lane   string `json:"lane"`
	Paused bool   `json:"paused"`
}

func (t *tool) pauseCommand() *cobra.Command {
	return t.laneCommand("pause", "Send no more starts of a lane, until it is resumed", true)
}

func (t *tool) resumeCommand() *cobra.Command {
	return t.laneCommand("resume", "End a pause", false)
}

func (t *tool) laneCommand(verb, short string, paused bool) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " LANE",
		Short: short,
		Long:  short + `. A lane is the sessions that share a provider's fate: a studio, by its id. What was sent already is watched to its end. A pause is kept on disk.`,
		Args:  words(1),
		RunE: func(c *cobra.Command, args []string) error {
			return t.with(t.provider.offline(), func(d *desk) error {
				set := d.engine.Resume
				if paused {
					set = d.engine.Pause
				}
				if err := set(c.Context(), args[0], userName()); err != nil {
					return err
				}
				if t.json {
					t.screen.record(laneRecord{Lane: args[0], Paused: paused})
					return nil
				}
				t.screen.say("%sd lane %s", verb, args[0])
				return nil
			})
		},
	}
}
