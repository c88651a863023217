package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

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
		Short: "Try again now",
		Long: `Try again now.

An active operation's next step becomes due now, whatever it waits for after
an error. A not-before still counts. For an operation that has ended, retry
queues a new one for the same session with the same labels.

With --failed, it queues a new operation for each session whose latest
operation FAILED.`,
		Example: `  rouse retry lab ws-1
  rouse retry --failed --since 18:00 --label show=aurora`,
		Args: words(0, 1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := r.filter(c, args, time.Now())
			if err != nil {
				return err
			}
			return t.with(t.queueing, func(h *host) error {
				if r.failed {
					return t.retryFailed(c.Context(), h, f)
				}
				o, err := h.target(c.Context(), args)
				if err != nil {
					return err
				}
				return t.retry(c.Context(), h, o)
			})
		},
	}
	g := c.Flags()
	g.BoolVar(&r.failed, "failed", false, "retry each session whose latest operation FAILED")
	g.StringVar(&r.since, "since", "", "with --failed: only operations created at `TIME` or later: "+pastForms)
	g.StringArrayVar(&r.labels, "label", nil, "with --failed: only operations with the label `NAME=VALUE`; may be repeated")
	return c
}

// filter checks what was typed; with --failed it says which operations are meant.
func (r *retryFlags) filter(c *cobra.Command, args []string, now time.Time) (engine.Filter, error) {
	f := engine.Filter{Phases: []fsm.Phase{fsm.PhaseFailed}, Newest: true}
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
	f.Labels, err = pairs("--label", r.labels)
	return f, err
}

func (t *tool) retry(ctx context.Context, h *host, o engine.Operation) error {
	name := o.Ref.StudioID + " " + o.Ref.SessionID
	if o.Active() {
		if err := h.engine.RetryNow(ctx, o.ID, userName()); err != nil {
			return err
		}
		if t.json {
			return t.recordOperation(ctx, h, o.ID)
		}
		if now := time.Now(); o.Sent == store.SentNo && o.NotBefore.After(now) {
			t.screen.say("operation %s of %s stays scheduled: not before %s", o.ID, name, clock(o.NotBefore, now))
			return nil
		}
		t.screen.say("operation %s of %s is due now", o.ID, name)
		return nil
	}
	r, err := h.engine.Retry(ctx, o.ID, userName())
	if err != nil {
		return err
	}
	if t.json {
		return t.recordOperation(ctx, h, r.Operation.ID)
	}
	if !r.Created {
		t.screen.say("joined operation %s of %s, which is active", r.Operation.ID, name)
		return nil
	}
	t.screen.say("queued %s as operation %s", name, r.Operation.ID)
	return nil
}

// retryFailed retries each session whose latest operation is among those that f
// lets through. A failure that was retried since is left alone.
func (t *tool) retryFailed(ctx context.Context, h *host, f engine.Filter) error {
	var failed []engine.Operation
	for op, err := range h.engine.List(ctx, f) {
		if err != nil {
			return err
		}
		failed = append(failed, op)
	}
	refused, queued := 0, 0
	for _, op := range failed {
		latest, err := h.engine.Find(ctx, op.Ref)
		if err != nil {
			return err
		}
		if latest.ID != op.ID {
			continue
		}
		switch err := t.retry(ctx, h, op); {
		case err != nil && ctx.Err() != nil:
			return interrupted(err, plural(queued, "operation was", "operations were")+" queued")
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
