package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store/bolt"
)

func (t *tool) eventsCommand() *cobra.Command {
	var after string
	var follow bool
	c := &cobra.Command{
		Use:   "events",
		Short: "Print what has happened, in order",
		Long: `Events prints the feed: each change of an operation, in order and without a
gap.

With --after it goes on behind an event, named by its number or, which also
shows that it is the same feed, by its cursor (see --json). If events were lost
between, because they were pruned or a backup was restored, it says so and
prints none.

With --follow it goes on as events come, until Ctrl-C. It looks about once a
second, and holds the database only while it looks; events of a running "rouse
run", which holds it all the time, come when that has ended.`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("after") && after == "" {
				return usagef("--after is empty")
			}
			p, err := placeOf(after)
			if err != nil {
				return err
			}
			if follow {
				return t.follow(c.Context(), &p)
			}
			return t.reading(t.provider.offline(), func(d *desk) error { return t.events(c.Context(), d, &p) })
		},
	}
	c.Flags().StringVar(&after, "after", "", "print what came after the event with this `NUMBER|CURSOR`")
	c.Flags().BoolVar(&follow, "follow", false, "go on as events come")
	return c
}

// place is where in the feed to go on: behind a cursor, and behind a number.
type place struct {
	cursor engine.Cursor
	seq    uint64
	exact  bool // seq was asked for, so the event must be there
}

func placeOf(after string) (place, error) {
	for _, r := range after {
		if r < '0' || r > '9' {
			return place{cursor: engine.Cursor(after)}, nil
		}
	}
	if after == "" {
		return place{}, nil
	}
	seq, err := strconv.ParseUint(after, 10, 64)
	if err != nil {
		return place{}, usagef("--after %s is too large for an event's number", after)
	}
	return place{seq: seq, exact: true}, nil
}

// events prints the feed behind p up to its head, and moves p there.
func (t *tool) events(ctx context.Context, d *desk, p *place) error {
	if p.exact {
		s, err := d.engine.Stats(ctx)
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
	err := feed.follow(d.engine.Events(ctx, p.cursor))
	p.cursor, p.seq = feed.at, feed.seq
	return err
}

// follow prints events as they come.
func (t *tool) follow(ctx context.Context, p *place) error {
	told := false
	for ctx.Err() == nil {
		began := time.Now()
		err := t.reading(t.provider.offline(), func(d *desk) error { return t.events(ctx, d, p) })
		var held *bolt.LockedError
		isHeld := errors.As(err, &held)
		if isHeld && !told {
			t.screen.note("%s; waiting", heldText(held))
		}
		told = isHeld
		if err != nil && !isHeld && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(max(time.Second, 10*time.Since(began))): // leave the database to others
		}
	}
	return nil
}

// feedPrinter prints events, and remembers where it is.
type feedPrinter struct {
	tool *tool
	at   engine.Cursor
	seq  uint64            // events up to it are not printed
	all  bool              // on a terminal too; else only ends are printed there
	ends map[fsm.Phase]int // counts them; nil: it does not

	// failed has, if ends counts, the latest operation of each session that ended
	// FAILED or EXPIRED and was not asked for again since.
	failed map[engine.Ref]failedEnd

	pages bool // those of a page are aligned with each other, and printed together
	page  [][]string
}

// failedEnd is an operation that failed, and the event that says so.
type failedEnd struct {
	seq uint64
	id  engine.ID
}

func (f *feedPrinter) follow(events iter.Seq2[engine.Event, error]) error {
	s := f.tool.screen
	defer f.turn()
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
		if ev.From == "" && ev.To == fsm.PhaseQueued { // its session was asked for again
			delete(f.failed, ev.Ref)
		}
		switch {
		case f.tool.json:
			s.record(ev)
		case f.all || ev.To.Ended() || s.width(s.out) == 0:
			f.page = append(f.page, eventRows([]engine.Event{ev}, true)...)
			if !f.pages || len(f.page) >= tablePage {
				f.turn()
			}
		}
	}
	return nil
}

// turn prints the page, and begins another.
func (f *feedPrinter) turn() {
	f.tool.screen.table(f.page, 2, 3)
	f.page = nil
}

// eventRows are events for a person; with says whose they are.
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
