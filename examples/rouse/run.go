package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

func (t *tool) runCommand() *cobra.Command {
	var untilIdle bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Carry out what is queued",
		Long: `Run carries out what is queued, until it is interrupted (Ctrl-C, SIGTERM). It
prints a line for each event; on a terminal, for each end, and a status line.

With --until-idle it ends when nothing is left to do now: no operation is active
but starts whose not-before lies ahead, paused ones, and ones held because they
look expired while this machine's clock is in doubt. That is exit status 0,
whatever became of the operations: see the summary, or "rouse ls".`,
		Example: `  rouse run
  rouse run --until-idle --endpoint http://127.0.0.1:8080`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := t.provider.client(c.Context())
			if err != nil {
				return err
			}
			return t.with(client, func(d *desk) error { return t.run(c.Context(), d, untilIdle) })
		},
	}
	c.Flags().BoolVar(&untilIdle, "until-idle", false, "end when nothing is left to do now")
	return c
}

func (t *tool) run(ctx context.Context, d *desk, untilIdle bool) error {
	head, err := d.store.Head(ctx)
	if err != nil {
		return err
	}
	feed := &feedPrinter{tool: t, at: head, ends: map[fsm.Phase]int{}}
	var rest idleness
	err = d.run(ctx, func(ctx context.Context) error {
		followed := make(chan error, 1)
		ctx, stop := context.WithCancel(ctx)
		go func() { followed <- feed.follow(d.engine.Follow(ctx, feed.at)) }()
		var err error
		rest, err = t.supervise(ctx, d, untilIdle)
		stop()
		return errors.Join(err, <-followed)
	})
	t.screen.status("")
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if ferr := feed.follow(d.engine.Events(late, feed.at)); err == nil || errors.Is(err, context.Canceled) {
		err = errors.Join(err, ferr)
	}
	return t.ran(late, d, feed, rest, untilIdle, err)
}

// ran says what a run came to.
func (t *tool) ran(ctx context.Context, d *desk, feed *feedPrinter, rest idleness, untilIdle bool, err error) error {
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	s, serr := d.engine.Stats(ctx)
	if serr != nil {
		return serr
	}
	active := s.Operations[fsm.Queued] + s.Operations[fsm.Starting]
	t.screen.note("%s", summary(feed.ends, active, rest))
	if err != nil && untilIdle {
		return fmt.Errorf("interrupted before all was done: %d operations stay active, and \"rouse run\" goes on with them", active)
	}
	return nil
}

// summary is how a run ended: "3 SUCCEEDED, 1 FAILED; 2 active (1 scheduled)".
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

// supervise shows how the engine fares until ctx ends, or until it is idle.
func (t *tool) supervise(ctx context.Context, d *desk, untilIdle bool) (idleness, error) {
	const every = 200 * time.Millisecond
	nap, told := every, map[string]engine.Waiting{}
	for {
		s, err := d.engine.Stats(ctx)
		if err != nil {
			return idleness{}, err
		}
		t.tell(s, told)
		began := time.Now()
		if untilIdle && s.Running {
			rest, idle, err := d.idle(ctx, s)
			if err != nil || idle {
				return rest, err
			}
			nap = max(every, 10*time.Since(began)) // a long look is taken rarely
		}
		select {
		case <-ctx.Done():
			return idleness{}, ctx.Err()
		case <-time.After(nap):
		}
	}
}

// tell shows the engine's state: as the status line, or, where there is no
// terminal, a line when a lane is blocked and when it goes on.
func (t *tool) tell(s engine.Stats, told map[string]engine.Waiting) {
	now := time.Now()
	for _, l := range s.Lanes {
		was := told[l.Name]
		told[l.Name] = l.Blocked
		t.hint(l.Blocked)
		switch {
		case t.screen.live() || l.Blocked == was:
		case l.Blocked == "":
			t.screen.note("lane %s goes on", l.Name)
		default:
			t.screen.note("lane %s waits: %s", l.Name, reasonText(l.Blocked))
		}
	}
	t.screen.status("%s", statusLine(s, now))
}

// hint says, once, what only the user can do about a reason for waiting.
func (t *tool) hint(r engine.Waiting) {
	if r != engine.Credentials || t.hinted {
		return
	}
	t.hinted = true
	t.screen.note("the provider takes no call without valid credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile; also look at this machine's clock")
}

func statusLine(s engine.Stats, now time.Time) string {
	text := fmt.Sprintf("%d queued, %d starting", s.Operations[fsm.Queued], s.Operations[fsm.Starting])
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
		}
	}
	if blocked > 1 {
		text += fmt.Sprintf("; and %d more lanes", blocked-1)
	}
	return text
}

// run carries out what is queued while another function goes on, and returns
// when both have ended. If the engine fails, while's context ends.
func (d *desk) run(ctx context.Context, while func(ctx context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() {
		defer stop()
		ran <- d.engine.Run(ctx)
	}()
	err := while(ctx)
	stop()
	if rerr := <-ran; rerr != nil {
		return rerr // while's error is its echo
	}
	return err
}

// idleness counts what is active and has nothing to do now.
type idleness struct{ scheduled, paused, held int }

func (r idleness) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{r.scheduled, "scheduled for later"}, {r.paused, "paused"}, {r.held, "held: this machine's clock is in doubt"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

// idle reports whether nothing is left to do now, and what is active even so.
func (d *desk) idle(ctx context.Context, s engine.Stats) (idleness, bool, error) {
	var rest idleness
	if s.Operations[fsm.Queued]+s.Operations[fsm.Starting] == 0 {
		return rest, true, nil
	}
	paused := map[string]bool{}
	for _, l := range s.Lanes {
		paused[l.Name] = l.Paused
	}
	now := time.Now()
	for op, err := range d.engine.List(ctx, engine.Filter{Active: true}) {
		switch {
		case err != nil:
			return rest, false, err
		case op.Sent != store.SentNo:
			return rest, false, nil
		case op.NotBefore.After(now):
			rest.scheduled++
			continue
		case paused[op.Lane] && op.ExpiresAt.After(now):
			rest.paused++
			continue
		}
		x, err := d.engine.Explain(ctx, op.ID)
		if err != nil {
			return rest, false, err
		}
		if x.Reason != engine.ClockHeld {
			return rest, false, nil
		}
		rest.held++
	}
	return rest, true, nil
}
