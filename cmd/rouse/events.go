package main

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
)

func (t *tool) eventsCommand() *cobra.Command {
	var after string
	var follow bool
	c := &cobra.Command{
		Use:   "events",
		Short: "Print the feed of events",
		Long: `Print the feed of events, in order and without a gap.

With --after, printing begins after an event. Name the event by its number or
by its cursor (see --json). A cursor also proves that the feed is the same
one. Pruning, or restoring a backup, may remove the events that follow it. The
command then says so and prints nothing.

With --follow, it prints events as they come, until Ctrl-C. While no process
runs the engine, it opens the database about once a second.`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("after") && after == "" {
				return usagef("--after is empty")
			}
			p, err := positionOf(after)
			if err != nil {
				return err
			}
			if follow {
				return t.follow(c.Context(), &p)
			}
			return t.reading(t.offline, func(h *host) error { return t.events(c.Context(), h, &p) })
		},
	}
	c.Flags().StringVar(&after, "after", "", "print the events after `NUMBER|CURSOR`")
	c.Flags().BoolVar(&follow, "follow", false, "print new events as they arrive")
	return c
}

// position is a place in the feed: after a cursor, and after a number.
type position struct {
	cursor engine.Cursor
	seq    uint64
	exact  bool // the user named seq, so the event must exist
}

func positionOf(after string) (position, error) {
	for _, r := range after {
		if r < '0' || r > '9' {
			return position{cursor: engine.Cursor(after)}, nil
		}
	}
	if after == "" {
		return position{}, nil
	}
	seq, err := strconv.ParseUint(after, 10, 64)
	if err != nil {
		return position{}, usagef("--after %s is too large for an event's number", after)
	}
	return position{seq: seq, exact: true}, nil
}

// events prints the feed from p up to its head, and moves p there.
func (t *tool) events(ctx context.Context, h *host, p *position) error {
	if p.exact {
		s, err := h.engine.Stats(ctx)
		switch {
		case err != nil:
			return err
		case p.seq > s.Head:
			return fmt.Errorf("there is no event %d: the feed ends at %d", p.seq, s.Head)
		case p.seq+1 < s.First:
			return fmt.Errorf("events %d to %d were pruned: the feed begins at %d", p.seq+1, s.First-1, s.First)
		}
		p.exact = false
	}
	feed := &feedPrinter{tool: t, at: p.cursor, seq: p.seq, all: true, pages: true}
	err := feed.follow(h.engine.Events(ctx, p.cursor))
	p.cursor, p.seq = feed.at, feed.seq
	return err
}

// follow prints new events until ctx ends.
func (t *tool) follow(ctx context.Context, p *position) error {
	t.waitsTurn, t.resumes = true, true
	for ctx.Err() == nil {
		err := t.reading(t.offline, func(h *host) error {
			if err := t.events(ctx, h, p); err != nil || h.own != nil {
				return err
			}
			feed := &feedPrinter{tool: t, at: p.cursor, seq: p.seq, all: true}
			defer func() { p.cursor, p.seq = feed.at, feed.seq }()
			return feed.follow(h.engine.Follow(ctx, p.cursor))
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(t.between()):
		}
	}
	return nil
}

// feedPrinter prints events, and remembers its place in the feed.
type feedPrinter struct {
	tool *tool
	at   engine.Cursor
	seq  uint64            // events up to this number are not printed
	all  bool              // print all events; otherwise a terminal gets only the ends
	ends map[fsm.Phase]int // counts the ends; may be nil

	// failed has the latest operation of each session that ended FAILED or EXPIRED. A
	// session that was requested again since is not in it. It stays empty if ends is nil.
	failed map[engine.Ref]failedEnd

	pages bool // collect the events of a page, align their columns and print them together
	page  [][]string
}

// failedEnd is an operation that failed, and the event that records it.
type failedEnd struct {
	seq uint64
	id  engine.ID
}

func (f *feedPrinter) follow(events iter.Seq2[engine.Event, error]) error {
	s := f.tool.screen
	defer f.flush()
	for ev, err := range events {
		if err != nil {
			return err
		}
		f.at = ev.Cursor
		if ev.Seq <= f.seq {
			continue
		}
		f.seq = ev.Seq
		if f.ends != nil && ev.To.Ended() && ev.From != ev.To {
			f.ends[ev.To]++
			if failure(ev.To) {
				if f.failed == nil {
					f.failed = map[engine.Ref]failedEnd{}
				}
				f.failed[ev.Ref] = failedEnd{ev.Seq, ev.Operation}
			}
		}
		if ev.From == "" && ev.To == fsm.PhaseQueued { // its session was requested again
			delete(f.failed, ev.Ref)
		}
		switch {
		case f.tool.json:
			s.record(ev)
		case f.all || ev.To.Ended() || s.width(s.out) == 0:
			f.page = append(f.page, eventRows([]engine.Event{ev}, true)...)
			if !f.pages || len(f.page) >= tablePage {
				f.flush()
			}
		}
	}
	return nil
}

// flush prints the page and begins the next one.
func (f *feedPrinter) flush() {
	f.tool.screen.table(f.page, 2, 3)
	f.page = nil
}

// eventRows returns events as rows for a person to read. With names, each row has the
// studio and the session.
func eventRows(events []engine.Event, with bool) [][]string {
	var rows [][]string
	now := time.Now()
	for _, ev := range events {
		row := []string{fmt.Sprintf("%6d", ev.Seq), clock(ev.At, now)}
		if with {
			row = append(row, ev.Ref.StudioID, ev.Ref.SessionID)
		}
		rows = append(rows, append(row, eventText(ev)))
	}
	return rows
}

func eventText(ev engine.Event) string {
	text := string(ev.To)
	if ev.From == ev.To { // a fact
		text = string(ev.Reason)
	} else if ev.Reason != "" && ev.To == fsm.PhaseFailed {
		text += " (" + string(ev.Reason) + ")"
	}
	if ev.Session != "" && !strings.HasPrefix(ev.Error, "the session is "+string(ev.Session)) {
		text += ", session " + string(ev.Session)
	}
	if ev.By != "" {
		text += ", by " + ev.By
	}
	if ev.Error != "" {
		text += ": " + worded(ev.Error)
	}
	return text
}
