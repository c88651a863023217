package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
)

// statsRecord is what "stats" prints with --json.
type statsRecord struct {
	Path        string            `json:"path"`
	StoreID     string            `json:"storeId"`
	Operations  map[fsm.Phase]int `json:"operations"`
	FirstEvent  uint64            `json:"firstEvent"`
	LastEvent   uint64            `json:"lastEvent"`
	Bytes       int64             `json:"bytes"`
	FreeBytes   int64             `json:"freeBytes"`
	Full        string            `json:"full,omitempty"`
	Foreign     *foreignRecord    `json:"foreign,omitempty"`
	Quarantined int               `json:"quarantined"`
	Lanes       []laneStatsRecord `json:"lanes,omitempty"`
}

// foreignRecord says that the database belongs to another machine.
type foreignRecord struct {
	Home  string    `json:"home,omitempty"`
	Since time.Time `json:"since"`
}

type laneStatsRecord struct {
	Lane       string    `json:"lane"`
	Paused     bool      `json:"paused"`
	PausedBy   string    `json:"pausedBy,omitempty"`
	RetryAfter time.Time `json:"retryAfter,omitzero"`
}

func (t *tool) statsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Count what is stored",
		Args:  words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return t.reading(t.offline, func(h *host) error { return t.stats(c.Context(), h) })
		},
	}
}

func (t *tool) stats(ctx context.Context, h *host) error {
	s, err := h.engine.Stats(ctx)
	if err != nil {
		return err
	}
	if t.json {
		r := statsRecord{
			Path: h.path, StoreID: s.StoreID, Operations: s.Operations, FirstEvent: s.First, LastEvent: s.Head,
			Bytes: s.Bytes, FreeBytes: s.FreeBytes, Quarantined: s.Quarantined,
		}
		if s.Full != nil {
			r.Full = plain(s.Full)
		}
		if s.Foreign != nil {
			r.Foreign = &foreignRecord{s.Foreign.Home, s.Foreign.Since}
		}
		for _, l := range s.Lanes {
			r.Lanes = append(r.Lanes, laneStatsRecord{Lane: l.Name, Paused: l.Paused, PausedBy: l.PausedBy, RetryAfter: l.RetryAfter})
		}
		t.screen.record(r)
		return nil
	}
	t.screen.say("%-12s %s (%s, %s of it free)", "database", h.path, size(s.Bytes), size(s.FreeBytes))
	if s.Full != nil {
		t.screen.say("%-12s no request is accepted: %s", "full", plain(s.Full))
	}
	if s.Foreign != nil {
		t.screen.say("%-12s since %s: it belongs to %s", "foreign", clock(s.Foreign.Since, time.Now()), homeText(s.Foreign))
	}
	for _, p := range fsm.Phases() {
		t.screen.say("%-12s %d", strings.ToLower(string(p)), s.Operations[p])
	}
	if s.First <= s.Head {
		t.screen.say("%-12s %d to %d", "events", s.First, s.Head)
	}
	if s.Quarantined > 0 {
		t.screen.say("%-12s %s: see \"rouse check\"", "damaged", plural(s.Quarantined, "record", "records"))
	}
	for _, l := range s.Lanes {
		if text := laneText(l, time.Now()); text != "" {
			t.screen.say("%-12s %s %s", "lane", l.Name, text)
		}
	}
	return nil
}

func laneText(l engine.LaneStats, now time.Time) string {
	var parts []string
	if l.Paused {
		parts = append(parts, "paused by "+orSomebody(l.PausedBy))
	}
	if l.RetryAfter.After(now) {
		parts = append(parts, "no call before "+clock(l.RetryAfter, now)+", as the provider asked")
	}
	return strings.Join(parts, ", ")
}

// size returns a number of bytes for a person to read.
func size(n int64) string {
	const unit = 1000
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f kB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MB", float64(n)/(unit*unit))
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(unit*unit*unit))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
