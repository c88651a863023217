package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/settings"
	"github.com/rouse-dev/rouse/transport"
)

// runFlags are the flags of "run".
type runFlags struct {
	untilIdle bool
	fail      bool
	atMost    time.Duration // 0: forever

	// serve begins to serve the engine to other machines, and returns what ends that; nil:
	// only the socket serves it.
	serve func() (stop func() error, err error)
}

func (t *tool) runCommand() *cobra.Command {
	var r runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Send what is queued, and wait for READY",
		Long: `Send what is queued, and wait until each session is READY.

Run goes on until it is interrupted. It prints a line for each event. On a
terminal it prints a line for each end, and a status line.

With --until-idle it ends when there is nothing to do now. These operations
may stay active: starts with a later not-before, operations of paused lanes,
operations past their expiry while the clock is untrusted, and operations
whose credentials were refused for ten seconds. While the provider cannot be
reached, run waits; --for limits that. In a foreign store there is nothing to
do before "rouse adopt".

At the end, run says why each operation ended FAILED or EXPIRED, and what to
do next. With --fail, the exit status is then 1; a timer needs that to report
failures. A session that was asked for again is left out: its new operation
tells the result.

Ctrl-C and SIGTERM end it cleanly: it finishes or gives up its calls and
stores what is known. A second Ctrl-C ends it at once. Neither loses anything.

Exit status:
  0  idle; without --until-idle: interrupted
  1  with --fail: an operation ended FAILED or EXPIRED
  1  no credentials were found, or the provider refused them
  1  --for is over; the message says what waits and why
  1  --until-idle was interrupted
  1  without --until-idle: the database belongs to another machine
  2  wrong usage
  3  not acknowledged: another process has the database open and does not answer`,
		Example: `  rouse run
  rouse run --until-idle --for 10m --fail
  rouse run --until-idle --endpoint http://127.0.0.1:8080`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("for") {
				if err := checkFor(r.atMost); err != nil {
					return err
				}
			}
			t.db.mayMake = true
			t.needsFile, t.waitsTurn, t.resumes = !r.untilIdle, !r.untilIdle, true
			return t.with(func() (transport.Transport, error) {
				client, err := t.provider.client(c.Context())
				if err == nil {
					_, err = t.provider.openHooks()
				}
				if err == nil && r.untilIdle {
					err = t.provider.search(c.Context(), "")
				}
				return client, err
			}, func(h *host) error { return t.run(c.Context(), h, r) })
		},
	}
	c.Flags().BoolVar(&r.fail, "fail", false, "exit with status 1 if an operation ended FAILED or EXPIRED")
	c.Flags().BoolVar(&r.untilIdle, "until-idle", false, "end when there is nothing to do now")
	durationVar(c.Flags(), &r.atMost, "for", 0, "end after `DURATION` even if work is left")
	return c
}

func (t *tool) run(ctx context.Context, h *host, r runFlags) error {
	if h.foreign != nil && !r.untilIdle { // it would only keep "rouse adopt" out
		return errors.New("foreign store: nothing is sent before \"rouse adopt\"")
	}
	head, err := h.engine.Head(ctx)
	if err != nil {
		return err
	}
	feed := &feedPrinter{tool: t, at: head, ends: map[fsm.Phase]int{}}
	var rest idleness
	err = h.run(ctx, func(ctx context.Context) error {
		if r.serve != nil {
			stop, err := r.serve()
			if err != nil {
				return err
			}
			defer stop() // what was asked for is stored
		}
		followed := make(chan error, 1)
		ctx, stop := context.WithCancel(ctx)
		go func() { followed <- feed.follow(h.engine.Follow(ctx, feed.at)) }()
		var err error
		rest, err = t.supervise(ctx, h, r)
		stop()
		return errors.Join(err, <-followed)
	})
	t.screen.status("")
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if ferr := feed.follow(h.engine.Events(late, feed.at)); err == nil || errors.Is(err, context.Canceled) {
		err = errors.Join(err, ferr)
	}
	return t.ran(late, h, feed, rest, r, err)
}

