package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// retryFlags are the flags of "retry".
type retryFlags struct {
	asked
	failed bool
}

func (t *tool) retryCommand() *cobra.Command {
	var r retryFlags
	c := &cobra.Command{
		Use:   "retry OPERATION | STUDIO SESSION...",
		Short: "Try again now",
		Long: `Try again now.

An active operation's next step becomes due now, whatever it waits for after
an error. A not-before still counts. For an operation that has ended, retry
queues a new one for the same session with the same labels.

Sessions are named as for "rouse start". With --failed, it queues a new
operation for each session whose latest operation FAILED.`,
		Example: `  rouse retry lab ws-1
  rouse retry --failed --since 18:00 --label show=aurora`,
		Args:              cobra.ArbitraryArgs, // asked.read judges them
		ValidArgsFunction: t.completeSessions,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := r.read(t, c, args)
			if err != nil {
				return err
			}
			return t.with(t.queueing, func(h *host) error {
				if r.failed {
					return t.retryFailed(c.Context(), h, f)
				}
				o, one, err := r.findOne(c.Context(), h)
				if err != nil {
					return err
				}
				if one {
					return t.retry(c.Context(), h, o)
				}
				return t.retryMany(c.Context(), h, &r.asked)
			})
		},
	}
	g := c.Flags()
	r.flags(c)
	g.BoolVar(&r.failed, "failed", false, "retry each session whose latest operation FAILED")
	g.StringVar(&r.since, "since", "", "with --failed: only operations created at `TIME` or later: "+pastForms)
	g.StringArrayVar(&r.labels, "label", nil, "with --failed: only operations with the label `NAME=VALUE`; may be repeated")
	return c
}

// read checks what was typed; with --failed it returns which operations are meant.
func (r *retryFlags) read(t *tool, c *cobra.Command, args []string) (engine.Filter, error) {
	switch {
	case r.failed && len(args) > 0:
		return engine.Filter{}, usagef("--failed is for all: leave out %q", args[0])
	case r.failed && r.from != "":
		return engine.Filter{}, usagef("--failed is for all: leave out --from")
	case r.failed:
	case len(args) == 0 && r.from == "":
		return engine.Filter{}, usagef("say what to retry: OPERATION, STUDIO SESSION or --failed")
	case r.since != "" || len(r.labels) > 0:
		return engine.Filter{}, usagef("--since and --label go with --failed")
	}
	err := r.asked.read(t, c, args)
	f := r.filter
	f.Phases, f.Newest = []fsm.Phase{fsm.PhaseFailed}, true
	return f, err
}

// retryMany retries the operations of several sessions, and says what became of each.
func (t *tool) retryMany(ctx context.Context, h *host, a *asked) error {
	ops, unknown, err := a.find(ctx, h)
	if err != nil {
		return err
	}
	receipts, errs := make([]engine.Receipt, len(ops)), make([]error, len(ops))
	inParallel(len(ops), func(i int) {
		if ops[i].Active() {
			errs[i] = h.engine.RetryNow(ctx, ops[i].ID, userName())
			return
		}
		receipts[i], errs[i] = h.engine.Retry(ctx, ops[i].ID, userName())
	})
	if ctx.Err() != nil {
		return interrupted(ctx.Err(), "some may have been queued: ask again")
	}
	if err := fatal(errs); err != nil {
		return err
	}
	y := newTally("queued", "joined", "due now", "scheduled", "not queued")
	now := time.Now()
	for i, o := range ops {
		id := o.ID
		switch {
		case errs[i] != nil:
			y.add("not queued", o.Ref)
			t.refuse(o.Ref, errs[i])
			continue
		case o.Active() && o.Sent == store.SentNo && o.NotBefore.After(now):
			y.add("scheduled", o.Ref)
		case o.Active():
			y.add("due now", o.Ref)
		case receipts[i].Created:
			y.add("queued", o.Ref)
			id = receipts[i].Operation.ID
		default:
			y.add("joined", o.Ref)
			id = receipts[i].Operation.ID
		}
		if t.json {
			if err := t.recordOperation(ctx, h, id); err != nil {
				return err
			}
		}
	}
	if !t.json && y.total > 0 {
		t.sayTally(y)
	}
	err = t.neverAsked(unknown)
	if n := y.count("not queued"); n > 0 {
		err = errors.Join(fmt.Errorf("%d of %s were not queued", n, plural(y.total, "session", "sessions")), err)
	}
	return err
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
