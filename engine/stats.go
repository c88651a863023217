package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/store"
)

// Stats counts operations, calls and lanes. Store figures are those of store.Stats.
type Stats struct {
	store.Stats
	Running  bool // a Run of this engine goes on
	InFlight int  // workers, each with at most one call
	Lanes    []LaneStats
}

// LaneStats describes a lane.
type LaneStats struct {
	Name       string
	Paused     bool
	PausedBy   string
	Blocked    WaitReason // WaitOffline, WaitCredentials, or "" if the lane is not blocked
	Since      time.Time
	Next       time.Time // the next trial call of a blocked lane
	Error      string    // the last answer in a blocked lane, or why there was none
	RetryAfter time.Time
	Rate       float64 // calls a second now; 0: nothing is active
	InFlight   int
}

// Stats counts operations by phase, and describes each lane that is active or has
// something stored. The error is the store's.
func (e *Engine) Stats(ctx context.Context) (Stats, error) {
	if err := e.open(); err != nil {
		return Stats{}, err
	}
	s, err := e.store.Stats(ctx)
	if err != nil {
		return Stats{}, e.storeError(err)
	}
	lanes, err := e.store.Lanes(ctx)
	if err != nil {
		return Stats{}, e.storeError(err)
	}
	out := Stats{Stats: s}
	known := map[string]LaneStats{}
	for _, l := range lanes {
		known[l.Name] = LaneStats{Name: l.Name, Paused: l.Paused, PausedBy: l.PausedBy, RetryAfter: l.RetryAfter}
	}
	r := e.current()
	if r == nil { // the lanes are as the last Run stored them
		for _, l := range lanes {
			k := known[l.Name]
			k.Blocked, k.Since, k.Error = WaitReason(l.Block.Reason), l.Block.Since, l.Block.Error
			known[l.Name] = k
		}
	} else {
		r.mu.Lock()
		r.noticeJump()
		out.Running, out.InFlight = true, r.inFlight
		for name, l := range r.lanes {
			k := LaneStats{
				Name: name, Paused: l.stored.Paused, PausedBy: l.stored.PausedBy, RetryAfter: l.floor(e.now()),
				Rate: float64(l.pace.bucket.Limit()), InFlight: l.sending + l.reading,
			}
			if l.block != nil {
				k.Blocked, k.Since, k.Next, k.Error = l.block.reason, noLater(l.stored.Block.Since, e.now()), l.block.trialAt, l.stored.Block.Error
			}
			known[name] = k
		}
		r.mu.Unlock()
	}
	for _, l := range known {
		out.Lanes = append(out.Lanes, l)
	}
	slices.SortFunc(out.Lanes, func(a, b LaneStats) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