// ran says what a run came to.
func (t *tool) ran(ctx context.Context, h *host, feed *feedPrinter, rest idleness, r runFlags, err error) error {
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	s, serr := h.engine.Stats(ctx)
	if serr != nil {
		return serr
	}
	active := s.Operations[fsm.PhaseQueued] + s.Operations[fsm.PhaseStarting]
	t.screen.note("%s", summary(feed.ends, active, rest))
	failures, ferr := t.explainFailures(ctx, h.engine.Get, feed)
	if ferr != nil {
		return ferr
	}
	stay := plural(active, "operation stays", "operations stay") + " active; the next \"rouse run\" continues"
	switch {
	case err != nil && r.untilIdle:
		return fmt.Errorf("interrupted before all was done: %s", stay)
	case err == nil && rest.waiting != "":
		return fmt.Errorf("the time of --for %v is over; still waiting: %s", r.atMost, rest.waiting)
	case err == nil && rest.refused > 0:
		return fmt.Errorf("%s; %s", t.refusal(ctx, t.provider.studioOf(rest.refusedLane)), stay)
	case r.fail && failures > 0:
		return errors.New(plural(failures, "start", "starts") + " ended FAILED or EXPIRED")
	}
	return nil
}

// supervise shows how the engine fares until ctx ends, until it is idle, or until
// its time is up.
func (t *tool) supervise(ctx context.Context, h *host, r runFlags) (idleness, error) {
	const every = 200 * time.Millisecond
	nap, told, up := every, map[string]reportedLane{}, after(r.atMost)
	for {
		s, err := h.engine.Stats(ctx)
		if err != nil {
			return idleness{}, err
		}
		t.reportLanes(ctx, s, told)
		h.service.turn(s, time.Now())
		began := time.Now()
		if r.untilIdle && s.Running {
			rest, idle, err := h.idle(ctx, s)
			if err != nil || idle {
				return rest, err
			}
			nap = max(every, 10*time.Since(began)) // a long look is taken rarely
		}
		select {
		case <-ctx.Done():
			return idleness{}, ctx.Err()
		case <-up:
			return h.stillWaiting(ctx)
		case <-h.hangups:
			t.reload(ctx, h)
		case <-time.After(nap):
		}
	}
}

// reportedLane is what was printed last of a lane.
type reportedLane struct {
	blocked engine.WaitReason
	at      time.Time
}

// reportLanes shows the engine's state as the status line. Without a terminal it prints a
// line when a lane is blocked, now and then meanwhile, and when the lane goes on.
func (t *tool) reportLanes(ctx context.Context, s engine.Stats, told map[string]reportedLane) {
	now := time.Now()
	for _, l := range s.Lanes {
		was := told[l.Name]
		if l.Blocked == was.blocked && (l.Blocked == "" || now.Sub(was.at) < again) {
			continue
		}
		told[l.Name] = reportedLane{l.Blocked, now}
		t.hint(ctx, l)
		switch {
		case t.screen.live():
		case l.Blocked == "":
			t.screen.note("lane %s is unblocked", l.Name)
		case l.Blocked == was.blocked:
			t.screen.note("lane %s is still blocked: %s, for %s%s", l.Name, reasonText(l.Blocked), span(now.Sub(l.Since)), said(l))
		default:
			t.screen.note("lane %s is blocked: %s%s", l.Name, reasonText(l.Blocked), said(l))
		}
	}
	t.screen.status("%s", statusLine(s, now))
}

// hint says, once, what only the user can do about a reason for waiting.
func (t *tool) hint(ctx context.Context, l engine.LaneStats) {
	if l.Blocked != engine.WaitCredentials || t.hinted {
		return
	}
	t.hinted = true
	t.screen.note("%s", t.refusal(ctx, t.provider.studioOf(l.Name)))
}

// refusal says what only a person can do about credentials that a studio's
// provider refuses, or that there are none.
func (t *tool) refusal(ctx context.Context, one settings.Studio) string {
	if t.provider.opened == nil {
		return "the provider refuses the credentials of the process that runs the engine: its output says what to check"
	}
	if err := t.provider.search(ctx, one.Pattern); err != nil {
		return plain(err)
	}
	return refused(one)
}

func statusLine(s engine.Stats, now time.Time) string {
	text := fmt.Sprintf("%d queued, %d starting", s.Operations[fsm.PhaseQueued], s.Operations[fsm.PhaseStarting])
	blocked := 0
	for _, l := range s.Lanes {
		if l.Blocked == "" {
			continue
		}
		if blocked++; blocked == 1 {
			text += fmt.Sprintf("; %s: %s", l.Name, reasonText(l.Blocked))
			if l.Next.After(now) {
				text += ", next try in " + span(l.Next.Sub(now).Round(time.Second))
			} else {
				text += ", for " + span(now.Sub(l.Since))
			}
			text += said(l)
		}
	}
	if blocked > 1 {
		text += "; and " + plural(blocked-1, "more lane", "more lanes")
	}
	return text
}
