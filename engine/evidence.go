package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
)

// evidence is what the store keeps of the wall clock between runs. With it a Run does
// not wait again for what an earlier Run has waited for.
type evidence struct {
	Wall    time.Time     `json:"wall"` // when this was written
	Boot    uint32        `json:"boot,omitempty"`
	Elapsed time.Duration `json:"elapsed,omitempty"` // since the machine booted, with the time asleep
	// Served is how long the wall clock had behaved by then. decide.TrustAfter means that
	// it was trusted.
	Served time.Duration `json:"served"`
	// Watched is how long runs had followed one another closely, with no lane blocked.
	Watched time.Duration `json:"watched,omitempty"`
}

// evidenceKind is the kind of its record, whose name is empty.
const evidenceKind = "clock"

const (
	// closeRuns is how far apart two runs may be and still count as one for the boot
	// timeout.
	closeRuns = 10 * time.Minute
	// longestGap is the longest time between two runs that does not interrupt the wait for
	// a trusted clock, where no clock proves how long it was.
	longestGap = time.Hour
)

// since returns how much time has certainly passed since v was written, and reports
// whether the wall clock has behaved meanwhile.
func (v *evidence) since(wall time.Time, up uptime.Reading) (passed time.Duration, behaved bool) {
	shown := wall.Sub(v.Wall)
	passed, sure := decide.Elapsed(up).Since(store.Uptime{Boot: v.Boot, At: v.Elapsed})
	switch {
	case sure:
		wrong := shown - passed
		return passed, wrong <= decide.BigJump && wrong >= -decide.BigJump
	case shown <= decide.BigJump && shown >= -decide.BigJump: // a jump that would be tolerated within a Run
		return max(shown, 0), true
	case v.Boot == 0 && !up.Known(): // it may be another boot, with a wrong clock
		return 0, shown > 0 && shown <= longestGap && v.Served < decide.TrustAfter
	}
	return 0, false
}

// recallClock reads the evidence of earlier Runs.
func (r *run) recallClock(ctx context.Context) error {
	records, err := r.e.store.Records(ctx, evidenceKind)
	if err != nil {
		return err
	}
	var v evidence
	if len(records) == 0 || json.Unmarshal(records[0].Value, &v) != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	passed, behaved := v.since(r.watch.wall, r.watch.up)
	if !behaved {
		return nil
	}
	r.watch.behaved(v.Served + passed)
	if passed <= closeRuns {
		r.watched = v.Watched + passed
	}
	r.kept.clock = v.Boot != 0 && v.Boot == r.watch.up.Boot
	r.kept.trusted = v.Served >= decide.TrustAfter
	return nil
}

// kept is what the stored evidence says. The evidence is written seldom: when it no
// longer says how the clock behaved, when a provider's date has confirmed the clock, and
// at the end of a Run that had something to do. run.mu guards it.
type kept struct {
	clock   bool      // since when the clock has behaved, in this boot
	trusted bool      // that it is trusted
	at      time.Time // when this Run stored it last, on the monotonic clock
}

// clockNews reports whether the evidence is to be stored now. mu must be held.
func (r *run) clockNews(mono time.Time) bool {
	if r.kept.clock && (r.kept.trusted || !r.confirmed) || len(r.lanes) == 0 {
		return false
	}
	if !r.kept.at.IsZero() && mono.Sub(r.kept.at) < sweepEvery {
		return false
	}
	r.kept = kept{clock: true, trusted: r.confirmed, at: mono}
	return true
}

// evidenceNow returns the evidence to be stored. mu must be held.
func (r *run) evidenceNow() evidence {
	r.noticeJump()
	mono := time.Now()
	v := evidence{
		Wall: r.watch.wall, Boot: r.watch.up.Boot, Elapsed: r.watch.up.Elapsed,
		Served: r.watch.served(mono), Watched: r.watched + mono.Sub(r.mono),
	}
	for _, l := range r.lanes {
		if l.block != nil || len(l.outages) > 0 {
			v.Watched = 0
		}
	}
	return v
}

// keepClock stores the evidence. If that fails, the next Run waits once more, and nothing
// else happens.
func (r *run) keepClock() {
	r.mu.Lock()
	v := r.evidenceNow()
	r.mu.Unlock()
	value, err := json.Marshal(v)
	if err == nil {
		err = r.e.store.PutRecord(context.WithoutCancel(r.calls), store.Record{Kind: evidenceKind, Value: value})
	}
	if err != nil {
		r.e.log.Warn("what is known of the clock could not be stored", "error", err)
	}
}
